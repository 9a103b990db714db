"""Lowering: a sized, planned graph enters, a JAX function leaves.

``interpreter`` evaluates a graph, each node by the lowering rule of its op; ``loops`` has the ways to run a scan. All
decisions were made by ``rewrite``.
"""
