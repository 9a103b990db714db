"""Rewrites: a valid graph enters, an equivalent valid graph leaves.

``pipeline`` lists the passes in order and ``driver`` runs them over a graph and its regions. A pass is one frozen
dataclass in a file of its name; ``cost_model`` estimates what a step costs, thresholds are fields of the passes.
``plan`` decides how each loop is lowered. Nothing here imports ``lower``.
"""
