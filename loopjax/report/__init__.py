"""``explain``: a compiled function enters, a report on each of its loops leaves, as text or HTML."""
