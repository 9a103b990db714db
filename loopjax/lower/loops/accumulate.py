"""Reductions over steps, and single steps, gathered in the carry of a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.ir.scan import Accumulator
from loopjax.ir.types import fill_value


class Gathered(NamedTuple):
    """What is gathered, and the number of steps so far: the scan's own numbers would be a stack."""

    value: Any
    count: Any


def start(fold: Accumulator, shape: tuple[int, ...], dtype: str) -> Gathered:
    """The fold before step 0 of an output whose steps have this shape and ``dtype``."""
    return Gathered(KINDS[fold.kind].start(fold, shape, dtype), jnp.zeros((), "int32"))


def push(fold: Accumulator, past: Gathered, new: Any) -> Gathered:
    """The fold after one more step gave ``new``."""
    return Gathered(KINDS[fold.kind].push(fold, past.value, new, past.count), past.count + 1)


def finish(fold: Accumulator, past: Gathered, n_steps: Any) -> Any:
    """What has been gathered after ``n_steps`` steps."""
    return KINDS[fold.kind].finish(past.value, n_steps).astype(fold.dtype)


class Kind(NamedTuple):
    """How one kind of fold begins, what a step does to it, and what it is in the end."""

    start: Callable[[Accumulator, tuple[int, ...], str], Any]
    push: Callable[[Accumulator, Any, Any, Any], Any]
    finish: Callable[[Any, Any], Any]


class Exponentials(NamedTuple):
    """The greatest value so far, and the sum of all ``exp(value - most)``: as exact as from a stack.

    Their logarithm does not depend on ``most``, so no derivative flows through it.
    """

    most: Any
    sum: Any


class Best(NamedTuple):
    """The extreme so far, and the first step that has it."""

    value: Any
    step: Any


def _as_it_is(value: Any, n_steps: Any) -> Any:
    return value


def _accumulation(neutral: int, combine: Callable[[Any, Any], Any]) -> Kind:
    return Kind(
        lambda fold, shape, dtype: jnp.full(shape, neutral, fold.dtype),
        lambda fold, value, new, count: combine(value, new.astype(fold.dtype)),
        _as_it_is,
    )


def _extreme(sign: int, combine: Callable[[Any, Any], Any]) -> Kind:
    return Kind(
        lambda fold, shape, dtype: jnp.full(shape, _end(fold.dtype, -sign), fold.dtype),
        lambda fold, value, new, count: combine(value, new.astype(fold.dtype)),
        lambda value, n_steps: _or_fill(value, n_steps),
    )


def _end(dtype: str, sign: int) -> Any:
    """The greatest value of a dtype, or the least."""
    if jnp.issubdtype(dtype, jnp.inexact):
        return sign * jnp.inf
    if np.dtype(dtype) == np.bool_:
        return sign > 0
    return np.iinfo(dtype).max if sign > 0 else np.iinfo(dtype).min


def _or_fill(value: Any, n_steps: Any) -> Any:
    """An extreme of no steps is what a read out of bounds gives."""
    if isinstance(n_steps, int) and n_steps > 0:
        return value
    return jnp.where(n_steps == 0, jnp.asarray(fill_value(value.dtype), value.dtype), value)


def _exponentials(fold: Accumulator, shape: tuple[int, ...], dtype: str) -> Exponentials:
    return Exponentials(jnp.full(shape, -jnp.inf, fold.dtype), jnp.zeros(shape, fold.dtype))


def _add_exponential(fold: Accumulator, value: Exponentials, new: Any, count: Any) -> Exponentials:
    new = new.astype(fold.dtype)
    fixed = lax.stop_gradient(new)
    # Infinities of one sign: their difference is none. Of two, exp(-inf) drops the lesser.
    apart = jnp.where(fixed == value.most, 0, fixed - value.most)
    lesser = jnp.exp(-jnp.abs(apart))
    term = _exponential(new, jnp.where(apart > 0, 1, lesser))
    return Exponentials(jnp.maximum(value.most, fixed), value.sum * jnp.where(apart > 0, lesser, 1) + term)


@jax.custom_jvp
def _exponential(x: Any, value: Any) -> Any:
    """``value``, which is that of ``exp(x)`` times a number."""
    return value


@_exponential.defjvp
def _exponential_tangent(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    _, value = primals
    return value, value * tangents[0]


def _log_sum(value: Exponentials, n_steps: Any) -> Any:
    return value.most + jnp.log(value.sum)


def _best(sign: int) -> Kind:
    def push(fold: Accumulator, value: Best, new: Any, count: Any) -> Best:
        new = lax.stop_gradient(new)
        # The first NaN is the extreme.
        better = ~(new <= value.value if sign > 0 else new >= value.value) & (value.value == value.value)
        return Best(jnp.where(better, new, value.value), jnp.where(better, count, value.step))

    return Kind(
        lambda fold, shape, dtype: Best(jnp.full(shape, _end(dtype, -sign), dtype), jnp.zeros(shape, "int32")),
        push,
        lambda value, n_steps: value.step.astype("int64"),
    )


def _at(fold: Accumulator, value: Any, new: Any, count: Any) -> Any:
    return jnp.where(count == fold.step, new.astype(fold.dtype), value)


def whole(fold: Accumulator, stack: Any) -> Any:
    """The fold over all steps at once."""
    stack = stack.astype(fold.dtype)
    return stack[fold.step] if fold.kind == "at" else WHOLE[fold.kind](stack, axis=0)


WIDER = {"float32": "float64", "complex64": "complex128"}
"""In what sums of floats are taken step by step: those of a stack are taken in parts, which is as exact."""


def _sum(fold: Accumulator, shape: tuple[int, ...], dtype: str) -> Any:
    return jnp.zeros(shape, WIDER.get(fold.dtype, fold.dtype))


def _add(fold: Accumulator, value: Any, new: Any, count: Any) -> Any:
    return value + new.astype(value.dtype)


KINDS: dict[str, Kind] = {
    "sum": Kind(_sum, _add, _as_it_is),
    "prod": _accumulation(1, jnp.multiply),
    "max": _extreme(1, jnp.maximum),
    "min": _extreme(-1, jnp.minimum),
    "any": _accumulation(0, jnp.logical_or),
    "all": _accumulation(1, jnp.logical_and),
    "logsumexp": Kind(_exponentials, _add_exponential, _log_sum),
    "argmax": _best(1),
    "argmin": _best(-1),
    "at": Kind(lambda fold, shape, dtype: jnp.full(shape, fill_value(fold.dtype), fold.dtype), _at, _as_it_is),
}

WHOLE: dict[str, Callable[..., Any]] = {"sum": jnp.sum, "prod": jnp.prod, "max": jnp.max, "min": jnp.min}
"""Of a stack of steps along its first axis."""
