"""Splitting a program where a length must be read back before the rest can be compiled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from loopjax.errors import UnsupportedError, where
from loopjax.ir.graph import Apply, Constant, Graph, Variable, toposort
from loopjax.ir.lengths import host_values, is_shape, leaves_of, on_host
from loopjax.ir.op import TableOp
from loopjax.ir.shape_operands import is_cut, shape_operands
from loopjax.ir.types import RESIDUAL
from loopjax.shapes.preconditions import TripCountChecks, trip_count_checks


class OutputSlice(NamedTuple):
    """One of a stage's outputs, and for each axis of which some rows count alone, how many: an int, or the position of
    the output that says so."""

    position: int
    lengths: tuple[tuple[int, int | LengthOutput], ...]


class LengthOutput(NamedTuple):
    """The position of an output."""

    position: int


@dataclass(frozen=True)
class Stage:
    """A part of a program that is compiled as one.

    ``length_inputs``: positions of inputs whose values decide shapes, so that it is specialised for them. ``lengths``:
    what is computed from them and decides, where that is less than they say (``n // 2``, or the size of a window).
    ``results``: what it computes for the rest of the program, and how each is got from the graph's outputs.
    ``checks``: what must hold of lengths that shapes do not depend on.
    """

    graph: Graph
    length_inputs: tuple[int, ...]
    results: tuple[tuple[Variable, OutputSlice], ...]
    lengths: tuple[Variable, ...]
    checks: TripCountChecks


def split(graph: Graph) -> tuple[Stage, ...]:
    """The program as stages, one after the other.

    One stage, unless a length is computed on the device or is that of an ``until`` loop's stacked output that
    something reads.
    """
    levels = _Levels(graph)
    stages: list[Stage] = []
    needed: dict[Variable, None] = dict.fromkeys(graph.outputs)
    for level in range(levels.highest, -1, -1):
        outputs = [v for v in needed if v.owner is not None and v not in levels.inputs and levels.node(v) == level]
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
        for variable in shape_operands(node):
            level = max(level, self._host(variable))
        self._of_node[node] = level
        for output in node.outputs:
            self._available[output] = level + is_cut(node)
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
    made = [variable for output in outputs for variable in _made(output)]
    seen = set(made)
    stack = list(made)
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
    for variable in (*ordered, *made):
        if variable.dtype == RESIDUAL:
            raise UnsupportedError(
                f"a length that depends on a differentiated value ends a stage inside of a "
                f"gradient{where(variable.sources)}"
            )
    graph = Graph(ordered, list(dict.fromkeys(made)))
    places = {variable: place for place, variable in enumerate(graph.outputs)}
    demands = dict.fromkeys(variable for node in graph.applies for variable in shape_operands(node))
    leaves = leaves_of(demands, stop=ordered)
    return Stage(
        graph,
        tuple(position for position, variable in enumerate(ordered) if variable in leaves.values),
        tuple((output, _pick(output, places)) for output in outputs),
        _computed_lengths(demands, ordered),
        trip_count_checks(graph),
    )


def _made(output: Variable) -> list[Variable]:
    """What a stage computes for one of its outputs: for one that is cut, what is cut and the counts."""
    node = output.owner
    if node is None or not is_cut(node):
        return [output]
    return [variable for variable in node.inputs if not isinstance(variable, Constant)]


def _pick(output: Variable, places: Mapping[Variable, int]) -> OutputSlice:
    node = output.owner
    if node is None or not is_cut(node):
        return OutputSlice(places[output], ())
    assert isinstance(node.op, TableOp)
    buffer, *counts = node.inputs
    sizes = [int(c.data) if isinstance(c, Constant) else LengthOutput(places[c]) for c in counts]
    return OutputSlice(places[buffer], tuple(zip(node.op.arguments["axes"], sizes, strict=True)))


def _computed_lengths(demands: Iterable[Variable], inputs: Sequence[Variable]) -> tuple[Variable, ...]:
    """The lengths, where some are computed and all can be from the inputs' values and shapes; else none."""
    wanted = [variable for variable in demands if not isinstance(variable, Constant)]
    given = set(inputs)
    if given.issuperset(wanted):
        return ()
    nodes = toposort(wanted, stop=inputs)
    known = all(on_host(node) or (is_shape(node) and _is_known(node.inputs[0], given)) for node in nodes)
    return tuple(wanted) if known else ()


def _is_known(variable: Variable, inputs: Collection[Variable]) -> bool:
    """Whether the host has the variable itself."""
    return variable in inputs or (variable.owner is not None and on_host(variable.owner))


def specialization_key(stage: Stage, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """What a program compiled for these inputs depends on: their shapes, and the lengths."""
    shapes = tuple([array.shape for array in arrays])
    if not stage.lengths:
        return shapes, tuple([np.asarray(arrays[position]).tobytes() for position in stage.length_inputs])
    values = {stage.graph.inputs[position]: np.asarray(arrays[position]) for position in stage.length_inputs}
    lengths = host_values(stage.lengths, values, dict(zip(stage.graph.inputs, shapes, strict=True)))
    return shapes, tuple([None if length is None else length.tobytes() for length in lengths])
