"""Values of ``sin``, ``cos`` and ``tan`` that many elements read: XLA on a CPU is kept from computing them for each.

XLA fuses what makes an array into the kernel of what reads it, unless it is expensive and read more than once for each
element, as where an array is broadcast; but it takes these three for cheap (``InstructionFusion::IsExpensive``). So a
map over rows that reads ``sin(p)`` computes it for every row. ``rem(y, inf)``, which is ``y``, is expensive there.

Microseconds of ``x * f(p)``, jaxlib 0.10.2, one core, float64, ``x`` of 195 rows of 2,126 values: ``sin`` 3,996 as it
is and 232 with the remainder, ``cos`` 4,170 and 221, ``tan`` 5,285 and 243. Of few values, LLVM moves the functions out
of its loops itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.extend.core import Literal

from loopjax.lower.jaxprs import equations_of, inlined, replaced_by_region
from loopjax.lower.primitives import ARITHMETIC, SAME_ELEMENTS

FUNCTIONS = {"sin": lax.sin, "cos": lax.cos, "tan": lax.tan}
CHEAP = (ARITHMETIC - {"rem"}) | SAME_ELEMENTS | {"rev", "slice", "transpose"}
"""Primitives that XLA fuses into what reads their results."""

LEAST_READS, LEAST_ELEMENTS = 8, 32
"""Elements that read one value from which it is kept, and elements of its array. A remainder takes 5 ns."""


def with_shared_functions(program: Any) -> Any:
    """Return a program in which XLA computes such values once; itself where it has none."""
    return replaced_by_region(program, _rule)


def _rule(region: Any) -> Callable[[Any], list[Any] | None]:
    shared = read_often(region, LEAST_READS, LEAST_ELEMENTS)

    def kept(equation: Any) -> list[Any] | None:
        run = FUNCTIONS.get(equation.primitive.name)
        if run is None or equation.outvars[0] not in shared:
            return None
        return inlined(partial(_expensive, partial(run, **equation.params)), equation.invars, equation.outvars)

    return kept


def read_often(region: Any, reads: int, elements: int) -> set[Any]:
    """The broadcast arrays of at least ``elements`` floats: each is read for at least ``reads`` elements of another
    array, directly or through cheap primitives, and computed that often, if it is cheap."""
    found = set[Any]()
    for equation in reversed(equations_of(region)):
        if equation.primitive.name not in CHEAP:
            continue
        result = equation.outvars[0]
        for operand in equation.invars:
            if isinstance(operand, Literal) or operand.aval.size < elements or not _is_float(operand.aval):
                continue
            if result.aval.size >= reads * operand.aval.size or result in found:
                found.add(operand)
    return found


def _is_float(type: Any) -> bool:
    return bool(jnp.issubdtype(type.dtype, jnp.floating))


def _expensive(run: Callable[[Any], Any], x: Any) -> Any:
    """``run(x)``, which is finite or not a number, as the result of a primitive that XLA takes for expensive."""
    y = run(x)
    return lax.rem(y, jnp.full_like(y, jnp.inf))
