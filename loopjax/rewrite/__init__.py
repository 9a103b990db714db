"""Rewrites: a valid graph enters, an equivalent valid graph leaves.

``pipeline`` lists the passes in order, ``driver`` runs them over a graph and its regions, and ``plan``, the last pass,
decides how each loop is lowered. Nothing here imports ``lower``.
"""
