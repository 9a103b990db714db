"""Workload of an application: its data, its symbolic program and two functions in JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.compare import TIGHT, Compare
from benchmarks.program import Program, jitted, on_device
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload


class Inputs(NamedTuple):
    """Arguments of a call, and the options that all contenders take as keywords."""

    arrays: tuple[Any, ...]
    options: Mapping[str, Any]


def inputs(*arrays: Any, **options: Any) -> Inputs:
    """Arrays and options of a workload."""
    return Inputs(arrays, options)


def task(
    name: str,
    what: str,
    source: Callable[..., Any],
    data: Callable[[np.random.Generator, Scale], Inputs],
    plain: Callable[..., Any],
    tuned: Callable[..., Any] | None = None,
    compare: Compare = TIGHT,
    draws: bool = False,
) -> Workload:
    """Workload from data of a fixed seed; with ``draws``, functions take a key first, which every call splits."""
    program = _drawing if draws else _fixed

    def make(scale: Scale) -> Contenders:
        arrays, options = data(np.random.default_rng(0), scale)
        arrays = tuple(map(on_device, arrays))
        return Contenders(
            Symbolic(source, arrays, options=options),
            lambda: program(partial(plain, **options), arrays),
            None if tuned is None else lambda: program(partial(tuned, **options), arrays),
        )

    return Workload(name, what, make, compare, grows_to=0)


def _wide(arrays: tuple[Any, ...]) -> bool:
    return any(array.dtype == np.float64 for array in arrays)


def _fixed(function: Callable[..., Any], arrays: tuple[Any, ...]) -> Program:
    return jitted(function, *arrays, wide=_wide(arrays))


def _drawing(function: Callable[..., Any], arrays: tuple[Any, ...]) -> Program:
    def run(key: Any, *arrays: Any) -> tuple[Any, Any]:
        key, used = jax.random.split(key)
        return function(used, *arrays), key

    compiled, wide = jax.jit(run), _wide(arrays)
    key = jax.random.key(1234)

    def call() -> Any:
        nonlocal key
        with jax.enable_x64(wide):
            found, key = compiled(key, *arrays)
        return found

    def lower() -> tuple[jax.stages.Lowered, ...]:
        with jax.enable_x64(wide):
            return (compiled.lower(key, *arrays),)

    return Program(call, lower)
