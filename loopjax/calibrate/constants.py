"""Measurement of the cost model's constants: the time of each primitive per element, and of storing and reading a byte.

Each is the median, over several sizes, of the time by size; its residual is the root mean square of their relative
deviations from it.
"""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.calibrate.timing import least
from loopjax.lower.jit import PASSES, rewritten
from loopjax.rewrite.cost_model import RETAINED_BYTES, Constants, Measurement

SIZES = (1000, 2000, 4000, 8000)
"""Elements of the arrays that primitives are measured on: all fit in the first cache."""

REPEATS = 100
"""Runs of a primitive in a program, so that calling it does not count."""

UNARY: dict[str, Callable[[Any], Any]] = {
    name: getattr(lax, name)
    for name in (
        *("exp", "exp2", "tanh", "logistic", "sqrt", "rsqrt", "log", "log1p", "expm1", "erf", "sin", "cos", "tan"),
        *("asin", "acos", "atan", "sinh", "cosh", "asinh", "atanh", "cbrt", "erfc", "erf_inv", "lgamma", "digamma"),
    )
}
PRIMITIVES: dict[str, Callable[[Any], Any]] = {
    **UNARY,
    "acosh": lambda x: lax.acosh(1.0 + x),
    "div": lambda x: lax.div(lax.full_like(x, 1.5), x),
    "pow": lambda x: lax.pow(x, x),
    "atan2": lambda x: lax.atan2(x, 1.0 - x),
}
"""Primitives of JAX that cost more than an addition, as functions of values in (0, 1)."""


def measured(quick: bool = False) -> Constants:
    """Measure all constants, or ``quick`` a few of them."""
    names, sizes = (("exp", "log"), SIZES[:2]) if quick else (tuple(PRIMITIVES), SIZES)
    values = {}
    for dtype in ("float32", "float64"):
        base = [_elementwise(lambda x: x, size, dtype) for size in sizes]
        for name in names:
            took = [_elementwise(PRIMITIVES[name], size, dtype) for size in sizes]
            values[f"{name} {dtype}"] = slope(sizes, np.maximum(np.subtract(took, base), 0))
    values["storing"] = storing(RETAINED_BYTES, sizes)
    values["storing uncached"] = storing(RETAINED_BYTES * (2 if quick else 16), sizes)
    machine = f"{platform.machine()}, {os.cpu_count()} processors"
    return Constants(machine, jax.__version__, datetime.date.today().isoformat(), values)


def _elementwise(function: Callable[[Any], Any], size: int, dtype: str) -> float:
    """Nanoseconds that a function takes on an array."""
    start = jnp.linspace(0.1, 0.9, size, dtype=dtype)

    def run(start: Any) -> Any:
        # The operand differs from run to run, so that nothing moves out of the loop.
        return lax.fori_loop(0, REPEATS, lambda step, total: total + function(start + 1e-7 * total), start)

    program = jax.jit(rewritten(run, PASSES["cpu_forms"] if jax.default_backend() == "cpu" else ()))
    return 1e9 * least(lambda: program(start), 9) / REPEATS


def storing(total: int, rows: Sequence[int] = SIZES) -> Measurement:
    """Nanoseconds to store and to read back a byte of a stack of ``total`` bytes, row by row."""
    sizes = [total // (8 * row) * 8 * row for row in rows]
    return slope(sizes, [_stacked(row, total // (8 * row)) for row in rows])


def _stacked(row: int, steps: int) -> float:
    """Nanoseconds that a stack of float64 rows adds to a loop and to one that goes back."""

    def run(start: Any, stacks: bool) -> Any:
        def back(total: Any, saved: Any) -> tuple[Any, None]:
            return total * 0.9 + (saved if stacks else last), None

        last, stack = lax.scan(lambda h, _: (0.5 * h + 0.1, h if stacks else None), start, None, steps)
        return lax.scan(back, start, stack, steps, reverse=True)[0]

    start = jnp.linspace(0.0, 1.0, row, dtype="float64")
    with_stack, without = (jax.jit(lambda start, stacks=stacks: run(start, stacks)) for stacks in (True, False))
    return 1e9 * (least(lambda: with_stack(start)) - least(lambda: without(start)))


def slope(sizes: Sequence[float], took: Any) -> Measurement:
    """The median of the times by size, and its residual."""
    each = np.asarray(took) / np.asarray(sizes)
    value = float(np.median(each))
    residual = float(np.sqrt(np.mean((each / value - 1) ** 2))) if value > 0 else 0.0
    return Measurement(round(value, 3), round(residual, 2))
