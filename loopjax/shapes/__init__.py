"""Lengths that are known only when a program is called.

Enters: a recorded graph and the lengths of a call. Leaves: stages whose every shape is known, padded where one program
is to serve many lengths, and the preconditions that a call must meet.
"""
