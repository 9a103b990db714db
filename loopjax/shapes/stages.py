"""Stages: a program is split where a length must be read back from the device before the rest can be compiled.

XLA compiles for shapes. Where a shape depends on what only a run computes, such as the steps after which an ``until``
loop stopped, the program up to there is one stage; its call returns the length, and the next stage is compiled for it.
For example ``y = x[x > 0]; z = sort(y)`` is a stage that computes a buffer of positions and their number, and one that
sorts that many elements.

Each node runs in the earliest stage that can have its inputs on the device and its shape operands on the host. Integer
arithmetic that the host can do, and shapes, are repeated in every stage that needs them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from loopjax.errors import UnsupportedError, coded, where
from loopjax.ir.graph import Apply, Constant, Graph, Variable, ancestors, toposort
from loopjax.ir.lengths import host_values, is_shape, leaves_of, on_host
from loopjax.ir.op import TableOp
from loopjax.ir.shape_operands import is_cut, shape_operands
from loopjax.ir.types import RESIDUAL
from loopjax.shapes.preconditions import TripCountChecks, trip_count_checks


class LengthOutput(NamedTuple):
    """A length that the output at ``position`` of a stage's graph holds."""

    position: int


class OutputSlice(NamedTuple):
    """One result of a stage, sliced from its buffer: the output at ``position``, and for each axis that is cut the
    axis with its length."""

    position: int
    lengths: tuple[tuple[int, int | LengthOutput], ...]


@dataclass(frozen=True)
class Stage:
    """A part of a program that is compiled as a whole.

    Attributes
    ----------
    graph
        What the stage computes.
    length_inputs
        Positions of the inputs whose values decide shapes. The graph is specialized for them.
    results
        The variables of the program that the stage computes, each with where it is among the graph's outputs.
    lengths
        The lengths that decide shapes, where they say less than the inputs that they are computed from: all ``n`` with
        the same ``n // 2`` share a program.
    checks
        Preconditions on trip counts that no shape depends on.
    """

    graph: Graph
    length_inputs: tuple[int, ...]
    results: tuple[tuple[Variable, OutputSlice], ...]
    lengths: tuple[Variable, ...]
    checks: TripCountChecks


def split(graph: Graph) -> tuple[Stage, ...]:
    """Split a program into stages, to be run in this order.

    There is one, unless something reads a length that is computed on the device or is that of an ``until`` loop's
    stacked output.
    """
    numbers = _StageNumbers(graph)
    stages: list[Stage] = []
    needed: dict[Variable, None] = dict.fromkeys(graph.outputs)
    for number in range(numbers.last, -1, -1):
        outputs = [v for v in needed if v.owner is not None and numbers.of_node.get(v.owner) == number]
        if outputs or number == 0:
            stages.append(_stage(outputs, numbers.computed_before(number), graph))
            needed.update(dict.fromkeys(stages[-1].graph.inputs))
    return tuple(reversed(stages))


class _StageNumbers:
    """The number of the earliest stage in which each node can run.

    ``_on_device``: the first stage that can read a variable. ``_on_host``: the first stage before which the host knows
    its value.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.of_node: dict[Apply, int] = {}
        self._on_device: dict[Variable, int] = {}
        self._on_host: dict[Variable, int] = {}
        for node in graph.applies:
            self._add(node)
        self.last = max([*self._on_device.values(), 0])

    def _add(self, node: Apply) -> None:
        number = max([self._on_device.get(variable, 0) for variable in node.inputs], default=0)
        number = max([number, *(self._on_host.get(variable, 0) for variable in shape_operands(node))])
        self.of_node[node] = number
        if is_shape(node):
            known = self._on_device.get(node.inputs[0], 0)
        elif on_host(node):
            known = max([self._on_host.get(variable, 0) for variable in node.inputs], default=0)
        else:
            known = number + 1
        self._on_device.update((output, number + is_cut(node)) for output in node.outputs)
        self._on_host.update((output, known) for output in node.outputs)

    def computed_before(self, number: int) -> list[Variable]:
        """Return the variables that earlier stages compute and that this stage does not compute again."""
        earlier = [node for node, own in self.of_node.items() if own < number and not (on_host(node) or is_shape(node))]
        return [*self._graph.inputs, *(output for node in earlier for output in node.outputs)]


def _stage(outputs: Sequence[Variable], before: Sequence[Variable], program: Graph) -> Stage:
    """Build the stage that computes ``outputs`` from what is computed ``before`` it."""
    slices = {output: _slice_of(output) for output in outputs}
    buffers = [one for buffer, lengths in slices.values() for one in (buffer, *lengths.values())]
    computed = dict.fromkeys(one for one in buffers if not isinstance(one, Constant))
    read = [variable for variable in ancestors(computed, stop=before) if not isinstance(variable, Constant)]
    needed, own = set(read), set(program.inputs)
    inputs = [variable for variable in program.inputs if variable in needed]
    inputs += [variable for variable in read if variable not in own]
    for variable in (*inputs, *computed):
        if variable.dtype == RESIDUAL:
            raise coded(UnsupportedError, "LJ702")(
                f"a length that depends on a differentiated value ends a stage inside of a "
                f"gradient{where(variable.sources)}"
            )
    graph = Graph(inputs, list(computed))
    positions = {variable: position for position, variable in enumerate(graph.outputs)}

    def position(length: Variable) -> int | LengthOutput:
        return int(length.data) if isinstance(length, Constant) else LengthOutput(positions[length])

    lengths = dict.fromkeys(length for node in graph.applies for length in shape_operands(node))
    leaves = leaves_of(lengths, stop=inputs)
    return Stage(
        graph,
        tuple(position for position, variable in enumerate(inputs) if variable in leaves.values),
        tuple(
            (output, OutputSlice(positions[buffer], tuple((axis, position(one)) for axis, one in cut.items())))
            for output, (buffer, cut) in slices.items()
        ),
        _computed_lengths(lengths, inputs),
        trip_count_checks(graph),
    )


def _slice_of(output: Variable) -> tuple[Variable, Mapping[int, Variable]]:
    """Return the buffer of a result, and the axes that it is cut along with their lengths."""
    node = output.owner
    if node is None or not is_cut(node):
        return output, {}
    buffer, *lengths = node.inputs
    return buffer, dict(zip(node.op.arguments["axes"], lengths, strict=True))


def _computed_lengths(lengths: Iterable[Variable], inputs: Sequence[Variable]) -> tuple[Variable, ...]:
    """Return the lengths, where some are computed, and all of plain ops; else none."""
    wanted = [length for length in lengths if not isinstance(length, Constant)]
    nodes = toposort(wanted, stop=inputs)
    return tuple(wanted) if nodes and all(isinstance(node.op, TableOp) for node in nodes) else ()


def specialization_key(stage: Stage, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """Return what a program compiled for these inputs depends on: their shapes, and the values of lengths."""
    shapes = tuple([array.shape for array in arrays])
    values = {stage.graph.inputs[position]: np.asarray(arrays[position]) for position in stage.length_inputs}
    lengths = host_values(stage.lengths, values, dict(zip(stage.graph.inputs, shapes, strict=True)))
    known = [length for length in lengths if length is not None]
    if not known or len(known) < len(lengths):
        known = list(values.values())
    # Symbolic lengths follow from the shapes.
    return shapes, tuple([value.tobytes() for value in known if not value.dtype.hasobject])
