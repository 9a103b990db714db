"""Splitting a program where a length must be read back before the rest can be compiled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loopjax.errors import LengthError, UnsupportedError, where
from loopjax.trace.derivative import Differentiated
from loopjax.trace.graph import Apply, Constant, Graph, Variable, toposort
from loopjax.trace.lengths import host_values, is_shape, leaves_of, on_host
from loopjax.trace.loop import MOST_STEPS, Scan
from loopjax.trace.types import RESIDUAL


@dataclass(frozen=True)
class Check:
    """A trip count that stays a run-time value, the inputs it is computed from, the least it may be, and whose it
    is."""

    n_steps: Variable
    leaves: frozenset[Variable]
    least: int
    scan: str
    place: str


@dataclass(frozen=True)
class Stage:
    """A part of a program that is compiled as one.

    ``length_inputs``: positions of inputs whose values decide shapes, so that it is specialised for them. ``lengths``:
    what is computed from them and decides, where that is less than they say (``n // 2``, or the size of a window).
    ``cuts``: positions of outputs that are buffers, each with that of the output that says how many rows count.
    ``checks``: what must hold of lengths that shapes do not depend on.
    """

    graph: Graph
    length_inputs: tuple[int, ...]
    cuts: tuple[tuple[int, int], ...]
    lengths: tuple[Variable, ...] = ()
    checks: tuple[Check, ...] = ()


def split(graph: Graph) -> tuple[Stage, ...]:
    """The program as stages, one after the other.

    One stage, unless a length is computed on the device or is that of an ``until`` loop's stacked output that
    something reads.
    """
    levels = _Levels(graph)
    stages: list[Stage] = []
    needed: dict[Variable, None] = dict.fromkeys(graph.outputs)
    for level in range(levels.highest, -1, -1):
        outputs = [v for v in needed if v.owner is not None and v not in graph.inputs and levels.node(v) == level]
        stage = _stage(outputs, levels, level, graph) if outputs or level == 0 else None
        if stage is None:
            continue
        stages.append(stage)
        needed.update(dict.fromkeys(stage.graph.inputs))
    return tuple(reversed(stages))


class _Levels:
    """The stage in which each node can run at the earliest."""

    def __init__(self, graph: Graph) -> None:
        self._of_node: dict[Apply, int] = {}
        self._available: dict[Variable, int] = {}
        self._on_host: dict[Variable, int] = {}
        self.inputs = set(graph.inputs)
        for node in graph.applies:
            self._place(node)
        self.highest = max((self._available.get(output, 0) for output in graph.outputs), default=0)
        self.highest = max([self.highest, *self._of_node.values()], default=0)

    def node(self, variable: Variable) -> int:
        assert variable.owner is not None
        return self._of_node[variable.owner]

    def _place(self, node: Apply) -> None:
        level = max((self._available.get(variable, 0) for variable in node.inputs), default=0)
        for variable in demanded(node):
            level = max(level, self._host(variable))
        self._of_node[node] = level
        waits = _cut_outputs(node)
        for output in node.outputs:
            self._available[output] = level + 1 if output in waits else level
            if is_shape(node):
                self._on_host[output] = self._available.get(node.inputs[0], 0)
            elif on_host(node):
                self._on_host[output] = max((self._host(variable) for variable in node.inputs), default=0)
            else:
                self._on_host[output] = level + 1

    def _host(self, variable: Variable) -> int:
        return 0 if isinstance(variable, Constant) or variable in self.inputs else self._on_host[variable]


def _stage(outputs: list[Variable], levels: _Levels, level: int, program: Graph) -> Stage:
    """The graph of one stage: back from its outputs to what earlier stages computed."""
    inputs: dict[Variable, None] = {}
    seen = set(outputs)
    stack = list(outputs)
    while stack:
        variable = stack.pop()
        node = variable.owner
        if isinstance(variable, Constant):
            continue
        again = node is not None and (on_host(node) or is_shape(node))
        if node is None or variable in levels.inputs or (levels.node(variable) < level and not again):
            inputs[variable] = None
            continue
        fresh = [read for read in node.inputs if read not in seen]
        seen.update(fresh)
        stack.extend(fresh)
    ordered = [variable for variable in program.inputs if variable in inputs]
    ordered += [variable for variable in inputs if variable not in levels.inputs]
    for variable in (*ordered, *outputs):
        if variable.dtype == RESIDUAL:
            raise UnsupportedError(
                f"a length that depends on a differentiated value ends a stage inside of a "
                f"gradient{where(variable.sources)}"
            )
    lengths = {}
    for variable in outputs:
        if variable in _cut_outputs(variable.owner):
            assert variable.owner is not None
            lengths[variable] = variable.owner.outputs[-1]
    all_outputs = list(dict.fromkeys([*outputs, *lengths.values()]))
    graph = Graph(ordered, all_outputs)
    demands = dict.fromkeys(variable for node in graph.applies for variable in demanded(node))
    leaves = leaves_of(demands, stop=ordered)
    return Stage(
        graph,
        tuple(position for position, variable in enumerate(ordered) if variable in leaves.values),
        tuple((all_outputs.index(buffer), all_outputs.index(length)) for buffer, length in lengths.items()),
        _computed_lengths(demands, ordered),
        tuple(_checks(graph)),
    )


def _computed_lengths(demands: Iterable[Variable], inputs: Sequence[Variable]) -> tuple[Variable, ...]:
    """The lengths, where some are computed and all can be from the inputs' values and shapes; else none."""
    wanted = [variable for variable in demands if not isinstance(variable, Constant)]
    if all(variable in inputs for variable in wanted):
        return ()
    nodes = toposort(wanted, stop=inputs)
    known = all(on_host(node) or (is_shape(node) and node.inputs[0] in inputs) for node in nodes)
    return tuple(wanted) if known else ()


def key(stage: Stage, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """What a program compiled for these inputs depends on: their shapes, and the lengths."""
    shapes = tuple([array.shape for array in arrays])
    if not stage.lengths:
        return shapes, tuple([np.asarray(arrays[position]).tobytes() for position in stage.length_inputs])
    values = {stage.graph.inputs[position]: np.asarray(arrays[position]) for position in stage.length_inputs}
    lengths = host_values(stage.lengths, values, dict(zip(stage.graph.inputs, shapes, strict=True)))
    return shapes, tuple([None if length is None else length.tobytes() for length in lengths])


def _checks(graph: Graph) -> Iterator[Check]:
    for node in graph.applies:
        op = node.op
        if not isinstance(op, Scan) or not op.dynamic:
            continue
        n_steps = node.inputs[0]
        leaves = leaves_of([n_steps], graph.inputs)
        if leaves.opaque:
            continue
        yield Check(n_steps, frozenset(leaves.values), 0, op.label, where(node.sources))
        for output, stack in zip(op.outputs, node.outputs, strict=False):
            lines = [line for reader in graph.readers.get(stack, []) for line in reader.sources]
            if output.keep.last:
                yield Check(n_steps, frozenset(leaves.values), output.keep.last, op.label, where(lines))
        for fold in op.folds:
            if fold.kind == "at":
                yield Check(n_steps, frozenset(leaves.values), fold.step + 1, op.label, where(node.sources))


def check(stage: Stage, arrays: Sequence[Any]) -> None:
    """Raises ``ValueError`` for a negative trip count, ``IndexError`` for one too small for what is read."""
    values = dict(zip(stage.graph.inputs, arrays, strict=True))
    shapes = {variable: array.shape for variable, array in values.items()}
    wanted = [one.n_steps for one in stage.checks]
    leaves = {leaf for one in stage.checks for leaf in one.leaves}
    counts = host_values(wanted, {leaf: np.asarray(values[leaf]) for leaf in leaves}, shapes)
    for one, count in zip(stage.checks, counts, strict=True):
        if count is not None and count < 0:
            raise ValueError(f"scan {one.scan!r}: n_steps is negative: {int(count)}{one.place}")
        if count is not None and count > MOST_STEPS:
            raise ValueError(f"scan {one.scan!r}: n_steps is {int(count)}, more than {MOST_STEPS}{one.place}")
        if count is not None and count < one.least:
            raise IndexError(f"scan {one.scan!r} ran {int(count)} steps; what is read needs {one.least}{one.place}")


def _cut_outputs(node: Apply | None) -> tuple[Variable, ...]:
    """The outputs of a node whose length only its run decides."""
    if node is None or not isinstance(node.op, Scan) or not node.op.until:
        return ()
    return tuple(
        stack for output, stack in zip(node.op.outputs, node.outputs, strict=False) if output.keep.last is None
    )


def demanded(node: Apply) -> list[Variable]:
    """The inputs of a node whose values decide shapes, in it or in its regions."""
    positions = set(node.op.length_inputs(len(node.inputs)))
    for region in node.op.regions:
        positions |= _demanded_of(node, region)
    return [node.inputs[position] for position in sorted(positions)]


def _demanded_of(node: Apply, region: Graph) -> set[int]:
    """Positions of a node's inputs whose values decide shapes in its region."""
    place = {variable: position for position, variable in enumerate(region.inputs)}
    lengths: list[Variable] = []
    for inner in region.applies:
        _check_cut(inner, region)
        lengths.extend(demanded(inner))
    leaves = leaves_of(lengths, stop=region.inputs)
    for variable in leaves.opaque:
        raise _varies(node, variable)
    return {_outer_position(node, place[variable], variable) for variable in leaves.values}


def _outer_position(node: Apply, position: int, variable: Variable) -> int:
    """The position of the input that a region's input stands for."""
    if isinstance(node.op, Differentiated):
        return position
    assert isinstance(node.op, Scan)
    outer = len(node.inputs) - (len(node.op.body.inputs) - position)
    first = len(node.inputs) - len(node.op.inputs(node.inputs).non_sequences)
    if outer < first:
        raise _varies(node, variable)
    return outer


def _varies(node: Apply, variable: Variable) -> LengthError:
    label = node.op.label if isinstance(node.op, Scan) else "a differentiated region"
    return LengthError(
        f"{label!r}: the length {variable!r}{where(variable.sources)} is computed anew at each step or on the "
        f"device; inside "
        f"of a loop a length must be the same at every step and known before the call{where(node.sources)}"
    )


def _check_cut(inner: Apply, region: Graph) -> None:
    """A loop of unknown length inside a region may be read through its last rows and its length alone."""
    stacks: Iterable[Variable] = _cut_outputs(inner)
    for stack in stacks:
        if stack in region.outputs or region.readers.get(stack):
            assert isinstance(inner.op, Scan)
            raise UnsupportedError(
                f"scan {inner.op.label!r} stops by until inside of another loop or a gradient, so its length "
                f"differs from step "
                f"to step: read it through [-1], [i], .sum(0) or .shape[0], not as a whole{where(inner.sources)}"
            )
