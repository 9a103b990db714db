"""Of a stack read in windows or at every n-th step, those steps alone are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.scan import SavedSteps, Scan
from loopjax.rewrite.demand import last_steps_of, read_again
from loopjax.rewrite.driver import Context, Pass, replace_all
from loopjax.rewrite.scan_builder import scan_builder

LAST = 4
"""Last steps that plain carries hold."""

LOOPS = 5
"""Loops that one becomes, at most: each is compiled by itself."""

LEAST_BYTES = 2**16
"""What must be left out. Measured on two cores: ``out[n // 2]`` takes 0.95 of the time for 100 scalars, 0.86 for 1e4, a
half for 1,000 steps of 10 float64 values and less than a 20th for 300 of 20,000; the last tenth 1.04, 0.3, 0.05 and
0.09. Below, there is nothing to gain but for the compiler, to which each loop is one more."""

ROW_BYTES = 64
"""A step of which every n-th alone is kept: less takes longer in loops within a loop. Every 10th of 1e4 scalars took
1.4 times as long as all, of 1,000 steps of 10 values 0.65, of 300 of 20,000 0.06 to 0.2."""


@dataclass(frozen=True)
class SaveReadWindows(Pass):
    """``out[i]``, ``out[a:b]``, ``out[burn::thin]`` and several such keep the steps that they read.

    Of loops whose length is known. XLA does not do it by itself: it stores every step and then picks. The loop becomes
    several, one after the other, of which some stack their steps; so it has the derivatives that it had. Where most
    steps are read, or little would be left out, the stack stays whole.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        replaced: dict[Variable, Variable] = {}
        for node in graph.applies:
            if isinstance(node.op, Scan) and _may_be_cut(node.op):
                replaced.update(_cut(node, node.op, graph))
        return replace_all(graph, replaced)


def _may_be_cut(op: Scan) -> bool:
    plain = not (op.until or op.dynamic or op.progress or op.checkpoint)
    return plain and (op.n_steps or 0) > 1 and all(output.saved.every == 1 for output in op.outputs)


def _cut(node: Apply, op: Scan, graph: Graph) -> Mapping[Variable, Variable]:
    """What stands for the loop's outputs and for their readers."""
    assert op.n_steps is not None
    kept = _kept(node, op, graph)
    if not kept:
        return {}
    loop = scan_builder(node)
    for output in loop.outputs:
        if output.stack in kept:
            saved = _saved(kept[output.stack], op.n_steps)
            output.spec = replace(output.spec, saved=saved)
            loop.notes.append(f"of {output.spec.name} {saved} of {op.n_steps} steps kept, the others are not read")
    scan = loop.build()
    replaced = loop.replacements(scan)
    for stack, windows in kept.items():
        for reader in graph.readers.get(stack, []):
            steps = last_steps_of(reader, stack, op.n_steps)
            assert steps is not None
            replaced[reader.outputs[0]] = read_again(reader, replaced[stack], _rows(steps, windows))
    return replaced


def _saved(windows: tuple[range, ...], n_steps: int) -> SavedSteps:
    if len(windows) == 1 and windows[0].step == 1 and windows[0].stop == n_steps and len(windows[0]) <= LAST:
        return SavedSteps(last=len(windows[0]))
    return SavedSteps(steps=windows) if windows else SavedSteps(last=0)


def _kept(node: Apply, op: Scan, graph: Graph) -> dict[Variable, tuple[range, ...]]:
    """The outputs of which windows are kept, the largest first, as far as there are not too many loops."""
    assert op.n_steps is not None
    pairs = [pair for pair in zip(op.outputs, node.outputs, strict=False) if pair[1] not in graph.outputs]
    found: dict[Variable, tuple[range, ...]] = {}
    for output, stack in pairs:
        if output.saved.last is not None and output.saved.last <= LAST:
            continue
        reads = [last_steps_of(reader, stack, op.n_steps) for reader in graph.readers.get(stack, [])]
        if None in reads:
            continue
        windows = _windows([steps for steps in reads if steps])
        if stack.type.row().bytes < ROW_BYTES:
            windows = tuple(range(window.start, window.stop) for window in windows)
        if _pays(stack, windows, op.n_steps):
            found[stack] = windows
    whole = len(found) < len(op.outputs) or op.truncate_gradient > 0
    return _few_loops(found, op.n_steps, whole)


def _pays(stack: Variable, windows: tuple[range, ...], n_steps: int) -> bool:
    rows = sum(len(window) for window in windows)
    return 2 * rows <= n_steps and (n_steps - rows) * stack.type.row().bytes >= LEAST_BYTES


def _few_loops(
    found: Mapping[Variable, tuple[range, ...]], n_steps: int, whole: bool
) -> dict[Variable, tuple[range, ...]]:
    """The windows of as many outputs, those that save most first, as make no more than ``LOOPS`` loops. ``whole``:
    there are others beside, so that a window has all of its steps."""
    ends = {0, n_steps}
    chosen: dict[Variable, tuple[range, ...]] = {}
    alone = len(found) == 1 and not whole
    for stack, given in sorted(found.items(), key=lambda pair: -math.prod(pair[0].type.sizes)):
        windows = given if alone else tuple(range(window.start, window.stop) for window in given)
        if not _pays(stack, windows, n_steps):
            continue
        more = ends.union(*(_ends(window) for window in windows)) if windows else ends
        if _saved(windows, n_steps).last is None:
            if len(more) - 1 > LOOPS:
                continue
            ends = more
        chosen[stack] = windows
    return chosen


def _ends(window: range) -> set[int]:
    return {window.start, window.stop} if window.step == 1 else {window.start, window.start + 1, window.stop}


def _windows(reads: Sequence[range]) -> tuple[range, ...]:
    """Windows in order, apart from each other, that hold all of these; one that is read at every n-th step is so only
    alone."""
    if len(set(reads)) == 1:
        return (reads[0],)
    windows: list[range] = []
    for steps in sorted(reads, key=lambda steps: steps.start):
        if windows and steps.start <= windows[-1].stop:
            windows[-1] = range(windows[-1].start, max(windows[-1].stop, steps.stop))
        else:
            windows.append(range(steps.start, steps.stop))
    return tuple(windows)


def _rows(steps: range, windows: tuple[range, ...]) -> range:
    """Where steps are in the rows that the windows have."""
    before = 0
    for window in windows:
        if steps and steps[0] in window:
            first = before + window.index(steps[0])
            step = max(steps.step // window.step, 1)
            return range(first, first + (len(steps) - 1) * step + 1, step)
        before += len(window)
    return range(0)
