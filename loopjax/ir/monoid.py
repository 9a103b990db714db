"""Reductions as monoids: an associative combine, its identity element, and what a rewrite may do with them.

One table for all that fold values in an order of their own choosing: accumulators in a loop's carry
(``rewrite/reduction_fusion.py``, ``lower/loops/accumulate.py``), parallel loops, and padding, which fills rows past a
length with the identity. (Blelloch 1990, Prefix sums and their applications, section 1.1.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np

Element = Literal["zero", "one", "least", "greatest", "last"]
"""A value that every dtype has; ``least`` and ``greatest`` of floats are infinite, and ``last``, of a sort, is NaN."""

MonoidName = Literal["sum", "prod", "max", "min", "any", "all", "logsumexp", "argmax", "argmin"]


def element(name: Element, dtype: Any) -> Any:
    """Return the value of an element in ``dtype``."""
    if name in ("zero", "one"):
        return int(name == "one")
    if name == "last" and jnp.issubdtype(dtype, jnp.inexact):
        return jnp.nan
    is_greatest = name != "least"
    if jnp.issubdtype(dtype, jnp.inexact):
        return jnp.inf if is_greatest else -jnp.inf
    if np.dtype(dtype) == np.bool_:
        return is_greatest
    return np.iinfo(dtype).max if is_greatest else np.iinfo(dtype).min


def sum_dtype(dtype: str) -> str:
    """Return the dtype in which numbers of ``dtype`` are added: halves in single precision, as ``jax.numpy`` does."""
    return "float32" if dtype in ("float16", "bfloat16") else dtype


@dataclass(frozen=True)
class Monoid:
    """A reduction.

    Attributes
    ----------
    name
        The op of the table that reduces an array by it.
    identity
        The element that changes no result. For ``argmax`` and ``argmin``, which fold pairs of a value and its position,
        that of the value.
    combine
        The op of the table that combines two arrays; ``None`` where the accumulator is more than one array, as the
        running maximum and sum of ``logsumexp``: ``lower/loops/accumulate.py`` has those.
    reduce
        The reduction of a whole stack along ``axis``; ``None`` where parallel loops have none.
    needs_elements
        The reduction of nothing is an error: the result is one of the elements, or its position.
    keeps_steps
        The derivative reads the steps' values, or how many of them are equal to the result. Accumulating such a
        reduction in the carry of a differentiated loop saves nothing.
    """

    name: MonoidName
    identity: Element
    combine: str | None = None
    reduce: Callable[..., Any] | None = None
    needs_elements: bool = False
    keeps_steps: bool = False


MONOIDS: dict[str, Monoid] = {
    monoid.name: monoid
    for monoid in (
        Monoid("sum", "zero", "add", jnp.sum),
        Monoid("prod", "one", "mul", jnp.prod, keeps_steps=True),
        Monoid("max", "least", "maximum", jnp.max, needs_elements=True, keeps_steps=True),
        Monoid("min", "greatest", "minimum", jnp.min, needs_elements=True, keeps_steps=True),
        Monoid("any", "zero", "logical_or"),
        Monoid("all", "one", "logical_and"),
        Monoid("logsumexp", "least", keeps_steps=True),
        Monoid("argmax", "least", needs_elements=True),
        Monoid("argmin", "greatest", needs_elements=True),
    )
}
"""Every reduction by the name of its op."""

REDUCTIONS: dict[str, Monoid] = {**MONOIDS, "mean": MONOIDS["sum"]}
"""The monoid that each reducing op folds by: a mean is a sum and a division."""
