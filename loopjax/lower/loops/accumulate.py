"""Accumulators: reductions over steps, and single steps, in the carry of a loop.

Most are a monoid of one array (``ir/monoid.py``). Some carry more: ``logsumexp`` its running maximum (Milakov and
Gimelshein 2018, Online normalizer calculation for softmax), ``argmax`` and ``argmin`` the step that holds the extreme,
a ``sum`` in single precision more digits, since XLA sums a stack pairwise, and step by step a plain sum would be less
exact: it has double precision or, with JAX's x64 off, its rounding error beside it (Kahan 1965, Further remarks on
reducing truncation errors). That takes up to six times as long: 10,000 steps of 16 values, one core, jax 0.10.2. Up to
``PLAIN_STEPS`` XLA adds a stack up in order too (``tree_reduction_rewriter.cc``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.ir.fill import filled
from loopjax.ir.monoid import MONOIDS, Element, Monoid, element
from loopjax.ir.op import computed
from loopjax.ir.scan import Accumulator
from loopjax.ir.types import TensorType, jax_dtype

WIDER = {"float32": "float64", "complex64": "complex128"}
"""Dtypes of sums in twice the precision."""

PLAIN_STEPS = 32
"""Terms up to which a sum step by step is as exact as that of a stack."""


class Accumulated(NamedTuple):
    """An accumulator's value and the number of steps so far: the scan's own step numbers would be a stack."""

    value: Any
    count: Any


def start(spec: Accumulator, type: TensorType, n_steps: int | None) -> Accumulated:
    """Return the accumulator before step 0 of ``n_steps`` at most of an output whose steps have this type."""
    spec = spec._replace(dtype=jax_dtype(spec.dtype))
    if spec.kind == "sum" and spec.dtype in WIDER and isinstance(n_steps, int) and n_steps <= PLAIN_STEPS:
        return Accumulated(jnp.zeros(type.sizes, spec.dtype), jnp.zeros((), "int32"))
    return Accumulated(RULES[spec.kind].start(spec, type.sizes, type.dtype), jnp.zeros((), "int32"))


def push(spec: Accumulator, past: Accumulated, new: Any) -> Accumulated:
    """Return the accumulator after one more step gave ``new``."""
    return Accumulated(RULES[spec.kind].push(spec, past.value, new, past.count), past.count + 1)


def finish(spec: Accumulator, past: Accumulated, n_steps: Any) -> Any:
    """Return the result after ``n_steps`` steps."""
    return RULES[spec.kind].finish(past.value, n_steps).astype(jax_dtype(spec.dtype))


def whole(spec: Accumulator, stack: Any) -> Any:
    """Return the result for a stack of all steps."""
    stack = stack.astype(jax_dtype(spec.dtype))
    if spec.monoid is None:
        return stack[spec.step]
    assert spec.monoid.reduce is not None
    return spec.monoid.reduce(stack, axis=0)


class Rule(NamedTuple):
    """The initial value, the update by one step, and the result of one kind of accumulator."""

    start: Callable[[Accumulator, tuple[int, ...], str], Any]
    push: Callable[[Accumulator, Any, Any, Any], Any]
    finish: Callable[[Any, Any], Any] = lambda value, n_steps: value


def _of_monoid(monoid: Monoid) -> Rule:
    """Return the rule of a monoid whose accumulator is one array."""
    combine = monoid.combine
    assert combine is not None

    def start(spec: Accumulator, shape: tuple[int, ...], dtype: str) -> Any:
        return jnp.full(shape, element(monoid.identity, spec.dtype), spec.dtype)

    def push(spec: Accumulator, value: Any, new: Any, count: Any) -> Any:
        return computed(combine, value, new.astype(value.dtype))

    return Rule(start, push, _or_fill) if monoid.needs_elements else Rule(start, push)


def _or_fill(value: Any, n_steps: Any) -> Any:
    """Return an extreme, or for no steps what a read out of bounds gives."""
    if isinstance(n_steps, int) and n_steps > 0:
        return value
    return jnp.where(n_steps == 0, filled((), value.dtype), value)


class Compensated(NamedTuple):
    """A sum as it is rounded, and by how much it is too large."""

    sum: Any
    error: Any


def _start_sum(spec: Accumulator, shape: tuple[int, ...], dtype: str) -> Any:
    """Return the sum of no terms, in double precision where JAX has it."""
    wide = WIDER.get(spec.dtype, spec.dtype)
    zero = jnp.zeros(shape, jax_dtype(wide))
    return zero if zero.dtype == wide else Compensated(zero, zero)


def _push_sum(spec: Accumulator, value: Any, new: Any, count: Any) -> Any:
    """Add one term; no derivative flows through what is rounded."""
    if not isinstance(value, Compensated):
        return value + new.astype(value.dtype)
    term = new.astype(value.sum.dtype) - value.error
    total = value.sum + term
    error = lax.stop_gradient((total - value.sum) - term)
    return Compensated(total, jnp.where(jnp.isfinite(total), error, 0))


class LogSum(NamedTuple):
    """The greatest value so far, and the sum of all ``exp(value - most)``: as exact as from a stack.

    Their logarithm does not depend on ``most``, so no derivative flows through it.
    """

    most: Any
    sum: Any


def _start_log_sum(spec: Accumulator, shape: tuple[int, ...], dtype: str) -> LogSum:
    """Return the sum of no exponentials."""
    return LogSum(jnp.full(shape, -jnp.inf, spec.dtype), jnp.zeros(shape, spec.dtype))


def _push_log_sum(spec: Accumulator, value: LogSum, new: Any, count: Any) -> LogSum:
    """Add one exponential, and rescale the sum where it is the largest (streaming logsumexp)."""
    new = new.astype(value.most.dtype)
    fixed = lax.stop_gradient(new)
    # The difference of two infinities of one sign would be NaN; of two signs, exp(-inf) drops the lesser.
    apart = jnp.where(fixed == value.most, 0, fixed - value.most)
    lesser = jnp.exp(-jnp.abs(apart))
    term = _exponential(new, jnp.where(apart > 0, 1, lesser))
    return LogSum(jnp.maximum(value.most, fixed), value.sum * jnp.where(apart > 0, lesser, 1) + term)


@jax.custom_jvp
def _exponential(x: Any, value: Any) -> Any:
    """Return ``value``, with the derivative of a multiple of ``exp(x)``."""
    return value


@_exponential.defjvp
def _exponential_tangent(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the derivative of ``exp(x)`` times a constant factor."""
    _, value = primals
    return value, value * tangents[0]


class Best(NamedTuple):
    """The extreme so far, and the first step that has it."""

    value: Any
    step: Any


def _best(identity: Element, is_worse: Callable[[Any, Any], Any]) -> Rule:
    """Return the rule of an extreme's first position."""

    def start(spec: Accumulator, shape: tuple[int, ...], dtype: str) -> Best:
        return Best(jnp.full(shape, element(identity, dtype), dtype), jnp.zeros(shape, "int32"))

    def push(spec: Accumulator, value: Best, new: Any, count: Any) -> Best:
        new = lax.stop_gradient(new)
        # The first NaN is the extreme.
        better = ~is_worse(new, value.value) & (value.value == value.value)
        return Best(jnp.where(better, new, value.value), jnp.where(better, count, value.step))

    return Rule(start, push, lambda value, n_steps: value.step.astype(int))


def _start_step(spec: Accumulator, shape: tuple[int, ...], dtype: str) -> Any:
    """Return the value of a step that has not run."""
    return filled(shape, spec.dtype)


def _push_step(spec: Accumulator, value: Any, new: Any, count: Any) -> Any:
    """Take the value of one step."""
    return jnp.where(count == spec.step, new.astype(value.dtype), value)


RULES: dict[str, Rule] = {
    **{name: _of_monoid(monoid) for name, monoid in MONOIDS.items() if monoid.combine is not None},
    "sum": Rule(_start_sum, _push_sum, lambda value, n_steps: value.sum if isinstance(value, Compensated) else value),
    "logsumexp": Rule(_start_log_sum, _push_log_sum, lambda value, n_steps: value.most + jnp.log(value.sum)),
    "argmax": _best(MONOIDS["argmax"].identity, lambda new, best: new <= best),
    "argmin": _best(MONOIDS["argmin"].identity, lambda new, best: new >= best),
    "at": Rule(_start_step, _push_step),
}
