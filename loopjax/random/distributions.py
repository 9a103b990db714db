"""The distributions: one row each, from a key and parameters to draws, by ``jax.random``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from loopjax.config import config
from loopjax.tensor.lengths import holes, size_list
from loopjax.trace.convert import as_variable
from loopjax.trace.graph import Constant, Variable, apply
from loopjax.trace.methods import word
from loopjax.trace.op import call, register
from loopjax.trace.types import KEY, Shape, TensorType, broadcast_shapes

LAST_STEP = 2**32 - 1
"""What a key is folded with when the call or the loop that drew from it ends; no step has this number."""


class Distribution(NamedTuple):
    """A distribution's parameters by name with their defaults, and whether its draws are integers."""

    parameters: dict[str, Any]
    discrete: bool


DISTRIBUTIONS: dict[str, Distribution] = {}
"""Every distribution, by name."""

REQUIRED = object()
"""The default of a parameter that has none."""


def distribution(
    name: str,
    sample: Callable[..., Any],
    parameters: dict[str, Any],
    *,
    discrete: bool = False,
    events: tuple[int, ...] = (),
    event_shape: Callable[..., Shape] | None = None,
) -> None:
    """Registers a distribution.

    ``sample(key, *parameters, shape=, dtype=)`` gets parameters of dtype floatX (or int64, where a default is an int)
    and the shape of the result without that of one draw, which ``event_shape(*types)`` gives. ``events`` are the
    numbers of axes of each parameter for one draw, 0 unless given.
    """
    axes = events or (0,) * len(parameters)

    def batch_shape(shapes: Iterable[Shape]) -> Shape:
        return broadcast_shapes(*(shape[: len(shape) - n] for shape, n in zip(shapes, axes, strict=True)))

    def infer(key: TensorType, *types: TensorType, lengths: Shape | None, dtype: str) -> TensorType:
        if key.dtype != KEY:
            raise TypeError(f"a draw reads a key, got {key}")
        inner = event_shape(*types) if event_shape is not None else ()
        batch = batch_shape(type.shape for type in types)
        if lengths is None:
            return TensorType(dtype, (*batch, *inner))
        if broadcast_shapes(batch, lengths) != tuple(lengths) and None not in (*batch, *lengths):
            raise ValueError(f"{name} with parameters of shape {batch} does not draw an array of size {lengths}")
        return TensorType(dtype, (*lengths, *inner))

    def run(key: Any, *values: Any, lengths: tuple[int, ...] | None, dtype: str) -> Any:
        shape = batch_shape(jnp.shape(value) for value in values) if lengths is None else lengths
        return sample(key, *values, shape=shape, dtype=dtype)

    register(f"draw_{name}", run, infer)
    DISTRIBUTIONS[name] = Distribution(parameters, discrete)


def draw(name: str, key: Variable, values: dict[str, Any], size: Any, dtype: Any = None) -> Variable:
    """Records a draw of ``size`` (that of the parameters where ``None``) with ``key``."""
    spec = DISTRIBUTIONS[name]
    to = str(jnp.dtype(dtype)) if dtype is not None else "int64" if spec.discrete else config.floatX
    given = [_parameter(values[parameter], default) for parameter, default in spec.parameters.items()]
    if size is None:
        return apply(call(f"draw_{name}", lengths=None, dtype=to), key, *given)[0]
    static, symbolic = holes(size_list(size, "size"), "size")
    return apply(call(f"draw_{name}", lengths=static, dtype=to), key, *given, *symbolic)[0]


def _parameter(value: Any, default: Any) -> Variable:
    variable = as_variable(value)
    wanted = "int64" if isinstance(default, type) and default is int else config.floatX
    if variable.type.weak or isinstance(variable, Constant) or variable.type.is_integer != (wanted == "int64"):
        return variable.astype(wanted)
    return variable


def _advance_type(key: TensorType) -> TensorType:
    return key


register("advance", lambda key: jax.random.fold_in(key, LAST_STEP), _advance_type)


@word
def advance(key: Variable) -> Variable:
    """The key that a stream goes on with after a call or a loop that drew with ``key``."""
    return apply(call("advance"), key)[0]


def _uniform(key: Any, low: Any, high: Any, shape: tuple[int, ...], dtype: str) -> Any:
    return jax.random.uniform(key, shape, dtype) * (high - low).astype(dtype) + low.astype(dtype)


def _normal(key: Any, loc: Any, scale: Any, shape: tuple[int, ...], dtype: str) -> Any:
    return jax.random.normal(key, shape, dtype) * scale.astype(dtype) + loc.astype(dtype)


def _bernoulli(key: Any, p: Any, shape: tuple[int, ...], dtype: str) -> Any:
    return jax.random.bernoulli(key, p, shape).astype(dtype)


def _binomial(key: Any, n: Any, p: Any, shape: tuple[int, ...], dtype: str) -> Any:
    return jax.random.binomial(key, n.astype(p.dtype), p, shape, dtype=p.dtype).astype(dtype)


def _integers(key: Any, low: Any, high: Any, shape: tuple[int, ...], dtype: str) -> Any:
    return jax.random.randint(key, shape, low, high, dtype)


def _categorical(key: Any, p: Any, shape: tuple[int, ...], dtype: str) -> Any:
    return jax.random.categorical(key, jnp.log(p), shape=shape).astype(dtype)


def _multinomial(key: Any, n: Any, p: Any, shape: tuple[int, ...], dtype: str) -> Any:
    counts = jax.random.multinomial(key, n.astype(p.dtype), p, shape=(*shape, p.shape[-1]))
    return counts.astype(dtype)


distribution("uniform", _uniform, {"low": 0.0, "high": 1.0})
distribution("normal", _normal, {"loc": 0.0, "scale": 1.0})
distribution("bernoulli", _bernoulli, {"p": 0.5}, discrete=True)
distribution("binomial", _binomial, {"n": int, "p": REQUIRED}, discrete=True)
distribution("integers", _integers, {"low": int, "high": int}, discrete=True)
distribution("categorical", _categorical, {"p": REQUIRED}, discrete=True, events=(1,))
distribution(
    "multinomial",
    _multinomial,
    {"n": int, "p": REQUIRED},
    discrete=True,
    events=(0, 1),
    event_shape=lambda n, p: p.shape[-1:],
)
