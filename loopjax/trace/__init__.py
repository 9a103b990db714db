"""Recording: calls of the user become nodes of a graph.

Enters: Python calls and functions. Leaves: variables whose owners form a graph of ``ir`` nodes. Nothing is
differentiated, rewritten or run.
"""
