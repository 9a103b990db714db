"""Lowering: a sized, planned graph enters, a JAX function leaves.

``interpreter`` evaluates nodes by the rule of their op; ``loops`` holds the ways of running a scan. All decisions were
made by ``rewrite``.
"""
