"""Padding: one program for many lengths.

Enters: a graph, and a ``spec.Padding`` that says which lengths vary from call to call. Leaves: a ``spec.Padded``, whose
graph computes with axes of a capacity that is at least the length, and what a call must check. ``pad.pad`` is the only
entry.
"""
