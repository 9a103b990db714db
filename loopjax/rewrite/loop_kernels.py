"""The kernels that XLA on CPU makes of an iteration of several steps, and the time that they take.

The body is elementwise. XLA fuses ops into the kernels that read their results; a kernel writes one array: a state that
the next iteration reads, a row of a stack, an accumulator, or a value that is expensive and read more than once. Of
``h = tanh(h) * a + x``, four steps are one kernel. What decides about the time of an iteration (jaxlib 0.10, measured
on generated loops):

- Where its kernels read and write less than ``FUSED_LOOP_BYTES``, all of the loop is one function
  (``small_while_loop_hoisting_pass.cc``).
- Elsewhere each kernel is a *thunk*. More than ``SEQUENTIAL_THUNKS`` of them go through a queue, unless all arrays are
  small (``thunk_executor.h``).
- A program of less than ``INLINE_FLOPS`` runs in the thread that calls it, any other is handed to one that waits
  (``cpu_client.cc``).
- A kernel of many ops that depend on one another waits for them: the reorder buffer of the processor holds fewer
  elements at a time, the longer the chain is.

Known limits: ops that become several primitives count as one, and what XLA simplifies is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from loopjax.ir.graph import Apply, Variable
from loopjax.ir.scan import Scan
from loopjax.ir.types import TensorType
from loopjax.rewrite.cost_model import CACHED_BYTES, CHEAP_NS, primitive_time

FUSED_LOOP_BYTES, SEQUENTIAL_THUNKS, SMALL_ARRAY_BYTES, INLINE_FLOPS = 1024, 8, 512, 1000
"""Thresholds of XLA."""

HANDOFF_NS, ITERATION_NS, THUNK_NS, QUEUED_NS = 12000.0, 30.0, 18.0, 105.0
"""Time to hand a program to another thread, of an iteration without kernels, and of a thunk, in turn and by a queue."""

FUSED_ITERATION_NS, FUSED_KERNEL_NS = 1.5, 0.3
"""Time of an iteration and of a kernel in one function."""

LATENCY_NS, EXPENSIVE_LATENCY, WINDOW_NS = 1.05, 15, 40.0
"""Time until the result of a cheap op can be read, ratio to it of an expensive one, and time of the instructions that a
processor has under way at once."""

FIRST_CACHE, FIRST_NS, SECOND_NS, MEMORY_NS = 2**15, 0.01, 0.018, 0.03
"""Bytes of the first cache, and time for a byte that is read or written there, in the second, and in memory."""

PRIMITIVES: dict[str, tuple[str, ...]] = {
    "true_div": ("div",),
    "sigmoid": ("logistic",),
    "power": ("pow",),
    "logaddexp": ("exp", "log1p"),
    "softplus": ("exp", "log1p"),
}
"""The primitives of ops that have other names."""

DIVISIONS = ("true_div", "reciprocal", "sqrt")
"""Ops of one instruction that take many cycles."""


@dataclass(eq=False)
class Value:
    """An array of an iteration: an input where it has neither ``node`` nor ``operands``."""

    type: TensorType
    node: Apply | None = None
    operands: tuple[Value, ...] = ()
    is_row: bool = False
    stored: bool = False
    readers: int = 0

    @property
    def is_input(self) -> bool:
        return not self.operands and self.node is None

    @property
    def work(self) -> float:
        """Nanoseconds to compute all elements, however many are computed at once."""
        if self.node is None:
            return CHEAP_NS * self.type.bytes
        expensive = sum(
            primitive_time(name, self.type) for name in PRIMITIVES.get(self.node.op.name, (self.node.op.name,))
        )
        return CHEAP_NS * max(self.type.bytes, *(one.type.bytes for one in self.operands), 0) + expensive


class Kernel(NamedTuple):
    """A kernel: bytes that it reads and writes, nanoseconds of its instructions, and from its first to its last."""

    touched: int
    work: float
    latency: float
    flops: int

    @property
    def time(self) -> float:
        price = FIRST_NS if self.touched < FIRST_CACHE else SECOND_NS if self.touched < CACHED_BYTES else MEMORY_NS
        return max(self.work, self.latency * max(self.work / WINDOW_NS, 1.0), price * self.touched)


class Iteration(NamedTuple):
    """The kernels of an iteration of several steps."""

    steps: int
    kernels: list[Kernel]
    touched: int
    thunks: int
    largest: int
    latency: float

    @property
    def is_one_function(self) -> bool:
        return self.touched < FUSED_LOOP_BYTES

    @property
    def is_handed_over(self) -> bool:
        """True where XLA runs a program of this loop in another thread than the one that calls it."""
        return sum(kernel.flops for kernel in self.kernels) >= INLINE_FLOPS

    @property
    def time(self) -> float:
        """Nanoseconds of an iteration."""
        if self.is_one_function:
            return FUSED_ITERATION_NS + FUSED_KERNEL_NS * len(self.kernels) + self.latency
        # Ops that become several primitives may add a thunk to those of several steps.
        queued = self.thunks + (self.steps > 1) > SEQUENTIAL_THUNKS and self.largest > SMALL_ARRAY_BYTES
        thunks = self.thunks * (QUEUED_NS if queued else THUNK_NS)
        return ITERATION_NS + thunks + sum(kernel.time for kernel in self.kernels)


def iteration(op: Scan, count: int) -> Iteration:
    """Return the kernels of ``count`` steps of a sized loop that carries the last value of each state.

    Its body is elementwise."""
    found = _Steps(op)
    for _ in range(count):
        found.step()
    return found.iteration(count)


class _Steps:
    """Steps written out, as values that depend on one another."""

    def __init__(self, op: Scan) -> None:
        self.op, self.inputs = op, op.body_inputs(op.body.inputs)
        step = op.results([variable.type for variable in op.body.outputs])
        types = [*step.recurrences, *step.maps]
        self.states = [Value(type) for type in (*step.recurrences, *step.states)]
        self.sums = [Value(types[one.output]) for one in op.accumulators]
        self.fixed = {variable: Value(variable.type) for variable in self.inputs.non_sequences}
        self.first = [*self.states, *self.sums]
        self.is_stacked = [output.saved.last is None for output in op.outputs]
        self.values: list[Value] = []
        self.rows: list[Value] = []

    def step(self) -> None:
        """Add a step."""
        op, inputs, count = self.op, self.inputs, len(self.op.recurrences)
        known = dict(self.fixed)
        known |= {row: Value(row.type, is_row=True) for group in inputs.slices for row in group}
        pairs = zip(inputs.taps, self.states[:count], strict=True)
        known |= {tap: state for taps, state in pairs for tap in taps}
        known |= dict(zip(inputs.states, self.states[count:], strict=True))
        for node in op.body.applies:
            operands = _known(known, node.inputs)
            for output in node.outputs:
                if node.op.has("view") and len(operands) == 1:
                    known[output] = operands[0]
                else:
                    known[output] = self._add(Value(output.type, node, operands))
        step = op.results(op.body.outputs)
        outputs = [*step.recurrences, *step.maps]
        for is_stacked, output in zip(self.is_stacked, outputs, strict=True):
            if is_stacked:
                self.rows.append(self._add(Value(output.type, None, _known(known, [output]), is_row=True)))
        self.sums = [
            self._add(Value(total.type, None, (total, *_known(known, [outputs[spec.output]]))))
            for spec, total in zip(op.accumulators, self.sums, strict=True)
        ]
        self.states = [known.get(after) or Value(after.type) for after in (*step.recurrences, *step.states)]

    def _add(self, value: Value) -> Value:
        self.values.append(value)
        for operand in value.operands:
            operand.readers += 1
        return value

    def iteration(self, count: int) -> Iteration:
        """The kernels of the steps added."""
        last = [*self.states, *self.sums]
        roots = {value for value in (*last, *self.rows) if not value.is_input}
        for value in roots:
            value.readers += 1
        live = self._live(roots)
        for value in live:
            value.stored = value.node is not None and _is_stored(value, value in roots)
        cones = {value: _cone(value) for value in live if value.stored or value in roots}
        kernels = [_kernel(value, *cone) for value, cone in cones.items()]
        reads = [(value, read) for value, (_, reads) in cones.items() for read in reads]
        # A state is copied where a kernel reads it that another one's result does not overwrite.
        copies = [
            before
            for before, after in zip(self.first, last, strict=True)
            if before is not after and (after.is_input or any(r is before and v is not after for v, r in reads))
        ]
        counts = bool(self.rows) or any(read.is_row for _, read in reads)
        tuple_size = 1 + len(last) + sum(self.is_stacked) + len(self.inputs.slices) + len(self.fixed)
        touched = sum(kernel.touched for kernel in kernels) + 2 * sum(value.type.bytes for value in copies)
        touched += 8 * tuple_size + (29 if counts else 21)
        stacks = 8 * SMALL_ARRAY_BYTES if counts and (self.op.n_steps or SMALL_ARRAY_BYTES) > 64 else 0
        largest = max([stacks, *(value.type.bytes for value in (*self.values, *self.first, *self.fixed.values()))])
        thunks = len(kernels) + len(copies) + 1 + counts
        latency = max([sum(value.work for value in live), *_latencies(live).values()])
        return Iteration(count, kernels, touched, thunks, largest, latency)

    def _live(self, results: Iterable[Value]) -> list[Value]:
        pending, live = list(results), set[Value]()
        while pending:
            value = pending.pop()
            if value not in live:
                live.add(value)
                pending += value.operands
        return [value for value in self.values if value in live]


def _known(known: dict[Variable, Value], variables: Iterable[Variable]) -> tuple[Value, ...]:
    """The values of variables that are no constants, each once."""
    return tuple(dict.fromkeys(known[variable] for variable in variables if variable in known))


def _is_stored(value: Value, is_root: bool) -> bool:
    """Return whether other kernels read a value from memory: of what is cheap, XLA computes again what all of its
    readers can, and what has one operand."""
    return value.readers > 1 and (_is_expensive(value) or (is_root and len(value.operands) > 1))


def _is_expensive(value: Value) -> bool:
    """Return whether XLA computes an elementwise value once, however many kernels read it."""
    assert value.node is not None
    return not value.node.op.has("cheap", "view") or value.node.op.named(*DIVISIONS)


def _cone(root: Value) -> tuple[list[Value], list[Value]]:
    """The values that the kernel of ``root`` computes, operands first, and those that it reads."""
    computed, reads, visited = list[Value](), list[Value](), set[Value]()
    pending = [(root, False)]
    while pending:
        value, is_done = pending.pop()
        if is_done:
            computed.append(value)
        elif value not in visited:
            visited.add(value)
            if value.is_input or (value.stored and value is not root):
                reads.append(value)
            else:
                pending.append((value, True))
                pending += [(operand, False) for operand in value.operands]
    return computed, reads


def _kernel(root: Value, computed: list[Value], reads: list[Value]) -> Kernel:
    index = 4 * (any(read.is_row for read in reads) + root.is_row)
    touched = root.type.bytes + sum(read.type.bytes for read in reads) + index
    # XLA counts neither functions nor roots.
    ops = [
        value for value in computed if value.node is None or value.node.op.named("true_div") or not _is_expensive(value)
    ]
    flops = sum(math.prod(value.type.sizes) for value in ops)
    return Kernel(touched, sum(value.work for value in computed), _latencies(computed)[root], flops)


def _latencies(values: Iterable[Value]) -> dict[Value, float]:
    """Nanoseconds until an element of each value can be read, from when those of the others are there."""
    found: dict[Value, float] = {}
    for value in values:
        before = max((found.get(operand, 0.0) for operand in value.operands), default=0.0)
        is_cheap = value.node is None or value.node.op.has("cheap", "view")
        found[value] = before + LATENCY_NS * (1 if is_cheap else EXPENSIVE_LATENCY)
    return found
