"""Traits of ops: facts that rewrites and lowering decide by, stated once where an op is registered.

The model is MLIR's op traits. A rewrite asks ``node.op.has("contraction")`` and never lists names of ops; an op that is
added later is treated right by every rewrite as soon as its traits are stated.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Trait = Literal[
    "pointwise",
    "reduce",
    "gather",
    "scatter",
    "view",
    "memory_bound",
    "cheap",
    "finite_derivative",
    "selection",
    "rotation",
    "contraction",
    "matmul",
    "cubic",
    "inner_loop",
    "draw",
    "prefix_draw",
    "may_fail",
    "disconnected",
    "reverse_only",
    "x64",
]
"""
- ``pointwise``: each element of the result is computed from one element of every operand; operands broadcast.
- ``reduce``: folds some axes.
- ``gather``, ``scatter``: reads or writes the elements that an index pattern picks.
- ``view``: repeats or reorders elements only; XLA reads through it, so that it takes no time of its own.
- ``memory_bound``: costs about what it costs to write its result.
- ``cheap``: pointwise, and one or two machine instructions for an element.
- ``finite_derivative``: its derivatives are finite for any operand, NaN among them.
- ``selection``: all elements of its result are elements of its first operand.
- ``rotation``: moves the rows of its first operand along ``axis`` by its second, those past an end to the other one.
- ``contraction``: sums products over axes of both operands (XLA's ``dot_general``).
- ``matmul``: the contraction of NumPy's ``dot`` and ``matmul``: the last axis of the left operand with the last but one
  axis of the right.
- ``cubic``: its work grows with the third power of a matrix's rows, as that of a decomposition does.
- ``inner_loop``: JAX runs a loop for it, so that XLA takes long to compile each occurrence.
- ``draw``: draws random numbers with a key.
- ``prefix_draw``: draws fewer rows with a threefry key as the first of more.
- ``may_fail``: raises for some values, so that it must not run where the program would not have run it.
- ``disconnected``: its result does not depend on its operand as far as derivatives are concerned.
- ``reverse_only``: has a rule for reverse-mode differentiation only.
- ``x64``: computes in 64 bits whatever the dtypes of its operands and result are.
"""

IMPLIED: dict[Trait, tuple[Trait, ...]] = {
    "pointwise": ("memory_bound",),
    "reduce": ("memory_bound",),
    "gather": ("memory_bound", "may_fail", "finite_derivative", "selection"),
    "scatter": ("memory_bound", "may_fail"),
    "view": ("memory_bound", "finite_derivative", "selection"),
    "rotation": ("memory_bound", "finite_derivative", "selection"),
    "matmul": ("contraction",),
    "prefix_draw": ("draw",),
}
"""Traits that another trait brings along."""


def with_implied(traits: Iterable[Trait]) -> frozenset[Trait]:
    """The traits together with all that they imply."""
    return frozenset(each for trait in traits for each in (trait, *IMPLIED.get(trait, ())))
