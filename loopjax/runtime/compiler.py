"""The compiler pipeline, from a recorded graph to an executable: every stage of it is called here and nowhere else.

    record            the user's calls make a graph (``trace``), ``program.collect`` closes it
    symbolic passes   rewrites that need no shapes: ``simplify``
                      and, for a derivative that JAX may take, ``build``
    pad               capacity for lengths that vary from call to call: ``build``
    split             a stage ends where a length must be read back before the rest has a shape: ``build``
    and for each set of shapes and lengths, in ``CompiledStage``:
    specialize        shapes and lengths become numbers
    sized passes      rewrites that need shapes; the last one plans how each loop is lowered
    lower, jit        a JAX function, and XLA's executable of it

``function``, ``to_jax``, ``eval`` and ``explain`` share these calls. With ``config.verify`` the output of each stage is
verified. This module imports all passes and lowering rules, which take longer to import than the rest of the package:
what only records a program imports it when a program is first compiled.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import numpy as np

from loopjax.config import config
from loopjax.errors import coded, where
from loopjax.ir.graph import Graph, Variable
from loopjax.ir.scan import UNTIL_STEPS, Scan
from loopjax.ir.symbolic_sizes import is_symbolic
from loopjax.ir.types import TensorType
from loopjax.ir.verify import verify
from loopjax.lower.jit import Compiled
from loopjax.rewrite.driver import rewrite
from loopjax.rewrite.pipeline import sized, symbolic, symbolic_under
from loopjax.rewrite.target import NEEDS_SIZES, Derivative, Target
from loopjax.runtime.program import Options, Program
from loopjax.runtime.results import is_addressable
from loopjax.runtime.x64 import is_key
from loopjax.shapes.inspector import counted_first
from loopjax.shapes.padding.pad import pad
from loopjax.shapes.padding.spec import Padded, Padding
from loopjax.shapes.preconditions import check_trip_counts
from loopjax.shapes.specialize import specialize
from loopjax.shapes.stages import OutputSlice, Stage, specialization_key, split
from loopjax.trace.shared import SharedVariable

KEPT = 256
"""Compiled programs that a stage keeps; the least recently used is dropped first."""


def simplify(program: Program) -> Program:
    """The program after the symbolic passes. Runs once for each function."""
    verify(program.graph)
    return replace(program, graph=rewrite(program.graph, symbolic(program.options.mode.without)))


def build(
    program: Program,
    padding: Padding,
    *,
    derivative: Derivative = "none",
    fixed_lengths: bool = False,
    check: Callable[[Padded], None] | None = None,
) -> tuple[Padded, tuple[CompiledStage, ...], frozenset[SharedVariable]]:
    """Pads a simplified program and splits it into stages, each compiled per shapes and lengths.

    Returns the padded program, its stages, and the shared variables whose old values a run overwrites.
    ``derivative`` may be taken of the whole program by JAX. With ``fixed_lengths``, lengths are numbers when JAX traces
    it, so that loops under a derivative need no bound. ``check`` raises for a program that the caller cannot run.
    """
    graph = rewrite(program.graph, symbolic_under(derivative, fixed_lengths, program.options.mode.without))
    if not padding.inlined:
        graph = counted_first(graph, UNTIL_STEPS)  # buffers of that many rows would fill the memory
    padded = pad(graph, padding)
    if config.verify:
        verify(padded.graph, after="pad")
    if check is not None:
        check(padded)
    stages = split(padded.graph)
    # A check that fails after the run leaves the state as it was.
    keeps = len(stages) > 1 or padded.axes or padded.assertions or program.options.check_index
    overwrites = program.options.inplace and not keeps
    donated = frozenset(program.state.overwritable(graph.outputs) if overwrites else ())
    return padded, tuple(CompiledStage(stage, program.options, donated, derivative) for stage in stages), donated


class Bound(NamedTuple):
    """A hit of the cache: a compiled program and its arguments."""

    program: Compiled
    arrays: list[Any]


class CompiledStage:
    """A stage and its cache of compiled programs, keyed by the shapes of its inputs and the values of lengths."""

    def __init__(self, stage: Stage, options: Options, donated: Collection[Variable], derivative: Derivative) -> None:
        self.stage = stage
        self._derivative = derivative
        self._options = options
        self._donate = [position for position, variable in enumerate(stage.graph.inputs) if variable in donated]
        self._cache: OrderedDict[Any, Compiled] = OrderedDict()
        self._lock = threading.RLock()  # as in Dispatch

    @property
    def host_inputs(self) -> set[Variable]:
        """The inputs whose values the host must read."""
        lengths = {self.stage.graph.inputs[position] for position in self.stage.length_inputs}
        return lengths.union(self.stage.checks.leaves)

    @property
    def programs(self) -> list[Compiled]:
        """The compiled programs in the cache, the most recently used last."""
        with self._lock:
            return list(self._cache.values())

    def cached(self, values: Mapping[Variable, Any]) -> Bound | None:
        """The program that is in the cache for these inputs, if there is one; raises for trip counts that do not
        fit."""
        arrays = self.arrays(values)
        program = self._cached(specialization_key(self.stage, arrays))
        return None if program is None else Bound(program, arrays)

    def find(self, arrays: Sequence[Any]) -> Compiled:
        """The program for these inputs, from the cache or made for it; XLA compiles it at its first call."""
        cache_key = specialization_key(self.stage, arrays)
        program = self._cached(cache_key)
        if program is not None:
            return program
        made = self._make(arrays)
        with self._lock:
            program = self._cache.setdefault(cache_key, made)
            if len(self._cache) > KEPT:
                self._cache.popitem(last=False)
        return program

    def run(self, values: Mapping[Variable, Any], bound: Bound | None = None) -> list[tuple[Variable, Any]]:
        """The outputs of the stage for these inputs, or for ``bound``, what ``cached`` returned for them."""
        arrays = self.arrays(values) if bound is None else bound.arrays
        program = self.find(arrays) if bound is None else bound.program
        outputs = program.compiled(arrays)(*arrays)
        return [(variable, select(outputs, pick)) for variable, pick in self.stage.results]

    def arrays(self, values: Mapping[Variable, Any]) -> list[Any]:
        """The arrays of the stage's inputs, after checks of trip counts among them."""
        arrays = [values[variable] for variable in self.stage.graph.inputs]
        if self.stage.checks.each:
            check_trip_counts(self.stage.checks, dict(zip(self.stage.graph.inputs, arrays, strict=True)))
        return arrays

    def _cached(self, cache_key: Any) -> Compiled | None:
        """The program of a key, marked as the most recently used."""
        with self._lock:
            program = self._cache.get(cache_key)
            if program is not None:
                self._cache.move_to_end(cache_key)
            return program

    def _make(self, arrays: Sequence[Any]) -> Compiled:
        """Specializes, rewrites, plans and lowers the stage for these inputs."""
        graph = self.stage.graph
        pairs = zip(graph.inputs, arrays, strict=True)
        types = [TensorType(variable.dtype, tuple(array.shape)) for variable, array in pairs]
        lengths = {graph.inputs[position]: np.asarray(arrays[position]) for position in self.stage.length_inputs}
        known = specialize(graph, types, lengths)
        if config.verify:
            verify(known, after="specialize", stage="sized")
        _check_memory(known)

        def planned(target: Target) -> Graph:
            with jax.sharding.use_abstract_mesh(NO_MESH):  # passes trace bodies for arrays of no sharding
                graph = rewrite(known, sized(target))
            if config.verify:
                verify(graph, after="plan", stage="planned")
            return graph

        def compiled(target: Target) -> Compiled:
            options, names = self._options, target.by_itself
            plain = partial(planned, replace(target, loop_kernels=False, made={})) if "loop_kernels" in names else None
            return Compiled(planned(target), options.name, self._donate, options.check_index, names, plain)

        target = self._target(arrays)
        # A checkpoint bounds the memory, and a function of a loop copies its first state.
        if known.holds(lambda node: isinstance(node.op, Scan) and node.op.checkpoint is not None):
            target = replace(target, without=target.without | {"small_loops"})
        if not self._options.mode.tune:
            return compiled(target)
        from loopjax.runtime.autotune import tuned  # rarely needed

        return tuned(known, target, compiled, arrays)

    def _target(self, arrays: Sequence[Any]) -> Target:
        mode, check_index, apart = self._options.mode, self._options.check_index, all(map(_draws_apart, arrays))
        symbolic = any(is_symbolic(size) for array in arrays for size in array.shape)
        without = mode.without | NEEDS_SIZES if symbolic else mode.without
        backend, kernels = jax.default_backend(), mode.loop_kernels
        return Target(backend, self._derivative, check_index, mode.reassociate, without, apart, kernels)


def _check_memory(graph: Graph) -> None:
    """Raises ``MemoryError`` for a result that no device holds; XLA finds out after the call and may end the process.

    An intermediate value may be larger: XLA may never store it.
    """
    most = _memory()
    for output in graph.outputs:
        if most and output.type.concrete and output.type.bytes > most:
            raise coded(MemoryError, "LJ803")(
                f"a result {output.type} has {output.type.bytes:.3g} bytes, and there are {most:.3g} in all; look at "
                f"the lengths that it is made of{where(output.sources)}"
            )


@cache
def _memory() -> int:
    """The bytes of all devices, or where they do not say, of the machine; 0 where nobody knows."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return int(stats["bytes_limit"]) * jax.device_count()
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _draws_apart(array: Any) -> bool:
    """Test if an array is no random key, or a threefry key: those draw the same numbers in any batch."""
    return not is_key(array) or array.dtype == _threefry()


@cache
def _threefry() -> Any:
    """The dtype of threefry keys."""
    return jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32")).dtype


NO_MESH = jax.sharding.AbstractMesh((), ())

VIEW_BYTES = 2**19
"""Bytes from which on a view of an array costs less than a copy, on a CPU."""


def select(outputs: Sequence[Any], pick: OutputSlice, on_host: bool = False) -> Any:
    """One result of a stage, sliced to its length where its buffer has capacity for more.

    It is sliced on the host, since a slice on the device compiles for every length. The result is a copy; for a large
    array that is not much larger than its slice, a view where the memory of the device is that of the host, which keeps
    the whole buffer alive. With ``on_host`` it stays a NumPy array, read-only.
    """
    array = outputs[pick.position]
    if not pick.lengths:
        return array
    index = [slice(None)] * array.ndim
    for axis, count in pick.lengths:
        index[axis] = slice(count if isinstance(count, int) else int(np.asarray(outputs[count.position])))
    if not is_addressable(array) or is_key(array):
        return array[tuple(index)]
    rows = np.asarray(array)[tuple(index)]
    if rows.shape == array.shape:
        return array
    is_view = rows.nbytes >= VIEW_BYTES and 2 * rows.size >= array.size
    if on_host:
        kept = rows if is_view else rows.copy()
        kept.setflags(write=False)
        return kept
    if array.committed:
        return jax.device_put(rows, array.sharding)
    return jax.device_put(rows if is_view else rows.copy())
