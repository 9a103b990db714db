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
    """Arguments of a call, the options that all contenders take as keywords, and the start of what calls change."""

    arrays: tuple[Any, ...]
    options: Mapping[str, Any]
    state: tuple[Any, ...] = ()


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
    """Workload from data of a fixed seed; with ``draws``, functions take a key first, which every call splits.

    Functions of inputs with a state take that first, and return results and the state of the next call."""

    def make(scale: Scale) -> Contenders:
        arrays, options, state = data(np.random.default_rng(0), scale)
        arrays, state = tuple(map(on_device, arrays)), tuple(map(on_device, state))

        def program(function: Callable[..., Any]) -> Program:
            given = partial(function, **options)
            if state:
                return _carrying(given, state, arrays)
            return _drawing(given, arrays) if draws else _fixed(given, arrays)

        return Contenders(
            Symbolic(source, arrays, state, options),
            lambda: program(plain),
            None if tuned is None else lambda: program(tuned),
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

    return _carrying(run, jax.random.key(1234), arrays)


def _carrying(function: Callable[..., Any], state: Any, arrays: tuple[Any, ...]) -> Program:
    compiled, wide = jax.jit(lambda *given: function(*given)), _wide((*arrays, *jax.tree.leaves(state)))

    def call() -> Any:
        nonlocal state
        with jax.enable_x64(wide):
            found, state = compiled(state, *arrays)
        return found

    def lower() -> tuple[jax.stages.Lowered, ...]:
        with jax.enable_x64(wide):
            return (compiled.lower(state, *arrays),)

    return Program(call, lower)
