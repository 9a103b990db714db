"""From graphs to compiled programs."""
