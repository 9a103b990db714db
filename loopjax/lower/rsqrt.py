"""Quotients by square roots that XLA on a CPU vectorizes: ``x / sqrt(y)`` is kept from becoming ``x * rsqrt(y)``.

XLA makes that product of each such quotient, also of the one in the gradient of ``sqrt``, and LLVM has no vector form
of its float64 ``rsqrt``: a kernel that holds one computes an element at a time, all of its other functions too. A
``reduce_precision`` to float64's own bits compiles to nothing and hides the square root.

Time of a loop as it is over that of the loop rewritten, jaxlib 0.10.2, float64, outlined:

| step | 1 | 16 | 24 | 32 | 64 | 1,000 | 20,000 elements |
|---|---|---|---|---|---|---|---|
| ``x / sqrt(1 + x * x)`` | 1.0 | 1.0 | 1.0 | 1.0 | 3.2 | 3.7 | 3.9 |
| ``tanh(x) / sqrt(1 + x * x)`` | 0.9 | 1.0 | 1.0 | 2.7 | 3.1 | 3.5 | 3.4 |
| ``rsqrt(0.01 + x * x) ** 3`` | 1.0 | 1.0 | 2.4 | 2.6 | 3.2 | 3.7 | 3.9 |
"""

from __future__ import annotations

from functools import partial
from typing import Any

from jax import lax

from loopjax.lower.jaxprs import inlined, is_float64, replaced

EXPONENT_BITS, MANTISSA_BITS = 11, 52
"""Bits of the exponent and the mantissa of a float64."""

LEAST_ELEMENTS = 24
"""Elements of an array from which LLVM vectorizes a loop over it, where it unrolls shorter ones."""


def without_rsqrt(program: Any) -> Any:
    """Return a program in which XLA leaves quotients by square roots as they are; itself where it has none."""
    return replaced(program, _kept)


def _kept(equation: Any) -> list[Any] | None:
    run = FUNCTIONS.get(equation.primitive.name)
    if run is None or not is_float64(equation.outvars[0], LEAST_ELEMENTS):
        return None
    return inlined(partial(run, **equation.params), equation.invars, equation.outvars)


def _sqrt(x: Any, **params: Any) -> Any:
    return lax.reduce_precision(lax.sqrt(x, **params), EXPONENT_BITS, MANTISSA_BITS)


FUNCTIONS = {"sqrt": _sqrt, "rsqrt": lambda x, **params: 1.0 / _sqrt(x, **params)}
"""Functions in place of primitives, by name."""
