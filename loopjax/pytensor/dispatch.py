"""PyTensor's own JAX implementations of ops, for those without a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pytensor.graph.basic import Apply
from pytensor.graph.op import Op


@dataclass(frozen=True)
class Dispatched:
    """An op as a JAX function of its array inputs; equal for equal ops, so that equal nodes are computed once.

    ``others`` are the inputs that are no arrays, with their positions.
    """

    op: Op
    types: tuple[str, ...]
    others: tuple[tuple[int, Any], ...]
    implementation: Callable[..., Any] = field(compare=False)

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        inputs = list(arrays)
        for position, value in self.others:
            inputs.insert(position, value)
        made = self.implementation(*inputs)
        return tuple(made) if isinstance(made, (list, tuple)) else (made,)


def jax_dispatch() -> Any:
    """Return ``jax_funcify``. PyTensor turns JAX's x64 on when it is imported, and relies on that from then on."""
    from pytensor.link.jax.dispatch import jax_funcify

    return jax_funcify


def dispatch_of(node: Apply) -> Callable[..., Any] | Exception:
    """Return PyTensor's JAX implementation of a node's op, or the error that it raises."""
    try:
        found: Callable[..., Any] = jax_dispatch()(node.op, node=node)
    except Exception as error:
        return error
    return found


@dataclass(frozen=True)
class Sampled:
    """A random variable as a JAX function of a key and its parameters."""

    op: Op
    dtype: str
    size: tuple[int, ...] | None
    implementation: Callable[..., Any] = field(compare=False)

    def __call__(self, key: Any, *parameters: Any) -> Any:
        return self.implementation(key, self.size, self.dtype, *parameters)


def sampler_of(node: Apply) -> Callable[..., Any]:
    """Return PyTensor's JAX sampler of a random variable; raise what it raises where it has none."""
    jax_dispatch()
    from pytensor.link.jax.dispatch.random import jax_sample_fn

    found: Callable[..., Any] = jax_sample_fn(node.op, node=node)
    return found
