"""Elementary functions as XLA on a CPU vectorizes them: ``exp``, ``expm1``, ``log`` and ``log1p`` as polynomials.

XLA has vector forms of ``exp``, ``tanh`` and ``erf``, but calls the C library's ``log`` for each float64 element, of a
``log1p`` too, which it computes beside a rational function. Here the exponent is split off by bits, and the
logarithm of the rest is a polynomial, as in fdlibm's ``e_log.c`` and ``s_log1p.c`` (Sun Microsystems, 1993): with
``s = f / (2 + f)``, ``log(1 + f) = 2 s + s R(s**2)``. The coefficients of ``R`` were fitted by Remez's algorithm.

LLVM replaces ``exp`` by its vector form in loops only, and unrolls loops over few elements before that: there it is a
call for each element, and nothing beside it is vectorized. So of arrays of one axis and few elements it is here
``2**n exp(r)``, where ``n`` is ``x / log(2)`` rounded, and ``exp(r)`` is ``1 + r + r c / (2 - c)`` with a series for
``c``, as in fdlibm's ``e_exp.c``. ``expm1``, which XLA computes by ``tanh`` and ``exp``, is ``2**n expm1(r)`` and
``2**n - 1``.

Nanoseconds an element as they are, and as polynomials, jaxlib 0.10.2, one core, arguments of the order of 1:

| loop, float64 | 4 | 8 | 12 | 16 | 24 | 64 | 1,000 elements |
|---|---|---|---|---|---|---|---|
| ``log`` | | 5.0, 6.2 | 4.7, 4.1 | 4.6, 3.0 | 5.0, 2.7 | 5.5, 2.1 | 5.5, 2.1 |
| its gradient | | 7.7, 8.6 | 8.1, 6.7 | 7.7, 4.9 | 6.4, 3.9 | 6.6, 3.1 | 6.6, 3.2 |
| ``log1p`` | | 6.2, 6.3 | 7.5, 4.0 | 7.4, 4.1 | 10.1, 2.8 | 11.2, 2.3 | 11.4, 2.4 |
| ``exp`` | 16.7, 14.2 | 11.7, 5.5 | 11.0, 4.1 | 10.8, 4.1 | 12.0, 4.0 | 4.1, 4.5 | 4.0, 4.1 |
| ``exp``, float32 | 13.7, 15.7 | 12.7, 5.5 | 7.0, 3.7 | 9.5, 3.0 | 7.8, 2.3 | 1.8, 2.3 | 1.4, 1.7 |
| ``expm1`` | 32.7, 21.0 | 25.0, 5.8 | 25.4, 5.5 | 7.0, 4.4 | 7.2, 4.3 | 10.7, 5.9 | 7.6, 4.0 |
| ``expm1``, float32 | 19.9, 14.4 | 20.6, 5.5 | 14.3, 4.0 | 18.6, 2.9 | 3.4, 2.4 | 2.5, 1.9 | 2.7, 2.0 |
| softmax | 23.4, 24.6 | 24.1, 13.2 | 16.5, 8.9 | 17.9, 8.7 | 15.6, 7.9 | 8.5, 6.3 | 6.5, 6.3 |
| ``logistic`` | 28.0, 23.2 | 14.6, 6.2 | 7.5, 3.7 | 7.2, 3.1 | 7.0, 2.8 | 2.9, 2.9 | 2.6, 3.0 |
| ``logaddexp`` | 42.3, 32.5 | 36.0, 11.4 | 29.5, 9.0 | 28.6, 7.4 | 12.3, 5.3 | 12.0, 5.4 | 11.4, 4.7 |
| ``softplus`` | 29.1, 21.8 | 22.8, 10.2 | 28.9, 8.8 | 28.7, 9.6 | 18.0, 7.8 | 16.3, 6.3 | 16.5, 5.9 |
| ``log``, float32 | 12.2, 10.9 | 10.3, 6.2 | 11.4, 5.5 | 7.0, 3.1 | 2.0, 2.5 | | |
| ``log1p``, float32 | 19, 16 | 16, 7.2 | 13, 5.0 | 13, 3.8 | 2.8, 2.9 | 2.4, 2.1 | 2.2, 1.6 |
| ``softplus``, float32 | 36.8, 24.3 | 27.1, 9.3 | 27.0, 9.2 | 24.5, 5.6 | 3.7, 3.0 | 3.9, 2.9 | 3.8, 2.7 |

All at LLVM's level 3, but ``log`` and ``log1p`` of 24 float32 elements. At level 2 (``compiler_options``) XLA's ``exp``
of 24 float64 elements takes 3.7, so the polynomial ends before.

Logarithms of 4 to 11 float64 elements are polynomials beside an exponential of as many elements: elsewhere XLA's are as
fast. ``tanh`` stays: by ``expm1``, of 8 to 16 elements, it took 0.5 to 0.7 of the time alone, but 0.9 to 1.2 in four
recurrent networks.

XLA computes a polynomial again for each element that reads it, a ``log`` once, so logarithms that a broadcast reads are
left: with polynomials, Sinkhorn's steps in log space and their gradient, 48 by 48 values, took 1.25 times as long.

XLA fuses what ``argmax`` reads into its loop, which LLVM does not vectorize: with noise ``-log(-log(u))`` for an
``argmax`` of 7 and of 50 values it took 1.6 and 1.3 times as long. Logarithms that it reads are left.

Sums of logarithms of 4,096 values and more, which XLA gives to a library that has a vector form, take 1.05 to 1.18
times as long.

Of some million arguments each, the error is at most 0.80 units in the last place for ``log`` (0.51 as it is) and for
``log1p`` (128, near -0.414), 1.0 for ``exp`` (1.7), 2.1 for ``expm1`` (4.2) and 2.3 for ``logistic``. Subnormal numbers
are zeros, as everywhere in XLA on a CPU.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.lower.clusters import variables
from loopjax.lower.jaxprs import equations_of, inlined, inner_equations, is_float64, regions, replaced_by_region
from loopjax.lower.primitives import CALLS, LOOPS
from loopjax.lower.shared_functions import CHEAP, read_often

ANY = sys.maxsize
SHORT = {"float64": range(4, 17), "float32": range(8, 25)}
ELEMENTS = {
    "exp": SHORT,
    "logistic": SHORT,
    "expm1": {"float64": range(2, ANY), "float32": range(2, 24)},
    "log": {"float64": range(12, ANY), "float32": range(8, 24)},
    "log1p": {"float64": range(12, ANY), "float32": range(8, ANY)},
}
"""Elements of an array for which polynomials are faster, by primitive and dtype: of any shape where there is no end, of
one axis where there is, since XLA is slow in short loops only then."""

LEAST_BESIDE = 4
"""Elements from which the polynomial of a float64 logarithm is faster beside an exponential of as many elements."""

LEAST_READS = 3
"""Elements that read one logarithm from which it is left: XLA would compute the polynomial for each of them."""

LEAST_IN_ALL, UNKNOWN_STEPS = 4096, 100
"""Values of functions in a program from which polynomials pay for another thread, to which XLA gives a program of 1,000
operations and more for 25 us (``cheap_computation_`` of ``cpu_client.cc``), and steps of a loop whose length is not
known."""

COEFFICIENTS = (
    *(0.6666666666666734, 0.39999999999414676, 0.2857142874238801, 0.22222198573157717),
    *(0.18183564327007024, 0.15314050539471846, 0.14795949746504108),
)
"""Of ``R(z) / z``, from low to high, for ``z`` up to ``(sqrt(2) - 1)**4``; the error of ``R`` is below ``2**-58``."""

SERIES = (1 / 6, -1 / 360, 1 / 15120, -1 / 604800, 1 / 23950080, -691 / 653837184000)
"""Of ``(r coth(r / 2) - 2) / r**2`` in ``r**2``, from low to high."""


class Format(NamedTuple):
    """A format of floats, and what its polynomials need."""

    exponent: int
    """Bits of the exponent."""
    mantissa: int
    """Bits of the mantissa."""
    ln2_high: float
    """The logarithm of 2, rounded so that its products with exponents are exact."""
    ln2_low: float
    """The rest of it."""
    log_terms: int
    """Terms of `COEFFICIENTS`."""
    exp_terms: int
    """Terms of `SERIES`."""
    least: float
    """Below it ``expm1(x)`` is -1."""

    @property
    def bias(self) -> int:
        """The exponent of 1."""
        return int(2 ** (self.exponent - 1)) - 1


FORMATS = {
    "float64": Format(
        11, 52, float.fromhex("0x1.62e42fefa0000p-1"), float.fromhex("0x1.cf79abc9e3b3ap-40"), 7, 6, -40.0
    ),
    "float32": Format(8, 23, 0.693359375, -2.12194440e-4, 4, 3, -20.0),
}


def with_polynomials(program: Any) -> Any:
    """Return a program in which these functions of arrays are polynomials; itself where it has few."""
    return replaced_by_region(program, _rule) if _elements(program) >= LEAST_IN_ALL else program


def _rule(region: Any) -> Callable[[Any], list[Any] | None]:
    left = read_often(region, LEAST_READS, LEAST_BESIDE) | _compared(region)
    sizes = _exponential_sizes(region)

    def polynomial(equation: Any) -> list[Any] | None:
        if not left.isdisjoint(equation.outvars):
            return [equation] if equation.primitive.name in CALLS else None  # what a call takes logarithms for
        if not _is_taken(equation, sizes):
            return None
        return inlined(FUNCTIONS[equation.primitive.name], equation.invars, equation.outvars)

    return polynomial


def _exponential_sizes(region: Any) -> set[int]:
    """The elements of arrays whose exponentials a region takes by polynomials."""
    exponentials = [one for one in equations_of(region) if one.primitive.name in EXPONENTIALS and _is_taken(one, ())]
    return {one.outvars[0].aval.size for one in exponentials}


def _is_taken(equation: Any, exponentials: Collection[int]) -> bool:
    """Test if a polynomial is faster, in a region that takes exponentials of arrays of these sizes."""
    name = equation.primitive.name
    if name not in FUNCTIONS:
        return False
    aval = equation.outvars[0].aval
    elements = ELEMENTS[name].get(str(aval.dtype), range(0))
    if aval.size in elements:
        return elements.stop == ANY or aval.shape[-1:] == (aval.size,)
    return name in ("log", "log1p") and is_float64(equation.outvars[0], LEAST_BESIDE) and aval.size in exponentials


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
    """Values of these functions that a program computes, in all steps of its loops."""
    count, sizes = 0, _exponential_sizes(region)
    for equation in equations_of(region):
        if _is_taken(equation, sizes):
            count += equation.outvars[0].aval.size
        steps = equation.params.get("length", UNKNOWN_STEPS) if equation.primitive.name in LOOPS else 1
        count += steps * sum(map(_elements, regions(equation)))
    return count


def _log(x: Any) -> Any:
    return _log_of_sum(x, 0.0)


def _log1p(x: Any) -> Any:
    kind = FORMATS[str(x.dtype)]
    rounded = lax.reduce_precision(1.0 + x, kind.exponent, kind.mantissa)  # or XLA makes x of rounded - 1.0
    rest = (x - (rounded - 1.0)) / rounded
    return lax.select(x == 0.0, x, _log_of_sum(rounded, rest))


def _log_of_sum(x: Any, rest: Any) -> Any:
    """The logarithm of ``x (1 + rest)``, with a ``rest`` of the order of a rounding error."""
    kind, word = FORMATS[str(x.dtype)], np.dtype(f"uint{8 * x.dtype.itemsize}").type
    whole = 2.0**kind.mantissa
    one, root_half, offset = np.array([1.0, math.sqrt(0.5), whole], x.dtype).view(word)
    bits = lax.bitcast_convert_type(x, word) + (one - root_half)
    exponent = lax.bitcast_convert_type((bits >> word(kind.mantissa)) | offset, x.dtype) - (whole + kind.bias)
    mantissa = (bits & word(2**kind.mantissa - 1)) + root_half
    f = lax.bitcast_convert_type(mantissa, x.dtype) - 1.0
    s = f / (2.0 + f)
    z = s * s
    even, odd = (_horner(COEFFICIENTS[: kind.log_terms][place::2], z * z) for place in (0, 1))
    half = 0.5 * f * f
    low = s * (half + z * (even + z * odd)) + (exponent * kind.ln2_low + rest)
    value = exponent * kind.ln2_high - ((half - low) - f)
    below = lax.select(x == 0.0, jnp.full_like(x, -jnp.inf), jnp.full_like(x, jnp.nan))
    return lax.select(x > 0.0, lax.select(x == jnp.inf, x, value), below)


def _horner(coefficients: Sequence[float], x: Any) -> Any:
    """A polynomial, its coefficients from low to high."""
    return functools.reduce(lambda total, each: total * x + each, coefficients[-2::-1], coefficients[-1])


def _exp(x: Any) -> Any:
    kind = FORMATS[str(x.dtype)]
    n, difference = _reduced(x, -kind.bias * math.log(2), kind)
    highest = n > kind.bias
    scale = _power_of_two(lax.select(highest, n - 1, n), kind)
    return (1 + difference) * scale * lax.select(highest, jnp.full_like(x, 2), jnp.full_like(x, 1))


def _logistic(x: Any) -> Any:
    return 1 / (1 + _exp(-x))


def _expm1(x: Any) -> Any:
    kind = FORMATS[str(x.dtype)]
    n, difference = _reduced(x, kind.least, kind)
    half = _power_of_two(n - 1, kind)
    is_own = lax.abs(x) < 2.0 ** -(kind.mantissa + 2)  # the smallest would be subnormal with half
    return lax.select(is_own, x, 2 * (difference * half + (half - 0.5)))


def _reduced(x: Any, least: float, kind: Format) -> tuple[Any, Any]:
    """``n`` and ``expm1(r)``, where ``x``, or ``least``, is ``n log(2) + r`` with an integer ``n`` and the least ``r``.

    XLA takes a division for expensive, so that it computes none twice for two kernels that read it.
    """
    x = lax.clamp(np.asarray(least, x.dtype), x, np.asarray((kind.bias + 1.4) * math.log(2), x.dtype))
    n = lax.round(x * (1 / math.log(2)), lax.RoundingMethod.TO_NEAREST_EVEN)
    r = (x - n * kind.ln2_high) - n * kind.ln2_low
    c = r - r * r * _horner(SERIES[: kind.exp_terms], r * r)
    return n, r + r * c / (2 - c)


def _power_of_two(n: Any, kind: Format) -> Any:
    """``2**n`` for an integral float ``n``; zero where that is subnormal."""
    word = np.dtype(f"int{8 * n.dtype.itemsize}").type
    biased = n.astype(jnp.int32).astype(word) + word(kind.bias)
    return lax.bitcast_convert_type(biased << word(kind.mantissa), n.dtype)


EXPONENTIALS = {"exp": _exp, "logistic": _logistic}
FUNCTIONS = {"log": _log, "log1p": _log1p, "expm1": _expm1, **EXPONENTIALS}
"""Functions in place of primitives, by name."""

COMPARISONS, FUSED = {"argmax", "argmin"}, CHEAP | FUNCTIONS.keys()
"""Reductions that LLVM does not vectorize, and what XLA computes in their loops."""
