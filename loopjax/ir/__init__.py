"""The program as data: types, variables, ops, graphs, loops and their plans.

Everything else reads and writes these immutable values. Nothing here records, rewrites or runs a program.
"""
