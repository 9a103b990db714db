"""From a stage and the arrays of a call to an executable, kept for the next call like it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.lower.specialise import specialise
from loopjax.lower.stages import Pick, Stage, key
from loopjax.lower.trip_counts import check
from loopjax.rewrite.driver import rewrite
from loopjax.rewrite.pipeline import sized
from loopjax.rewrite.plan import Derivative
from loopjax.trace.graph import Variable
from loopjax.trace.types import TensorType

if TYPE_CHECKING:
    from loopjax.lower.compile import Compiled

KEPT = 256
"""Compiled programs that a stage keeps; the least recently used goes first."""


class CompiledStage:
    """A stage with its cache, keyed by the inputs' shapes and the values of lengths."""

    def __init__(
        self,
        stage: Stage,
        name: str,
        donated: Collection[Variable] = (),
        check_index: bool = False,
        derivative: Derivative = "none",
    ) -> None:
        self.stage = stage
        self._derivative: Derivative = derivative
        self._name = name
        self._check_index = check_index
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

    def knows(self, values: Mapping[Variable, Any]) -> bool:
        """Whether there is a program for these inputs; raises for trip counts that do not fit."""
        arrays = self._read(values)
        with self._lock:
            return key(self.stage, arrays) in self._cache

    def _read(self, values: Mapping[Variable, Any]) -> list[Any]:
        """The arrays of the stage's inputs, trip counts among them checked."""
        arrays = [values[variable] for variable in self.stage.graph.inputs]
        if self.stage.checks.each:
            check(self.stage.checks, dict(zip(self.stage.graph.inputs, arrays, strict=True)))
        return arrays

    def find(self, arrays: Sequence[Any]) -> Compiled:
        """The program for these inputs, compiled when it is called first."""
        place = key(self.stage, arrays)
        with self._lock:
            found = self._cache.get(place)
            if found is not None:
                self._cache.move_to_end(place)
                return found
        made = self._make(arrays)
        with self._lock:
            found = self._cache.setdefault(place, made)
            if len(self._cache) > KEPT:
                self._cache.popitem(last=False)
        return found

    def _make(self, arrays: Sequence[Any]) -> Compiled:
        from loopjax.lower.compile import Compiled  # all rules of lowering, a part of the package's import time

        graph = self.stage.graph
        types = [
            TensorType(variable.dtype, tuple(array.shape)) for variable, array in zip(graph.inputs, arrays, strict=True)
        ]
        values = {graph.inputs[position]: np.asarray(arrays[position]) for position in self.stage.length_inputs}
        passes = sized(self._derivative, self._check_index)
        planned = rewrite(specialise(graph, types, values), passes)
        return Compiled(planned, self._name, self._donate, self._check_index)

    def run(self, values: Mapping[Variable, Any]) -> list[tuple[Variable, Any]]:
        """The stage's outputs, given the values of its inputs."""
        arrays = self._read(values)
        outputs = self.find(arrays).call(*arrays)
        return [(variable, _picked(outputs, pick)) for variable, pick in self.stage.given]


def _picked(outputs: Sequence[Any], pick: Pick) -> Any:
    """One of the outputs; one that is cut as a copy of the rows that count, made on the host, where a view costs
    nothing and compiles nothing."""
    array = outputs[pick.position]
    if not pick.counts:
        return array
    rows = [slice(None)] * array.ndim
    for axis, count in pick.counts:
        rows[axis] = slice(count if isinstance(count, int) else int(outputs[count.place]))
    part = np.asarray(array)[tuple(rows)]
    if part.shape == array.shape:
        return array
    return jax.device_put(part, array.sharding) if array.committed else jnp.array(part)
