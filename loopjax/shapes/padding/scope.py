"""What the pass ``pad`` knows while it rewrites a graph or a region: the axes with room to spare, and their counts."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loopjax.errors import LengthError, Source, where
from loopjax.ir.graph import Apply, Constant, Op, Variable, toposort
from loopjax.ir.lengths import compute, is_shape, leaves_of
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.types import TensorType
from loopjax.shapes.padding.spec import ExactLengthOp
from loopjax.shapes.preconditions import LENGTH, OTHER, Precondition, RuntimeAssertion
from loopjax.trace.convert import constant

Length = Variable | int


@dataclass(frozen=True)
class Axis:
    """A padded axis: how many of its rows count, and how many there are. Both are int64 scalars; the host can compute
    the second."""

    count: Variable
    size: Variable

    @property
    def scalars(self) -> tuple[Variable, Variable]:
        """Both."""
        return self.count, self.size


Axes = Mapping[int, Axis]


@dataclass
class Lengths:
    """What is padded: lengths that depend on these inputs, and, with ``device``, those that only a run decides."""

    varying: Collection[Variable]
    device: bool
    filling: str = "row 0"
    fine: bool = False
    exact_ops: dict[ExactLengthOp, None] = field(default_factory=dict)
    exact: set[Variable] = field(default_factory=set)
    """Inputs on which a length that some op needs as it is depends."""
    assertions: list[RuntimeAssertion] = field(default_factory=list)
    preconditions: dict[Precondition, None] = field(default_factory=dict)
    _equal: dict[Variable, Variable] = field(default_factory=dict)

    def unite(self, one: Variable, other: Variable) -> None:
        """Remembers that two lengths of the program are equal, since a call where they are not fails."""
        a, b = self.representative(one), self.representative(other)
        if a is not b:
            self._equal[a] = b

    def representative(self, length: Variable) -> Variable:
        """One and the same for equal lengths."""
        while length in self._equal:
            length = self._equal[length]
        return length


class PaddingScope:
    """One graph that is rewritten: a program's, or that of a region in the graph ``parent``.

    ``outer`` are the inputs of a region that are the same throughout, with what they are in the parent.
    ``differentiated`` where a derivative that stores encloses it.
    """

    def __init__(self, lengths: Lengths, parent: PaddingScope | None = None, differentiated: bool = False) -> None:
        self.lengths = lengths
        self.parent = parent
        self.differentiated = differentiated
        self.outer: dict[Variable, Variable] = {}
        self.entered: dict[Variable, Variable] = {}
        self.axes: dict[Variable, dict[int, Axis]] = {}
        self.sources: tuple[Source, ...] = ()
        self.op = ""
        self._made: dict[Hashable, Apply] = {}
        self._constants: dict[object, Constant] = {}
        self._rooms: dict[Variable, Variable] = {}

    # Building the new graph.

    def apply(self, op: Op, *inputs: Variable) -> tuple[Variable, ...]:
        """The outputs of a node of the new graph; the same node where there is one already."""
        given = tuple(self._constant(variable) for variable in inputs)
        if not isinstance(op, TableOp):
            return Apply(op, given, self.sources).outputs
        key = (op, given)
        if key not in self._made:
            self._made[key] = Apply(op, given, self.sources)
        return self._made[key].outputs

    def emit(self, row: str, *inputs: Length, **params: Hashable) -> Variable:
        """The output of a row of the table."""
        return self.apply(table_op(row, **params), *(self.scalar(value) for value in inputs))[0]

    def sized(self, row: str, *inputs: Length, lengths: Sequence[Length], **params: Hashable) -> Variable:
        """The output of a row that takes lengths: those that are not numbers are its last inputs."""
        scalars = [self.scalar(one) for one in lengths]
        static = tuple(int(one.data) if isinstance(one, Constant) else None for one in scalars)
        symbolic = [one for one in scalars if not isinstance(one, Constant)]
        return self.emit(row, *inputs, *symbolic, lengths=static, **params)

    def scalar(self, value: Length) -> Variable:
        """An int as a constant; a variable as it is."""
        return self._constant(constant(value)) if isinstance(value, int) else value

    def calc(self, row: str, *values: Length) -> Variable:
        """Arithmetic of int64 scalars; done at once where all are numbers."""
        given = [self.integer(value) for value in values]
        if row in ("minimum", "maximum") and given[0] is given[1]:
            return given[0]
        if row in ("add", "sub") and isinstance(given[1], Constant) and not given[1].data:
            return given[0]
        made = self.apply(table_op(row), *given)[0]
        if made.owner is not None and all(isinstance(one, Constant) for one in given):
            data = [one.data for one in given if isinstance(one, Constant)]
            return self._constant(Constant(np.asarray(compute(made.owner, data))))
        return made

    def integer(self, value: Length) -> Variable:
        """A length as an int64 scalar."""
        variable = self.scalar(value)
        if variable.dtype == "int64":
            return variable
        if isinstance(variable, Constant):
            return self.scalar(int(variable.data))
        return self.emit("cast", variable, dtype="int64")

    def _constant(self, variable: Variable) -> Variable:
        if not isinstance(variable, Constant):
            return variable
        return self._constants.setdefault((variable.key, variable.type.weak), variable)

    # What is known of lengths.

    def known(self, length: Variable) -> bool:
        """Whether the host can compute a length before the stage that this is part of runs."""
        leaves = leaves_of([length], stop=self.outer)
        if self.parent is None:
            return not leaves.opaque
        outer = [self.outer.get(leaf) for leaf in leaves.values]
        return not leaves.opaque and all(leaf is not None and self.parent.known(leaf) for leaf in outer)

    def varies(self, length: Variable) -> bool:
        """Whether a length is one to make room for; one that is rounded already is not."""
        rounded = [v for node in toposort([length], self.outer) for v in node.outputs if _is_rounded(node)]
        leaves = leaves_of([length], stop=[*self.outer, *rounded])
        if self.parent is None:
            return (self.lengths.device and bool(leaves.opaque)) or not leaves.values.isdisjoint(self.lengths.varying)
        values = leaves.values.difference(rounded)
        if leaves.opaque or not values.issubset(self.outer):
            return True
        return any(self.parent.varies(self.outer[leaf]) for leaf in values)

    def lift(self, variable: Variable) -> Variable | None:
        """A region's variable as one of the parent's graph, where it is the same throughout and made of integers."""
        assert self.parent is not None
        if isinstance(variable, Constant):
            return variable
        found: dict[Variable, Variable] = dict(self.outer)
        if variable in found:
            return found[variable]
        nodes = toposort([variable], stop=self.outer)
        reads = [one for node in nodes for one in node.inputs]
        if any(one.owner is None and one not in found and not isinstance(one, Constant) for one in reads):
            return None
        if leaves_of([variable], stop=self.outer).opaque:
            return None
        for node in nodes:
            if is_shape(node) and self.parent.axes.get(found.get(node.inputs[0], node.inputs[0])):
                return None
            outputs = self.parent.apply(node.op, *(found.get(one, one) for one in node.inputs))
            found.update(zip(node.outputs, outputs, strict=True))
        return found.get(variable)

    def lifted(self, one: Variable, other: Variable) -> tuple[Variable, Variable] | None:
        """Two variables as ``lift`` gives them, where it gives both."""
        outer = self.lift(one), self.lift(other)
        return None if outer[0] is None or outer[1] is None else (outer[0], outer[1])

    def enter(self, outer: Variable) -> Variable:
        """A scalar of the parent's graph as one of this region's inputs."""
        if isinstance(outer, Constant):
            return self._constant(outer)
        for inside, was in self.outer.items():
            if was is outer:
                return inside
        if outer not in self.entered:
            inside = Variable(TensorType(outer.dtype), name=outer.name)
            self.entered[outer] = inside
            self.outer[inside] = outer
        return self.entered[outer]

    def capacity(self, length: Variable) -> Variable | None:
        """How much room to make for a length: ``None`` in a loop where it differs from step to step."""
        length = self.integer(length)
        if isinstance(length, Constant):
            return length
        if length in self._rooms and not self.known(length):
            return self._rooms[length]
        if self.parent is None:
            return self.emit("capacity", length, fine=self.lengths.fine)
        outer = self.lift(length)
        room = None if outer is None else self.parent.capacity(outer)
        return None if room is None else self.enter(room)

    def require(self, relation: str, length: Variable, other: Variable, message: str, error: str = "value") -> bool:
        """Asks for a check of two lengths before a call; ``False`` where the host cannot tell."""
        if self.parent is not None:
            outer = self.lifted(length, other)
            return outer is not None and self.parent.require(relation, *outer, message, error)
        if not (self._before(length) and self._before(other)):
            return False
        precondition = Precondition(length, other, relation, error, message, where(self.sources))
        self.lengths.preconditions[precondition] = None
        if relation == "==":
            self.lengths.unite(length, other)
        return True

    def _before(self, length: Variable) -> bool:
        """Whether the host can compute a length from a call's arguments."""
        nodes = toposort([length])
        shapes = [node.inputs[0] for node in nodes if is_shape(node)]
        return self.known(length) and all(one.owner is None for one in shapes)

    def claim(self, relation: str, length: Variable, other: Variable, message: str) -> bool:
        """Asks for a check of two lengths: before the call, or after what runs on the device; ``False`` in a loop
        where neither can be."""
        if self.parent is not None:
            outer = self.lifted(length, other)
            return outer is not None and self.parent.claim(relation, *outer, message)
        if self.require(relation, length, other, message):
            return True
        holds = self.emit({"==": "eq", "<=": "le", ">=": "ge"}[relation], length, other)
        said = message.replace(LENGTH, "more").replace(OTHER, "fewer")
        self.lengths.assertions.append(RuntimeAssertion(holds, said + where(self.sources)))
        if relation == "==":
            self.lengths.unite(length, other)
        return True

    def equal(self, one: Variable, other: Variable) -> bool:
        """Whether two lengths are known to be equal."""
        if self.parent is None or one is other:
            return self.lengths.representative(one) is self.lengths.representative(other)
        outer = self.lifted(one, other)
        return outer is not None and self.parent.equal(*outer)

    # Padded axes.

    def axis(self, variable: Variable, axis: int) -> Axis | None:
        """What is known of an axis; ``None`` where all of its rows count."""
        return self.axes.get(variable, {}).get(axis)

    def of(self, variable: Variable) -> dict[int, Axis]:
        """The padded axes of a variable."""
        return dict(self.axes.get(variable, {}))

    def note(self, variable: Variable, axes: Axes) -> Variable:
        """Remembers the padded axes of a variable of the new graph."""
        if axes:
            self.axes[variable] = dict(axes)
            self._rooms.update((one.count, one.size) for one in axes.values() if one.count not in self._rooms)
        return variable

    def size(self, variable: Variable, axis: int) -> Variable:
        """How many rows there are along an axis."""
        padded = self.axis(variable, axis)
        if padded is not None:
            return padded.size
        static = variable.type.shape[axis]
        return self.scalar(static) if static is not None else self.emit("dim", variable, axis=axis)

    def count(self, variable: Variable, axis: int) -> Variable:
        """How many rows count along an axis."""
        padded = self.axis(variable, axis)
        return self.size(variable, axis) if padded is None else padded.count

    def filled(self, variable: Variable, axes: Axes, again: Collection[int] | None = None) -> Variable:
        """The variable with copies of row 0 past the counts of these axes (or of those of ``again``)."""
        for axis, padded in sorted(axes.items()):
            if again is None or axis in again:
                variable = self.emit("fill_rows", variable, padded.count, axis=axis, value=self.lengths.filling)
        return self.note(variable, axes)

    def masked(self, variable: Variable, axes: Collection[int], value: str) -> Variable:
        """The variable with ``value`` past the counts of these axes."""
        known = self.of(variable)
        for axis in sorted(axes):
            if axis in known:
                variable = self.emit("mask_rows", variable, known[axis].count, axis=axis, value=value)
        return self.note(variable, known)

    def resized(self, variable: Variable, axis: int, size: Variable) -> Variable:
        """The variable with room for so many rows along an axis, all that count among them."""
        known = self.of(variable)
        if known[axis].size is size:
            return variable
        made = self.sized("resize", variable, lengths=[size], axis=axis)
        return self.note(made, {**known, axis: Axis(known[axis].count, size)})

    def fitted(self, variable: Variable, axes: Axes) -> Variable:
        """A variable with this room, zeros past the counts, where as many of its rows count; any other axis exact."""
        variable = self.exact(variable, [axis for axis in self.of(variable) if axis not in axes])
        message = f"{self.op}: sizes that must be equal differ"
        for axis, wanted in axes.items():
            count, size = self.count(variable, axis), self.size(variable, axis)
            if not self.equal(count, wanted.count) and not self.claim("==", count, wanted.count, message):
                raise LengthError(f"{message}, as far as can be known here{where(self.sources)}")
            self.note(variable, {**self.of(variable), axis: Axis(wanted.count, size)})
            variable = self.resized(variable, axis, wanted.size)
        return self.masked(variable, list(axes), "zero")

    def exact(self, variable: Variable, axes: Collection[int] | None = None) -> Variable:
        """The variable without room to spare along these axes: compiled for each length, or the end of a stage."""
        for axis, padded in list(self.of(variable).items()):
            if axes is not None and axis not in axes:
                continue
            rest = {place: one for place, one in self.of(variable).items() if place != axis}
            stage = not self.known(padded.count)
            self.need(padded.count)
            if stage and self.parent is None:
                variable = self.cut(variable, [axis])
                continue
            variable = self.note(self.sized("resize", variable, lengths=[padded.count], axis=axis), rest)
        return variable

    def need(self, length: Variable) -> None:
        """Remembers that the op at hand needs a length as it is."""
        stage = not self.known(length)
        self.lengths.exact_ops[ExactLengthOp(self.op, self.sources, stage)] = None
        if not stage:
            self.lengths.exact.update(self.leaves(length))

    def leaves(self, length: Variable) -> set[Variable]:
        """The program's inputs that a length which the host can compute depends on."""
        leaves = leaves_of([length], stop=self.outer).values
        if self.parent is None:
            return leaves
        return {found for leaf in leaves for found in self.parent.leaves(self.outer[leaf])}

    def cut(self, variable: Variable, axes: Collection[int] | None = None) -> Variable:
        """The rows that count along these axes, once a call's run has told how many they are."""
        known = self.of(variable)
        along = {axis: one for axis, one in known.items() if axes is None or axis in axes}
        if not along:
            return variable
        rest = {axis: one for axis, one in known.items() if axis not in along}
        made = self.emit("cut", _unfilled(variable, along), *(one.count for one in along.values()), axes=tuple(along))
        return self.note(made, rest)

    def agreed(
        self, values: Sequence[Variable], places: Sequence[Mapping[int, int]], stretch: bool = True
    ) -> tuple[list[Variable], Axes]:
        """The values with the same room along axes that must be equal, and the padded axes of what they give.

        ``places``: for each value, from its axes to those of the result; sizes known to be 1 ``stretch``, or not.
        """
        found = list(values)
        axes: dict[int, Axis] = {}
        for target in sorted({place for one in places for place in one.values()}):
            members = [(i, axis) for i, one in enumerate(places) for axis, place in one.items() if place == target]
            members = [(i, axis) for i, axis in members if not stretch or found[i].type.shape[axis] != 1]
            common = self._agreed(found, members)
            if common is not None:
                axes[target] = common
        return found, axes

    def _agreed(self, found: list[Variable], members: Sequence[tuple[int, int]]) -> Axis | None:
        """One axis of several values, of which ``found`` is changed; ``None`` where all of its rows count."""
        padded = [(i, axis) for i, axis in members if self.axis(found[i], axis) is not None]
        if not padded:
            return None
        whole = [(i, axis) for i, axis in members if (i, axis) not in padded]
        counts = list(dict.fromkeys(self.count(found[i], axis) for i, axis in (*whole, *padded)))
        count = counts[0]
        message = f"{self.op}: sizes that must be equal differ"
        if not all(self.equal(count, other) or self.claim("==", count, other, message) for other in counts[1:]):
            opaque = [(i, axis) for i, axis in padded if not self.known(self.count(found[i], axis))]
            for i, axis in opaque or padded:
                found[i] = self.exact(found[i], [axis])
            return self._agreed(found, members)
        if whole:
            for i, axis in padded:
                resized = self.resized(found[i], axis, count)
                found[i] = self.note(resized, {p: a for p, a in self.of(resized).items() if p != axis})
            return None
        sizes = list(dict.fromkeys(self.size(found[i], axis) for i, axis in padded))
        size = sizes[0]
        for other in sizes[1:]:
            size = self.calc("minimum", size, other)
        for i, axis in padded:
            found[i] = self.resized(found[i], axis, size)
        return Axis(count, size)


def plain(op: Op) -> Any:
    """The parameters of a row of the table."""
    assert isinstance(op, TableOp)
    return op.arguments


def _is_rounded(node: Apply) -> bool:
    return isinstance(node.op, TableOp) and node.op.row == "steps_of_pairs"


def _unfilled(variable: Variable, along: Axes) -> Variable:
    """What was filled, before it was, where that is cut off."""
    node = variable.owner
    while node is not None and isinstance(node.op, TableOp) and node.op.row == "fill_rows":
        variable, count = node.inputs
        axis = along.get(node.op.arguments["axis"])
        if axis is None or axis.count is not count:
            return node.outputs[0]
        node = variable.owner
    return variable
