"""Partial materialization of scan outputs: only the steps that ``out[a:b]`` and ``out[::k]`` read are stacked.

``out[i]``, ``out[a:b]``, ``out[burn::thin]`` and several such need some steps of a loop whose length is known. XLA does
not find that out by itself: it stores every step and then picks. The reads of each output are merged into disjoint
windows of steps; lowering then runs several loops, one after the other, and only some loops stack their steps, so that
derivatives stay as they are. Of a loop of 100 steps that is read as ``out[5:8]`` and ``out[-1]``::

    scan[keeps all]                      ->  scan[keeps 5:8 and 99:100]
    index[5:8](stack), index[-1](stack)  ->  index[0:3](stack), index[-1](stack)

The stack stays whole where most steps are read, where little would be left out, and where a reader needs all of it.
Every end of a window splits the loop once more, and each piece is compiled: outputs that save most come first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.scan import SavedSteps, Scan
from loopjax.rewrite.demand import reindexed, steps_needed
from loopjax.rewrite.driver import Context, Pass, replace_loops
from loopjax.rewrite.scan_builder import scan_builder

Windows = tuple[range, ...]
"""Disjoint ranges of steps, in order."""

Reads = Mapping[Apply, range]
"""The steps that each reader of a stack needs."""


@dataclass(frozen=True)
class SaveReadWindows(Pass):
    """Saves the steps of a loop's outputs that are read.

    Attributes
    ----------
    most_last
        Last steps that plain carries hold.
    most_loops
        Loops that one becomes, at most: each is compiled by itself.
    least_bytes
        Bytes that must be left out. Measured on two cores: ``out[n // 2]`` takes 0.95 of the time for 100 scalars, 0.86
        for 1e4, a half for 1,000 steps of 10 float64 values and less than a 20th for 300 of 20,000; the last tenth
        1.04, 0.3, 0.05 and 0.09. Below, there is nothing to gain, and for the compiler each loop is one more.
    stride_bytes
        Bytes of a step from which a stride is saved as such: less takes longer in loops within a loop. Every 10th of
        1e4 scalars took 1.4 times as long as all, of 1,000 steps of 10 values 0.65, of 300 of 20,000 0.06 to 0.2.
    """

    most_last: int = 4
    most_loops: int = 5
    least_bytes: int = 2**16
    stride_bytes: int = 64

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        return replace_loops(graph, lambda node, op: self._cut(node, op, graph) if _is_plain(op) else {})

    def _cut(self, node: Apply, op: Scan, graph: Graph) -> Mapping[Variable, Variable]:
        """Return what replaces the loop's outputs and their readers."""
        assert op.n_steps is not None
        reads: dict[Variable, Reads] = {}
        for spec, stack in zip(op.outputs, node.outputs, strict=False):
            # A few last steps are in the carry already.
            in_carry = spec.saved.last is not None and spec.saved.last <= self.most_last
            needed = None if in_carry else steps_needed(stack, graph, op.n_steps)
            if needed is not None:
                reads[stack] = needed
        windows = self._windows(reads, op, op.n_steps)
        if not windows:
            return {}
        loop = scan_builder(node)
        for output in loop.outputs:
            if output.stack in windows:
                saved = self._saved(windows[output.stack], op.n_steps)
                output.spec = replace(output.spec, saved=saved)
                loop.notes.append(f"of {output.spec.name} {saved} of {op.n_steps} steps kept, the others are not read")
        replaced = loop.replacements(loop.build())
        for stack, kept in windows.items():
            for reader, steps in reads[stack].items():
                replaced[reader.outputs[0]] = reindexed(reader, replaced[stack], _rows(steps, kept))
        return replaced

    def _windows(self, reads: Mapping[Variable, Reads], op: Scan, n_steps: int) -> dict[Variable, Windows]:
        """Choose the outputs whose windows make no more than ``most_loops`` loops, largest first.

        Steps between those of a stride would run in loops of their own, so strides are saved only where the loop
        computes nothing else.
        """
        ends = {0, n_steps}
        chosen: dict[Variable, Windows] = {}
        with_strides = len(op.outputs) == 1 and op.truncate_gradient <= 0
        for stack in sorted(reads, key=lambda stack: -math.prod(stack.type.sizes)):
            windows, row = _merged([steps for steps in reads[stack].values() if steps]), stack.type.row().bytes
            if not with_strides or row < self.stride_bytes:
                windows = tuple(range(window.start, window.stop) for window in windows)
            rows = sum(len(window) for window in windows)
            if 2 * rows > n_steps or (n_steps - rows) * row < self.least_bytes:
                continue
            if self._saved(windows, n_steps).last is None:
                more = ends.union(*map(_ends, windows))
                if len(more) - 1 > self.most_loops:
                    continue
                ends = more
            chosen[stack] = windows
        return chosen

    def _saved(self, windows: Windows, n_steps: int) -> SavedSteps:
        """Return the windows as saved steps."""
        *before, last = windows or (range(n_steps, n_steps),)
        if not before and (last.step, last.stop) == (1, n_steps) and len(last) <= self.most_last:
            return SavedSteps(last=len(last))
        return SavedSteps(steps=windows)


def _is_plain(op: Scan) -> bool:
    """Return whether a loop can be split."""
    plain = not (op.until or op.dynamic or op.progress or op.checkpoint)
    return plain and (op.n_steps or 0) > 1 and all(output.saved.every == 1 for output in op.outputs)


def _ends(window: range) -> set[int]:
    """Return the steps at which a window splits a loop."""
    return {window.start, window.stop} if window.step == 1 else {window.start, window.start + 1, window.stop}


def _merged(reads: Sequence[range]) -> Windows:
    """Merge overlapping reads; a stride is kept only where it is the only read."""
    if len(set(reads)) == 1:
        return (reads[0],)
    windows: list[range] = []
    for steps in sorted(reads, key=lambda steps: steps.start):
        if windows and steps.start <= windows[-1].stop:
            windows[-1] = range(windows[-1].start, max(windows[-1].stop, steps.stop))
        else:
            windows.append(range(steps.start, steps.stop))
    return tuple(windows)


def _rows(steps: range, windows: Windows) -> range:
    """Return the rows of steps in a stack of these windows."""
    before = 0
    for window in windows:
        if steps and steps[0] in window:
            first = before + window.index(steps[0])
            stride = max(steps.step // window.step, 1)
            return range(first, first + (len(steps) - 1) * stride + 1, stride)
        before += len(window)
    return range(0)
