"""A contender, freshly built: what a call does, and what XLA was given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from loopjax.runtime.function import Function

Lowered = Callable[[], tuple[jax.stages.Lowered, ...]]


@dataclass(frozen=True)
class Program:
    """A call without arguments that returns arrays, and where there is one way to see it, its stages as lowered."""

    call: Callable[[], Any]
    lower: Lowered | None = None


def jitted(function: Callable[..., Any], *args: Any, wide: bool = False) -> Program:
    """A function under ``jax.jit`` on these arguments; ``wide`` for 64-bit values.

    The function is wrapped anew, since JAX remembers what it has compiled for a function that it has seen. The x64 flag
    must be on for tracing and calls alike, so a wide call enters its context each time.
    """
    compiled = jax.jit(lambda *given: function(*given))
    if not wide:
        return Program(lambda: compiled(*args), lambda: (compiled.lower(*args),))

    def call() -> Any:
        with jax.enable_x64(True):
            return compiled(*args)

    def lower() -> tuple[jax.stages.Lowered, ...]:
        with jax.enable_x64(True):
            return (compiled.lower(*args),)

    return Program(call, lower)


def on_gpu() -> bool:
    """Whether programs run on an accelerator."""
    return jax.default_backend() != "cpu"


def unroll(cpu: int, gpu: int) -> int:
    """Steps of an iteration of a loop that is written by hand for speed: on a GPU it pays to launch fewer kernels."""
    return gpu if on_gpu() else cpu


def symbolic(function: Function, *args: Any) -> Program:
    """A LoopJAX function on these arguments."""

    def lower() -> tuple[jax.stages.Lowered, ...]:
        lowered = function.lower(*args)
        return lowered if isinstance(lowered, tuple) else (lowered,)

    return Program(lambda: function(*args), lower)


def on_device(array: Any) -> jax.Array:
    """The array on the default device, of exactly its dtype."""
    with jax.enable_x64(True):
        placed: jax.Array = jax.device_put(np.asarray(array))
    return placed


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> jax.Array:
    """Normal draws on the default device, float32."""
    return on_device((scale * rng.normal(size=shape)).astype("float32"))


def waited(result: Any) -> Any:
    """The result once all of its arrays are there."""
    wait: Callable[[Any], Any] = jax.block_until_ready
    return wait(result)
