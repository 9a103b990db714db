"""Results of a call as arrays that the caller's next operation can take: ``config.results``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import cache, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.ir.graph import Variable
from loopjax.ir.types import KEY, NARROW
from loopjax.runtime.program import OutputStructure

Convert = Callable[[Any], Any]
"""From results in the structure of a function's outputs to results in the same structure."""


def is_converted(policy: str, output: Variable) -> bool:
    """Test if results are turned into NumPy arrays by ``policy``, at least while JAX's x64 flag is off."""
    return policy != "jax" and (output.dtype in NARROW or (policy == "numpy" and output.dtype != KEY))


def converter(policy: str, outputs: Sequence[Variable], form: OutputStructure) -> Convert | None:
    """A function that turns results into NumPy arrays where ``policy`` asks for it; ``None`` where it never does.

    With ``"auto"`` these are 64-bit results while JAX's x64 flag is off: JAX would cut a ``jax.Array`` of such a dtype
    to 32 bits in the next operation. They are views of the arrays on a CPU, and no more to be written to than those;
    ``"numpy"`` copies.
    """
    every, chosen = policy == "numpy", [is_converted(policy, output) for output in outputs]
    if not any(chosen):
        return None
    flag, is_tree = jax.enable_x64, form.kind == "tree"

    to_numpy = np.array if every else np.asarray

    def of_array(array: Any, is_chosen: bool) -> Any:
        on_host = is_chosen and not isinstance(array, jax.core.Tracer) and is_addressable(array)
        return to_numpy(array) if on_host else array

    def convert(results: Any) -> Any:
        if flag.value and not every:
            return results
        if is_tree:
            return jax.tree.unflatten(form.tree, map(of_array, jax.tree.leaves(results), chosen))
        if isinstance(results, list):
            return list(map(of_array, results, chosen))
        if isinstance(results, dict):
            return dict(zip(results, map(of_array, results.values(), chosen), strict=True))
        return of_array(results, True)

    return convert


@cache
def _is_alone() -> bool:
    """Test if there is one process only: then arrays need not be asked, which takes 2 us each."""
    return jax.process_count() == 1


def holds(array: Any, kinds: Sequence[str]) -> bool:
    """Test if an array of floats has a NaN or an infinity (``kinds``: nan, inf); false for ``None`` and random keys."""
    if array is None or not jnp.issubdtype(array.dtype, jnp.inexact):
        return False
    return bool(marked(np.asarray(array) if is_addressable(array) else array, kinds).any())


def marked(array: Any, kinds: Sequence[str]) -> Any:
    """True at the elements of an array that are NaN or infinite (``kinds``: nan, inf)."""
    tests: Any = np if isinstance(array, np.ndarray) else jnp
    return reduce(operator.or_, [getattr(tests, f"is{kind}")(array) for kind in kinds])


def is_addressable(array: Any) -> bool:
    """Test if this process has all of an array: other processes may have parts of one."""
    return _is_alone() or bool(getattr(array, "is_fully_addressable", True))
