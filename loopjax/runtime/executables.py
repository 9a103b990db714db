"""Executables of a program's stages, found by shapes and by those values that the host reads.

A program is a chain of stages, mostly of one. Each stage has a table of functions that run it and what follows. All
that is checked before a run follows from the table's key, so that it is checked once for each key. For example
``z = sort(x[x > 0])`` has two stages: the function of the first runs an executable, slices the positions that it found
to their number, looks up the second stage's function for such values and calls it.

Executables are compiled ahead of time (``jax.stages.Compiled``): unlike a jitted function they do not look at JAX's x64
flag, which therefore needs no switching.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from loopjax.ir.graph import Graph, Variable
from loopjax.ir.jax_call import JaxCall
from loopjax.ir.ranges import Range, RangeAnalysis
from loopjax.lower.fails_later import may_fail_later
from loopjax.runtime.buckets import Bucket
from loopjax.runtime.compiler import KEPT, select
from loopjax.runtime.signature import taking
from loopjax.runtime.x64 import with_x64
from loopjax.shapes.stages import specialization_key
from loopjax.trace.shared import SharedVariable

Execute = Callable[..., Any]
"""From arrays to the results of an executable, or of a chain of them."""

Read = Callable[[Sequence[Any]], Mapping[Variable, Any]]
"""From a stage's values to those of variables; raises where they do not fit each other."""

Bind = Callable[[Execute, Any, Sequence[Any]], Execute]
"""From a chain of executables, the key of its first and the values that it was found for to what a table keeps."""

REMEMBERED = 4096
"""Shapes and lengths for which a function is kept."""

TRUE = Range(1, 1)
"""Range of an assertion that shapes and lengths prove."""


class NotRun(Exception):
    """An assertion is false, or a later stage has no executable for its inputs: the general path serves the call."""


class StageTable:
    """The functions that run a stage of a bucket and those after it.

    ``safe`` holds the keys of those executables that read shared variables and nothing else, and cannot fail later.

    A function takes values: of the graph's inputs, then the results of the stages before. It returns the results of its
    own stage and those after it; the last stage's as its executable returns them, others sliced to their lengths.

    Parameters
    ----------
    bucket, number
        The stage.
    settings
        Reads the settings of JAX that executables depend on.
    following
        The table of the next stage.
    hosted
        Positions of the values that the host reads, where these are not all that the stage says.
    read, bind
        Of the first stage, whose values are not fitted yet: see ``Read`` and ``Bind``.
    """

    def __init__(
        self,
        bucket: Bucket,
        number: int,
        settings: Callable[[], Any],
        following: StageTable | None,
        hosted: Sequence[int] | None = None,
        read: Read | None = None,
        bind: Bind | None = None,
    ) -> None:
        self.stage = bucket.stages[number]
        self.executables: dict[Any, Execute | None] = {}
        self.runs: dict[Any, Execute] = {}
        self.safe: set[Any] = set()
        before = [variable for one in bucket.stages[:number] for variable, _ in one.stage.results]
        variables = [*bucket.graph.inputs, *before]
        places = {variable: place for place, variable in enumerate(variables)}
        reads = [places[variable] for variable in self.stage.stage.graph.inputs]
        self._take = None if reads == list(range(len(variables))) else taking(reads)
        self._reads_state = len(bucket.stages) == 1 and all(isinstance(v, SharedVariable) for v in variables)
        self._settings, self._following = settings, following
        self._hosted = [places[variable] for variable in self.stage.host_inputs] if hosted is None else hosted
        self._read = read or (lambda values: dict(zip(variables, values, strict=True)))
        self._bind = bind or (lambda chain, key, values: chain)
        results = dict(self.stage.stage.results)
        self._assertions = [results[one.holds].position for one in bucket.padded.assertions if one.holds in results]
        # What only later stages read stays on the host.
        self._picks = [(pick, variable not in bucket.graph.outputs) for variable, pick in self.stage.stage.results]

    def find(self, values: Sequence[Any]) -> Execute | None:
        """The function for these values; ``None`` where no executable serves them, or they do not fit."""
        read = [_digest(np.asarray(values[position]).tobytes()) for position in self._hosted]
        run_key = self._settings(), tuple([array.shape for array in values]), *read
        run = self.runs.get(run_key)
        if run is not None:
            return run
        try:
            key = self._key(values)
        except (TypeError, ValueError, IndexError):  # the general path reports it
            return None
        execute = self.executables.get(key)
        if execute is None:
            return None
        if len(self.runs) >= REMEMBERED:
            self.runs.clear()
        run = self.runs[run_key] = self._bind(self.chained(execute), key, values)
        return run

    def compile(self, known: Mapping[Variable, Any]) -> None:
        """Adds an executable for values of the program's variables, which fit, where there is none."""
        arrays = self.stage.arrays(known)
        key = self._settings(), specialization_key(self.stage.stage, arrays)
        if key in self.executables:
            return
        program = self.stage.find(arrays)
        traced = program.compiled(arrays).trace(*arrays)
        compiled = traced.lower().compile()
        execute = compiled.__call__  # bound, since Python looks up __call__ of an object at each call
        if program.graph.holds(lambda node: isinstance(node.op, JaxCall)):
            execute = with_x64(execute)  # a callback's results are cut to 32 bits where the flag is off
        self.executables[key] = self._asserting(execute, program.graph)
        if self._reads_state and not may_fail_later(traced.jaxpr, compiled):
            self.safe.add(key)
        if len(self.executables) > KEPT:
            del self.executables[next(iter(self.executables))]
            self.safe &= self.executables.keys()
            self.runs.clear()

    def refuse(self, key: Any, values: Sequence[Any]) -> None:
        """Drops the executable of ``key`` for good, if that is the key of these values."""
        if self._key(values) == key:
            self.executables[key] = None
            self.runs.clear()

    def _key(self, values: Sequence[Any]) -> Any:
        """Cache key of an executable: JAX's settings, the shapes of its arguments and the lengths that it is for."""
        return self._settings(), specialization_key(self.stage.stage, self.stage.arrays(self._read(values)))

    def chained(self, execute: Execute) -> Execute:
        """The function that runs an executable, and the stages after it."""
        take, picks, following = self._take, self._picks, self._following
        if following is None:
            return execute if take is None else lambda *values: execute(*take(values))

        def run(*values: Any) -> Any:
            found = execute(*(take(values) if take else values))
            results = [select(found, pick, on_host) for pick, on_host in picks]
            values = (*values, *results)
            rest = following.find(values)
            if rest is None:
                raise NotRun
            return [*results, *rest(*values)]

        return run

    def _asserting(self, execute: Execute, graph: Graph) -> Execute:
        """The executable, raising where one of its results is a false assertion."""
        if not self._assertions:
            return execute
        ranges = RangeAnalysis().run(graph)
        places = [place for place in self._assertions if ranges.of(graph.outputs[place]) != TRUE]

        def run(*arrays: Any) -> Any:
            found = execute(*arrays)
            for place in places:
                if not np.asarray(found[place]):  # the truth value of a `jax.Array` takes 7 us more
                    raise NotRun
            return found

        return run if places else execute


def _digest(data: bytes) -> bytes:
    """Bytes as a part of a cache key, which holds no copy of a long vector."""
    return data if len(data) <= 64 else sha256(data).digest()
