"""A freshly built contender: its call, and the stages lowered for XLA."""

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
    """Call without arguments that returns arrays, and its lowered stages if it has a fixed program."""

    call: Callable[[], Any]
    lower: Lowered | None = None


def jitted(function: Callable[..., Any], *args: Any, wide: bool = False) -> Program:
    """Program of a function under ``jax.jit`` on these arguments; ``wide`` for 64-bit values.

    The function is wrapped anew, since JAX caches compiled programs by function. The x64 flag must be on for tracing
    and calls, so a wide call enters its context each time.
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
    """True if programs run on an accelerator."""
    return jax.default_backend() != "cpu"


def unroll(cpu: int, gpu: int) -> int:
    """Unroll factor of a loop written by hand for speed: fewer kernel launches pay on a GPU."""
    return gpu if on_gpu() else cpu


def symbolic(function: Function, *args: Any) -> Program:
    """Program of a LoopJAX function on these arguments."""

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
    """Wait for all arrays of a result."""
    wait: Callable[[Any], Any] = jax.block_until_ready
    return wait(result)
