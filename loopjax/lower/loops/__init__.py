"""The loops: a planned scan and its arrays enter, the scan's outputs leave.

``step`` is one step, ``history`` and ``accumulate`` its carry, ``combinators`` the functions that loops are put
together from. ``segments`` (``lax.scan``), ``while_loop``, ``stored_while`` and ``associative`` run a whole loop.
"""
