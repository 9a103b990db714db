"""Logarithms of float64 arrays that XLA on a CPU vectorizes: ``log`` and ``log1p`` as polynomials.

XLA has vector forms of ``exp``, ``tanh`` and ``erf``, but calls the C library's ``log`` for each float64 element, of a
``log1p`` too, which it computes beside a rational function. Here the exponent is split off by bits, and the
logarithm of the rest is a polynomial, as in fdlibm's ``e_log.c`` and ``s_log1p.c`` (Sun Microsystems, 1993): with
``s = f / (2 + f)``, ``log(1 + f) = 2 s + s R(s**2)``. The coefficients of ``R`` were fitted by Remez's algorithm.

Nanoseconds an element as they are, and as polynomials, jaxlib 0.10.2, one core, arguments of the order of 1:

| loop | 8 | 12 | 16 | 24 | 64 | 1,000 elements |
|---|---|---|---|---|---|---|
| ``log`` | 5.0, 6.2 | 4.7, 4.1 | 4.6, 3.0 | 5.0, 2.7 | 5.5, 2.1 | 5.5, 2.1 |
| its gradient | 7.7, 8.6 | 8.1, 6.7 | 7.7, 4.9 | 6.4, 3.9 | 6.6, 3.1 | 6.6, 3.2 |
| ``log1p`` | 6.2, 6.3 | 7.5, 4.0 | 7.4, 4.1 | 10.1, 2.8 | 11.2, 2.3 | 11.4, 2.4 |
| ``logaddexp`` | 11.7, 12.3 | 11.5, 5.6 | 11.3, 5.9 | 11.3, 5.4 | 11.1, 4.7 | 11.1, 4.7 |
| ``softplus`` | 11.5, 11.8 | 11.4, 10.1 | 11.3, 10.4 | 10.9, 5.7 | 10.8, 4.6 | 11.4, 4.7 |
| its gradient | 18.8, 19.8 | 13.5, 17.5 | 13.8, 17.6 | 13.7, 8.2 | 13.6, 7.1 | 13.9, 7.2 |

XLA computes a polynomial again for each element that reads it, a ``log`` once, so logarithms that a broadcast reads are
left: with polynomials, Sinkhorn's steps in log space and their gradient, 48 by 48 values, took 1.25 times as long.

XLA fuses what ``argmax`` reads into its loop, which LLVM does not vectorize: with noise ``-log(-log(u))`` for an
``argmax`` of 7 and of 50 values it took 1.6 and 1.3 times as long. Logarithms that it reads are left.

Sums of logarithms of 4,096 values and more, which XLA gives to a library that has a vector form, take 1.05 to 1.18
times as long.

Of 4,000,000 arguments of all magnitudes each, the error is at most 0.80 units in the last place for ``log`` (0.51 as it
is) and for ``log1p`` (128, near -0.414). Subnormal numbers are zeros, as everywhere in XLA on a CPU.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.lower.clusters import variables
from loopjax.lower.jaxprs import (
    CALLS,
    LOOPS,
    equations_of,
    inlined,
    inner_equations,
    is_float64,
    regions,
    replaced_by_region,
)
from loopjax.lower.rsqrt import EXPONENT_BITS, MANTISSA_BITS
from loopjax.lower.shared_functions import CHEAP, read_often

LEAST_ELEMENTS = 12
"""Elements of an array from which the polynomial is faster."""

LEAST_READS = 3
"""Elements that read one logarithm from which it is left: XLA would compute the polynomial for each of them."""

LEAST_IN_ALL, UNKNOWN_STEPS = 4096, 100
"""Elements in a program from which they pay for another thread, to which XLA gives a program of 1,000 operations and
more for 25 us (``cheap_computation_`` of ``cpu_client.cc``), and steps of a loop whose length is not known."""

COEFFICIENTS = (
    *(0.6666666666666734, 0.39999999999414676, 0.2857142874238801, 0.22222198573157717),
    *(0.18183564327007024, 0.15314050539471846, 0.14795949746504108),
)
"""Of ``R(z) / z``, from low to high, for ``z`` up to ``(sqrt(2) - 1)**4``; the error of ``R`` is below ``2**-58``."""

BIAS = 1023
"""The exponent of 1."""

ONE, ROOT_HALF = np.array([1.0, math.sqrt(0.5)]).view(np.uint64)
LN2_HIGH = float.fromhex("0x1.62e42fefa0000p-1")
LN2_LOW = float.fromhex("0x1.cf79abc9e3b3ap-40")
"""The logarithm of 2 in two parts, whose first is exact times an exponent."""


def with_polynomials(program: Any) -> Any:
    """Return a program in which logarithms of float64 arrays are polynomials; itself where it has few."""
    return replaced_by_region(program, _rule) if _elements(program) >= LEAST_IN_ALL else program


def _rule(region: Any) -> Callable[[Any], list[Any] | None]:
    left = read_often(region, LEAST_READS, LEAST_ELEMENTS) | _compared(region)

    def polynomial(equation: Any) -> list[Any] | None:
        if left.isdisjoint(equation.outvars):
            return _polynomial(equation)
        return [equation] if equation.primitive.name in CALLS else None  # what a call takes logarithms for

    return polynomial


def _compared(region: Any) -> set[Any]:
    """The variables that an ``argmax`` or ``argmin`` reads, directly or through primitives that XLA fuses into it."""
    found = set[Any]()
    for equation in reversed(equations_of(region)):
        inner = {one.primitive.name for one in (equation, *inner_equations(equation))}
        compares = not inner.isdisjoint(COMPARISONS) and inner.isdisjoint(LOOPS)
        is_fused = equation.primitive.name in FUSED and not found.isdisjoint(equation.outvars)
        if compares or is_fused:
            found.update(variables(equation.invars))
    return found


def _elements(region: Any) -> int:
    """Elements of float64 arrays whose logarithms a program takes, in all steps of its loops."""
    count = 0
    for equation in equations_of(region):
        if equation.primitive.name in FUNCTIONS and is_float64(equation.outvars[0], LEAST_ELEMENTS):
            count += equation.outvars[0].aval.size
        steps = equation.params.get("length", UNKNOWN_STEPS) if equation.primitive.name in LOOPS else 1
        count += steps * sum(map(_elements, regions(equation)))
    return count


def _polynomial(equation: Any) -> list[Any] | None:
    run = FUNCTIONS.get(equation.primitive.name)
    if run is None or not is_float64(equation.outvars[0], LEAST_ELEMENTS):
        return None
    return inlined(run, equation.invars, equation.outvars)


def _log(x: Any) -> Any:
    return _log_of_sum(x, 0.0)


def _log1p(x: Any) -> Any:
    rounded = lax.reduce_precision(1.0 + x, EXPONENT_BITS, MANTISSA_BITS)  # or XLA makes x of rounded - 1.0
    rest = (x - (rounded - 1.0)) / rounded
    return lax.select(x == 0.0, x, _log_of_sum(rounded, rest))


def _log_of_sum(x: Any, rest: Any) -> Any:
    """The logarithm of ``x (1 + rest)``, with a ``rest`` of the order of a rounding error."""
    bits = lax.bitcast_convert_type(x, jnp.uint64) + (ONE - ROOT_HALF)
    biased = (bits >> np.uint64(MANTISSA_BITS)) | np.array(2.0**MANTISSA_BITS).view(np.uint64)
    exponent = lax.bitcast_convert_type(biased, jnp.float64) - (2.0**MANTISSA_BITS + BIAS)
    mantissa = (bits & np.uint64(2**MANTISSA_BITS - 1)) + ROOT_HALF
    f = lax.bitcast_convert_type(mantissa, jnp.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    even, odd = (_horner(COEFFICIENTS[place::2], z * z) for place in (0, 1))
    half = 0.5 * f * f
    low = s * (half + z * (even + z * odd)) + (exponent * LN2_LOW + rest)
    value = exponent * LN2_HIGH - ((half - low) - f)
    below = lax.select(x == 0.0, jnp.full_like(x, -jnp.inf), jnp.full_like(x, jnp.nan))
    return lax.select(x > 0.0, lax.select(x == jnp.inf, x, value), below)


def _horner(coefficients: Sequence[float], x: Any) -> Any:
    """A polynomial, its coefficients from low to high."""
    return functools.reduce(lambda total, each: total * x + each, coefficients[-2::-1], coefficients[-1])


FUNCTIONS = {"log": _log, "log1p": _log1p}
"""Functions in place of primitives, by name."""

COMPARISONS, FUSED = {"argmax", "argmin"}, CHEAP | FUNCTIONS.keys()
"""Reductions that LLVM does not vectorize, and what XLA computes in their loops."""
