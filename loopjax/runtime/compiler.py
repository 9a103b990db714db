"""From a stage and the arrays of a call to an executable, kept for the next call like it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.ir.graph import Variable
from loopjax.ir.types import TensorType
from loopjax.rewrite.driver import rewrite
from loopjax.rewrite.target import Derivative, Target
from loopjax.runtime.program import Options
from loopjax.shapes.preconditions import check_trip_counts
from loopjax.shapes.specialize import specialize
from loopjax.shapes.stages import OutputSlice, Stage, specialization_key

if TYPE_CHECKING:
    from loopjax.lower.jit import Compiled

KEPT = 256
"""Compiled programs that a stage keeps; the least recently used goes first."""


class Ready(NamedTuple):
    """The arrays of a stage's inputs and the program that is compiled for them."""

    arrays: list[Any]
    program: Compiled


class CompiledStage:
    """A stage with its cache, keyed by the inputs' shapes and the values of lengths."""

    def __init__(
        self,
        stage: Stage,
        options: Options,
        donated: Collection[Variable] = (),
        derivative: Derivative = "none",
    ) -> None:
        self.stage = stage
        self._derivative: Derivative = derivative
        self._options = options
        self._donate = [position for position, variable in enumerate(stage.graph.inputs) if variable in donated]
        self._cache: OrderedDict[Any, Compiled] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def needed(self) -> set[Variable]:
        """The inputs whose values the host must know."""
        lengths = {self.stage.graph.inputs[position] for position in self.stage.length_inputs}
        return lengths.union(self.stage.checks.leaves)

    @property
    def programs(self) -> list[Compiled]:
        """The compiled programs at hand, the most recently used last."""
        with self._lock:
            return list(self._cache.values())

    def ready(self, values: Mapping[Variable, Any]) -> Ready | None:
        """What these inputs run, where it has been compiled; raises for trip counts that do not fit."""
        arrays = self._read(values)
        program = self._kept(specialization_key(self.stage, arrays))
        return None if program is None else Ready(arrays, program)

    def find(self, arrays: Sequence[Any]) -> Compiled:
        """The program for these inputs, compiled when it is called first."""
        place = specialization_key(self.stage, arrays)
        program = self._kept(place)
        if program is not None:
            return program
        made = self._make(arrays)
        with self._lock:
            program = self._cache.setdefault(place, made)
            if len(self._cache) > KEPT:
                self._cache.popitem(last=False)
        return program

    def _read(self, values: Mapping[Variable, Any]) -> list[Any]:
        """The arrays of the stage's inputs, trip counts among them checked."""
        arrays = [values[variable] for variable in self.stage.graph.inputs]
        if self.stage.checks.each:
            check_trip_counts(self.stage.checks, dict(zip(self.stage.graph.inputs, arrays, strict=True)))
        return arrays

    def _kept(self, place: Any) -> Compiled | None:
        """The program at hand, which is then the one most recently used."""
        with self._lock:
            program = self._cache.get(place)
            if program is not None:
                self._cache.move_to_end(place)
            return program

    def _make(self, arrays: Sequence[Any]) -> Compiled:
        # All rules of lowering and all passes: a part of the package's import time.
        from loopjax.lower.jit import Compiled
        from loopjax.rewrite.pipeline import sized

        graph = self.stage.graph
        types = [
            TensorType(variable.dtype, tuple(array.shape)) for variable, array in zip(graph.inputs, arrays, strict=True)
        ]
        values = {graph.inputs[position]: np.asarray(arrays[position]) for position in self.stage.length_inputs}
        known = specialize(graph, types, values)

        def compiled(target: Target) -> Compiled:
            planned = rewrite(known, sized(target))
            return Compiled(planned, self._options.name, self._donate, self._options.check_index)

        target = self._target(arrays)
        if not self._options.mode.tune:
            return compiled(target)
        from loopjax.runtime.autotune import tuned  # rarely needed

        return tuned(known, target, compiled, arrays)

    def _target(self, arrays: Sequence[Any]) -> Target:
        mode = self._options.mode
        return Target(
            jax.default_backend(),
            self._derivative,
            self._options.check_index,
            mode.reassociate,
            mode.without,
            all(map(_draws_apart, arrays)),
        )

    def run(self, values: Mapping[Variable, Any], ready: Ready | None = None) -> list[tuple[Variable, Any]]:
        """The stage's outputs, given the values of its inputs, and what ``ready`` says of them where it was asked."""
        arrays = self._read(values) if ready is None else ready.arrays
        program = self.find(arrays) if ready is None else ready.program
        outputs = program.call(*arrays)
        return [(variable, _picked(outputs, pick)) for variable, pick in self.stage.results]


def _draws_apart(array: Any) -> bool:
    """Whether an array is no key, or one that draws the same whatever others draw beside it."""
    return not jnp.issubdtype(array.dtype, jax.dtypes.prng_key) or array.dtype == _threefry()


@cache
def _threefry() -> Any:
    return jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32")).dtype


def _picked(outputs: Sequence[Any], pick: OutputSlice) -> Any:
    """One of the outputs."""
    array = outputs[pick.position]
    counts = [
        (axis, count if isinstance(count, int) else outputs[count.position].item()) for axis, count in pick.lengths
    ]
    return cut(array, counts) if counts else array


VIEW_BYTES = 2**19
"""Bytes from which on a view of an array costs less than a copy, on a CPU."""


def cut(array: Any, counts: Sequence[tuple[int, int]]) -> Any:
    """So many rows along these axes, taken on the host, where that compiles nothing: a copy; of a large array that is
    not much larger than what is taken, a view where the device's memory is the host's, which keeps all of it alive."""
    rows = [slice(None)] * array.ndim
    for axis, count in counts:
        rows[axis] = slice(count)
    part = np.asarray(array)[tuple(rows)]
    if part.shape == array.shape:
        return array
    if array.committed:
        return jax.device_put(part, array.sharding)
    return jax.device_put(part) if part.nbytes >= VIEW_BYTES and 2 * part.size >= array.size else jnp.array(part)
