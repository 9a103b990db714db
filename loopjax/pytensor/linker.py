"""``mode``: functions of PyTensor that run through LoopJAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from pytensor.compile.mode import Mode
from pytensor.graph.rewriting.db import RewriteDatabaseQuery
from pytensor.link.basic import JITLinker
from pytensor.tensor.random.type import RandomType

from loopjax.pytensor.from_pytensor import REWRITTEN, FromPyTensor, from_pytensor
from loopjax.pytensor.generators import generator_of, key_data
from loopjax.runtime.function import Function, function
from loopjax.runtime.x64 import with_x64

EXCLUDED = (
    "cxx_only",
    "BlasOpt",
    "fusion",
    "inplace",
    "local_careduce_fusion",
    "scan_save_mem",
    "scan_save_mem_prealloc",
    "scan_save_mem_no_prealloc",
    "scan_reduce_trace_prealloc",
    "scan_inplace",
    "scan_make_inplace",
    "scan_remove_constants_and_unused_inputs0",
    "local_subtensor_merge",
    "reuse_decomposition_multiple_solves",
    "scan_split_non_sequence_decomposition_and_solve",
)
"""Rewrites that LoopJAX or XLA does itself: fusion, work in place, and which rows of a loop are kept."""


class LoopJaxLinker(JITLinker):  # type: ignore[misc]
    """Links a PyTensor function as one LoopJAX function."""

    required_rewrites = ("minimum_compile",)
    incompatible_rewrites = EXCLUDED

    def fgraph_convert(self, fgraph: Any, *args: Any, **kwargs: Any) -> FromPyTensor:
        """Convert the function's graph."""
        return from_pytensor(fgraph.inputs, list(fgraph.outputs))

    def create_thunk_inputs(self, storage_map: dict[Any, Any]) -> list[Any]:
        """Return the cells in which the inputs are stored."""
        return [storage_map[variable] for variable in self.fgraph.inputs]

    def jit_compile(self, converted: FromPyTensor) -> Callable[..., list[Any]]:
        """Return the function of input values."""
        name = str(getattr(self.fgraph, "name", None) or "pytensor")
        compiled = function(
            converted.inputs, converted.outputs, mode=REWRITTEN, name=name, on_unused_input="ignore", results="jax"
        )
        keys = [place for place, one in enumerate(self.fgraph.inputs) if isinstance(one.type, RandomType)]
        generators = [isinstance(one.type, RandomType) for one in self.fgraph.outputs]
        call = Settling(compiled)

        def run_with_generators(*values: Any) -> list[Any]:
            read = list(values)
            for place in keys:
                read[place] = key_data(read[place])
            made = zip(generators, call(*read), strict=True)
            return [generator_of(value) if is_generator else value for is_generator, value in made]

        run: Any = run_with_generators if keys or any(generators) else call
        run.compiled = compiled
        run.fallbacks = converted.fallbacks
        return run

    def create_jitable_thunk(self, *args: Any) -> tuple[list[Any], list[Any], Any]:
        """Return PyTensor's thunk, or around it one that converts results where it stores them."""
        (general,), nodes, run = super().create_jitable_thunk(*args)
        if not isinstance(run, Settling) or not general.outputs:
            return [general], nodes, run
        as_array, flag, inputs, outputs = np.asarray, jax.enable_x64, general.inputs, general.outputs

        def thunk() -> None:
            direct = run.direct if flag.value else None
            if direct is None:
                return general()
            try:
                for cell, value in zip(outputs, direct(*[cell[0] for cell in inputs])):  # noqa: B905 - hot
                    cell[0] = as_array(value)
            except Exception:
                general()  # of other shapes; an error is reported better

        thunk.inputs, thunk.outputs, thunk.lazy = inputs, outputs, False  # type: ignore[attr-defined]
        return [thunk], nodes, run


COMPILATIONS = 3
"""Calls that compile before a function stays on the path that serves all shapes."""


class Settling:
    """A function of values that PyTensor has checked; it returns NumPy arrays.

    Once a call has compiled the program, ``jax.jit`` dispatches it, as in PyTensor's JAX mode, until other shapes come:
    ``direct``, for calls with JAX's x64 flag on. The flag is switched on where it is off.
    """

    compiled: Function
    fallbacks: Any

    def __init__(self, compiled: Function) -> None:
        self.compiled = compiled
        self.direct: Callable[..., Sequence[Any]] | None = None
        self._narrow: Callable[..., Sequence[Any]] | None = None
        self._left = COMPILATIONS

    def __call__(self, *values: Any) -> list[Any]:
        run = self.direct if jax.enable_x64.value else self._narrow  # which another thread may replace
        try:
            found = self._first(values) if run is None else run(*values)
        except Exception:
            if run is None:
                raise
            found = self._first(values)  # which reports an error better
        return [np.asarray(one) for one in found]

    def _first(self, values: Sequence[Any]) -> Sequence[Any]:
        """Call LoopJAX's function, and keep the program that ran."""
        found: Sequence[Any] = self.compiled(*values)
        self.direct = self.compiled.settled() if self._left else None
        self._narrow = None if self.direct is None else with_x64(self.direct)
        self._left = max(0, self._left - 1)
        return found


def mode(include: Sequence[str] = ("fast_run",), exclude: Sequence[str] = ()) -> Mode:
    """Return a mode for ``pytensor.function`` that runs functions through LoopJAX.

    PyTensor rewrites the graph first. Updates, shared variables, random generators, which advance, and ``givens`` work
    as in other modes; results are NumPy arrays. The compiled LoopJAX function, for ``loopjax.explain``, is
    ``f.vm.jit_fn.compiled``, and ``f.vm.jit_fn.fallbacks`` counts the ops that PyTensor's JAX implementation runs.

    Parameters
    ----------
    include, exclude : sequence of str, optional
        Tags of PyTensor's rewrites that run, and that do not. Rewrites for other backends never do.

    Returns
    -------
    pytensor.compile.mode.Mode
        The mode.

    Raises
    ------
    None.

    Examples
    --------
    >>> import pytensor
    >>> import pytensor.tensor as pt
    >>> import loopjax.pytensor
    >>> x = pt.dvector("x")
    >>> f = pytensor.function([x], (x**2).sum(), mode=loopjax.pytensor.mode())
    >>> f([1.0, 2.0])
    array(5.)
    """
    query = RewriteDatabaseQuery(include=list(include), exclude=[*EXCLUDED, *exclude])
    return Mode(LoopJaxLinker(), query)
