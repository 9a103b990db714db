"""Shape buckets: which lengths a function's programs have capacity for, learned from the calls that it sees.

XLA compiles for shapes. A function that is called with a thousand lengths must not compile a thousand programs: after
``DISTINCT`` values of a length its axes get capacity for more, rounded up (bucketing), and one program serves every
length that fits. ``ShapeBuckets`` notes lengths and makes ``Bucket``s; a bucket is the program padded for some lengths,
as compiled stages. An op that needs a length exactly is a fallback: its program is compiled for each value.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.errors import LoopJaxError
from loopjax.ir.capacities import capacity
from loopjax.ir.graph import Constant, Graph, Variable
from loopjax.ir.lengths import host_values, leaves_of
from loopjax.ir.scan import Scan
from loopjax.ir.shape_operands import is_cut
from loopjax.ir.types import KEY
from loopjax.runtime.compiler import Bound, build
from loopjax.runtime.program import Program
from loopjax.runtime.results import is_addressable
from loopjax.shapes.padding.spec import ExactLengthOp, InputAxis, Padding
from loopjax.trace.shared import SharedVariable, on_device

DISTINCT = 2
"""Values of one length that get a program each, before one program has capacity for more."""

AT_ONCE = False
"""Pads all lengths and axes from the first call, for tests."""

SMALL = 1024
"""Steps up to which a loop that stops by ``until`` gets capacity for all of them."""

Length = Variable | InputAxis
"""A source of varying lengths: an input whose value decides a shape, or an axis of an input."""


class Bucket:
    """The program with capacity for the lengths that vary, as compiled stages."""

    def __init__(self, program: Program, padding: Padding) -> None:
        self.padding = padding
        self.padded, self.stages, self.donated = build(program, padding)
        self.graph = self.padded.graph
        self._inputs = program.graph.inputs
        self._compared = [length for one in self.padded.preconditions for length in (one.length, one.other)]
        self.host_inputs = leaves_of(self._compared, stop=self.graph.inputs).values
        """The inputs whose values ``check`` reads."""

    def values(self, arrays: Sequence[Any]) -> dict[Variable, Any]:
        """Values of the graph's inputs: the arrays padded to capacity, and their lengths."""
        return dict(zip(self.graph.inputs, self.fitting([array.shape for array in arrays])(arrays), strict=True))

    def fitting(
        self, shapes: Sequence[Sequence[int]], scalar: Callable[[int], Any] = np.asarray
    ) -> Callable[[Sequence[Any]], Sequence[Any]]:
        """A function from arrays of these shapes to the graph's inputs: padded to capacity, and their lengths, each a
        ``scalar``."""
        positions = {variable: position for position, variable in enumerate(self._inputs)}
        sizes, pads, lengths = [*map(list, shapes)], [], []
        for one in self.padded.axes:
            position = positions[one.variable]
            length = shapes[position][one.axis]
            lengths.append(scalar(length))
            size = int(capacity(length, self.padded.fine, np))
            if size > length:
                pads.append((position, _padding(tuple(sizes[position]), one.axis, size)))
                sizes[position][one.axis] = size

        def fit(arrays: Sequence[Any]) -> Sequence[Any]:
            found = list(arrays)
            for position, pad in pads:
                found[position] = pad(found[position])
            return found + lengths

        return fit

    def run(self, values: dict[Variable, Any], first: Bound | None = None) -> list[Any]:
        """Outputs of the program: each stage is found or compiled for its inputs, and run; ``values`` gets its results.

        ``first`` is what the cache of the first stage holds for these values. Raises ``ValueError`` for sizes that
        differ and must be equal, ``IndexError`` for positions out of bounds, where only the run knew the sizes.
        """
        self.check(values)
        for number, stage in enumerate(self.stages):
            values.update(stage.run(values, None if number else first))
        for assertion in self.padded.assertions:
            if not np.asarray(values[assertion.holds]):
                raise assertion.failure
        outputs = self.graph.outputs[: len(self.graph.outputs) - len(self.padded.assertions)]
        return [on_device(v.data if isinstance(v, Constant) else values[v]) for v in outputs]

    def check(self, values: Mapping[Variable, Any]) -> None:
        """Raises for lengths among the arguments that do not fit each other."""
        if not self._compared:
            return
        leaves = {leaf: np.asarray(values[leaf]) for leaf in self.host_inputs}
        shapes = {variable: np.shape(array) for variable, array in values.items()}
        found = iter(host_values(self._compared, leaves, shapes))
        for one in self.padded.preconditions:
            length, other = next(found), next(found)
            assert length is not None
            assert other is not None
            one.verify(int(length), int(other))


def _padding(shape: tuple[int, ...], axis: int, size: int) -> Callable[[Any], Any]:
    """A function that pads arrays of this shape with copies of their first row, on the host where that has them."""
    before = (slice(None),) * axis
    rows, rest, first = (*before, slice(shape[axis])), (*before, slice(shape[axis], None)), (*before, slice(1))
    padded_shape = (*shape[:axis], size, *shape[axis + 1 :])
    count = math.prod(padded_shape)

    def pad(array: Any) -> Any:
        if not is_addressable(array):
            return jnp.concatenate([array, jnp.repeat(array[first], size - shape[axis], axis)], axis)
        data = np.asarray(array)
        padded = (np.empty if count * data.itemsize < LEAST_ALIGNED else _aligned)(padded_shape, data.dtype)
        padded[rows] = data
        padded[rest] = data[first]
        return jax.device_put(padded, array.sharding) if isinstance(array, jax.Array) and array.committed else padded

    return pad


LEAST_ALIGNED = 2**16
"""Bytes from which an aligned buffer, which JAX takes on a CPU without a copy, costs less: for 300 of 512 rows, of
0.5 MB 38 us instead of 117, of 8 MB 500 instead of 1,500, of 24 kB 10 us more."""

ALIGNMENT = 64


def _aligned(shape: Sequence[int], dtype: Any) -> np.ndarray[Any, Any]:
    """An unwritten array at an address that is a multiple of ``ALIGNMENT``."""
    buffer = np.empty(math.prod(shape) * dtype.itemsize + ALIGNMENT, np.uint8)
    return np.ndarray(shape, dtype, buffer, -buffer.ctypes.data % ALIGNMENT)


class ShapeBuckets:
    """The buckets of a program, each with capacity for what was seen to vary when it was made.

    With ``auto`` a length is compiled as it is until it has had ``DISTINCT`` values; with ``padded`` lengths that are
    values have capacity from the first call, and axes of inputs from the second size on. ``exact_ops`` are the ops
    that need a length exactly.
    """

    def __init__(self, program: Program, policy: str) -> None:
        self._program = program
        # In a padded program a position past the length means no position; the check of indices would refuse it.
        self._policy = "exact" if program.options.check_index else policy
        self._seen: dict[Length, set[Any]] = {}
        self._exact: set[Length] = set()
        self.exact_ops: dict[ExactLengthOp, None] = {}
        self._lock = threading.RLock()  # as in Dispatch
        first = Bucket(program, Padding())
        if self._policy != "exact":
            values = tuple(_length_inputs(first, program.graph)) if policy == "padded" else ()
            axes = tuple(_varying_axes(first, program.graph)) if AT_ONCE else ()
            device = policy == "padded" or _all_small(first.graph)
            first = self._made(values, axes, device) if values or axes or device else first
        self._all = [first]

    @property
    def latest(self) -> Bucket:
        """The bucket made last."""
        return self._all[-1]

    @property
    def donated(self) -> frozenset[SharedVariable]:
        """The shared variables whose old values some bucket may overwrite."""
        return frozenset(variable for bucket in self._all for variable in bucket.donated)

    def run(self, arrays: Sequence[Any]) -> tuple[Bucket, Mapping[Variable, Any], list[Any]]:
        """Runs the first bucket that has a program for these inputs; else notes their lengths and compiles.

        Returns the bucket that ran, the values of its inputs and of all results of its stages, and its outputs.
        """
        self._pad_stages(self.latest)
        for bucket in reversed(self._all):
            values = bucket.values(arrays)
            bound = bucket.stages[0].cached(values)
            if bound is not None:
                return bucket, values, bucket.run(values, bound)
        if self._note(arrays):
            return self.run(arrays)
        bucket = self.latest
        values = bucket.values(arrays)
        return bucket, values, bucket.run(values)

    def _pad_stages(self, bucket: Bucket) -> None:
        """Gives capacity to lengths that a run decides, where they have had more than ``DISTINCT`` values."""
        if self._policy == "exact" or bucket.padding.device:
            return
        if any(len(stage.programs) > DISTINCT for stage in bucket.stages[1:]):
            with self._lock:
                if bucket is self.latest:
                    self._all = [Bucket(self._program, replace(bucket.padding, device=True))]

    def _made(self, values: Sequence[Variable], axes: Sequence[InputAxis], device: bool) -> Bucket:
        """A bucket with capacity for these lengths, but for those that an op needs exactly."""
        while True:
            made = Bucket(self._program, Padding(tuple(values), tuple(axes), device))
            self.exact_ops.update(dict.fromkeys(made.padded.exact_ops))
            needed = made.padded.exact_inputs
            if not needed:
                return made
            self._exact |= needed
            values = [one for one in values if one not in needed]
            axes = [one for one in axes if one not in needed]

    def _note(self, arrays: Sequence[Any]) -> bool:
        """Notes the lengths of a call that no program is compiled for; true where that made a new bucket."""
        if self._policy == "exact":
            return False
        with self._lock:
            padding = self.latest.padding
            given = dict(zip(self._program.graph.inputs, arrays, strict=True))
            settled = {*padding.values, *padding.axes, *self._exact}
            for variable in _length_inputs(self.latest, self._program.graph):
                self._seen.setdefault(variable, set()).add(np.asarray(given[variable]).tobytes())
            for one in _varying_axes(self.latest, self._program.graph):
                self._seen.setdefault(one, set()).add(given[one.variable].shape[one.axis])
            most = 1 if self._policy == "padded" else DISTINCT
            self._seen = {one: seen for one, seen in self._seen.items() if one not in settled}
            new = [one for one, seen in self._seen.items() if len(seen) > most]
            if not new:
                return False
            values = [*padding.values, *(one for one in new if isinstance(one, Variable))]
            axes = [*padding.axes, *(one for one in new if isinstance(one, InputAxis))]
            try:
                made = self._made(values, axes, padding.device)
            except (LoopJaxError, TypeError, ValueError, IndexError):
                # Padding that nobody asked for must not fail: the function goes on with one program for each length.
                self._exact.update(new)
                return False
            if (made.padding.values, made.padding.axes) == (padding.values, padding.axes):
                return False
            self._all.append(made)
            return True


def _length_inputs(bucket: Bucket, graph: Graph) -> Iterator[Variable]:
    """The program's inputs whose values decide shapes."""
    found = {stage.stage.graph.inputs[place] for stage in bucket.stages for place in stage.stage.length_inputs}
    return (variable for variable in graph.inputs if variable in found)


def _varying_axes(bucket: Bucket, graph: Graph) -> Iterator[InputAxis]:
    """Axes of a program's inputs whose size no type gives.

    An input whose elements the host reads is left out: padding would add elements to it.
    """
    read = {variable for stage in bucket.stages for variable in stage.host_inputs}
    for variable in graph.inputs:
        if variable.dtype == KEY or variable in read:
            continue
        for axis, size in enumerate(variable.type.shape):
            if size is None:
                yield InputAxis(variable, axis)


def _all_small(graph: Graph) -> bool:
    """Test if lengths that only a run decides exist, and all are those of a mask or of an ``until`` loop of few
    steps."""
    opaque = [node for node in graph.applies if is_cut(node) and leaves_of(node.inputs[1:], graph.inputs).opaque]
    return bool(opaque) and all(_is_small(node.inputs[0]) for node in opaque)


def _is_small(stack: Variable) -> bool:
    op = None if stack.owner is None else stack.owner.op
    if isinstance(op, Scan):
        return op.n_steps is not None and op.n_steps <= SMALL
    return op is not None and op.named("true_places")
