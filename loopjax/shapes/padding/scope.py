"""The padding scope: what is known of lengths and padded axes while a graph or a region is rewritten.

The problem: a rule for one op must know which axes of its operands are padded, whether two lengths are equal, and
whether the host can compute a length. A length in a loop's body is an input of the body; whether it is the same at
every step, and hence what is known of it, is answered in the graph around the loop. So scopes form a chain, one for the
program and one for each region on the way down, and a query that a region cannot answer is lifted to its parent. For
example, in the body of ``scan(lambda r: r[:n].sum(), m)`` the length ``minimum(n', 5)`` of the slice lifts to
``minimum(n, 5)`` outside, where ``n`` is an input of the program: its capacity is computed there once and enters the
body.

A length that differs from step to step of a loop has the capacity of its greatest value (``bounds.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from loopjax.errors import LengthError, coded, where
from loopjax.ir.dim import Bounds, Dim
from loopjax.ir.graph import Apply, Constant, Graph, Op, Variable, copy_node, toposort
from loopjax.ir.lengths import is_shape, leaves_of
from loopjax.shapes.padding.bounds import BoundedLengths
from loopjax.shapes.padding.builder import Length
from loopjax.shapes.padding.spec import ExactLengthOp
from loopjax.shapes.preconditions import LENGTH, OTHER, Precondition, RuntimeAssertion


class PaddedAxis(NamedTuple):
    """The number of valid rows along an axis, and the number of rows that there are: int64 scalars.

    The host can compute the capacity.
    """

    length: Variable
    capacity: Variable


Axes = Mapping[int, PaddedAxis]

Walk = Callable[["PaddingScope", Graph, Sequence[Variable]], list[Variable]]
"""Pads the nodes of a region: from what stands for its inputs to what stands for its outputs."""


class LengthOrigins(NamedTuple):
    """The origins of a length: inputs of the program, whether a run decides it, and whether a step of a loop or a
    differentiated region does."""

    inputs: set[Variable]
    run: bool
    region: bool


@dataclass
class PaddingContext:
    """State that all scopes of a program share: the lengths that vary, and findings for the callers.

    Lengths vary that depend on the inputs ``varying`` and, with ``device``, those that only a run decides.
    ``exact_inputs`` are the inputs on which a length depends that an op needs exactly. ``positional_draws``: a random
    number depends on its key and its position only. ``inlined``: nothing can raise ``IndexError`` after the run.
    """

    varying: Collection[Variable]
    device: bool
    filling: str = "row 0"
    fine: bool = False
    positional_draws: bool = False
    inlined: bool = False
    exact_ops: dict[ExactLengthOp, None] = field(default_factory=dict)
    exact_inputs: set[Variable] = field(default_factory=set)
    preconditions: dict[Precondition, None] = field(default_factory=dict)
    rounded: set[Variable] = field(default_factory=set)
    """Lengths that are rounded so that they take few values: these need no capacity."""
    _equal: dict[Variable, Variable] = field(default_factory=dict)

    def unite(self, length: Variable, other: Variable) -> None:
        """Record that two lengths of the program are equal, since a call where they are not fails."""
        a, b = self.representative(length), self.representative(other)
        if a is not b:
            self._equal[a] = b

    def representative(self, length: Variable) -> Variable:
        """Return a variable that is the same for all lengths recorded as equal (union-find)."""
        while length in self._equal:
            length = self._equal[length]
        return length


class PaddingScope(BoundedLengths):
    """The new graph of a program, or of a region in the graph of ``parent``, and what is known of its lengths.

    ``outer`` maps inputs of a region that are the same throughout to variables of the parent; ``entered`` are those
    that padding added. ``step_bounds`` are bounds of inputs that differ from step to step, as dims of the parent's
    graph. ``widths`` maps the lengths of slices of constant width to that width; only a slice that reaches over an end
    has fewer rows. ``windows`` are the lengths of slices, ``asserted_lengths`` maps those that are asserted to be
    others to these, and ``rotations`` slices that were rotated to where they start to their lengths and capacities.
    ``asserted`` must hold at every step; the region publishes it. ``lazy``: the node at hand counts only where a branch
    is taken. ``differentiated``: a derivative that stores values encloses the graph.
    """

    def __init__(
        self, context: PaddingContext, parent: PaddingScope | None = None, differentiated: bool = False
    ) -> None:
        super().__init__()
        self.context = context
        self.parent: PaddingScope | None = parent
        self.differentiated = differentiated
        self.outer: dict[Variable, Variable] = {}
        self.entered: dict[Variable, Variable] = {}
        self.op = ""
        self.step_bounds: dict[Variable, Bounds] = {}
        self.positive: set[Variable] = set()
        self.widths: dict[Variable, int] = {}
        self.windows: set[Variable] = set()
        self.rotations: dict[Variable, PaddedAxis] = {}
        self.asserted_lengths: dict[Variable, Variable] = {}
        self.asserted: dict[Variable, RuntimeAssertion] = {}
        self.lazy = False
        self._axes: dict[Variable, dict[int, PaddedAxis]] = {}
        self._capacities: dict[Variable, Variable] = {}

    def apply(self, op: Op, *inputs: Variable) -> tuple[Variable, ...]:
        """Return the outputs of a node."""
        outputs = super().apply(op, *inputs)
        if op.named("steps_of_pairs"):
            self.context.rounded.update(outputs)
        return outputs

    # Lengths.

    def _origins(self, length: Variable, stop: Collection[Variable] = ()) -> LengthOrigins:
        leaves = leaves_of([length], stop=[*self.outer, *stop])
        values = leaves.values.difference(stop)
        if self.parent is None:
            return LengthOrigins(values, run=bool(leaves.opaque), region=False)
        found = [self.parent._origins(self.outer[leaf], stop) for leaf in values if leaf in self.outer]
        inputs = {variable for origins in found for variable in origins.inputs}
        region = bool(leaves.opaque) or len(found) < len(values) or any(origins.region for origins in found)
        return LengthOrigins(inputs, any(origins.run for origins in found), region)

    def is_known(self, length: Variable) -> bool:
        """Test if the host can compute a length before the stage that this is part of runs."""
        origins = self._origins(length)
        return not (origins.run or origins.region)

    def varies(self, length: Variable) -> bool:
        """Test if a length needs a capacity."""
        origins = self._origins(length, self.context.rounded)
        is_varying = not origins.inputs.isdisjoint(self.context.varying)
        return is_varying or origins.region or (origins.run and self.context.device)

    def lift(self, variable: Variable, by: type[Op] | None = None) -> Variable | None:
        """Return a region's length as one of the parent's graph, where it is the same throughout.

        Lift any variable, with its padded axes, that ops of a class compute, ``by`` which it is then computed twice.
        """
        assert self.parent is not None
        if isinstance(variable, Constant):
            return variable
        if variable in self.outer:
            return self.outer[variable]
        if variable.owner is None:  # an input of the region that differs from step to step
            return None
        nodes = toposort([variable], stop=self.outer)
        free = {one for node in nodes for one in node.inputs if one.owner is None and not isinstance(one, Constant)}
        is_opaque = bool(leaves_of([variable], stop=self.outer).opaque)
        may_compute = by is not None and all(isinstance(node.op, by) for node in nodes)
        if not free <= self.outer.keys() or (is_opaque and not may_compute):
            return None
        found = dict(self.outer)
        for node in nodes:
            inputs = [found.get(one, one) for one in node.inputs]
            # The length of an axis that is padded around the region is not its size there.
            if is_shape(node) and self.parent.axes(inputs[0]):
                return None
            # A mark of what the region is differentiated by has no meaning around it.
            is_mark = node.op.named("perturb")
            found.update(zip(node.outputs, inputs if is_mark else self.parent.apply(node.op, *inputs), strict=True))
        axes = self.axes(variable)
        if any(self.lift(scalar) is None for padded in axes.values() for scalar in padded):
            return None
        return self.parent.note(found[variable], self.lifted_axes(axes))

    def _lifted(self, length: Variable, other: Variable) -> tuple[Variable, Variable] | None:
        outer = self.lift(length), self.lift(other)
        return None if outer[0] is None or outer[1] is None else (outer[0], outer[1])

    def enter(self, outer: Variable) -> Variable:
        """Return a variable of the parent's graph as an input of this region that is the same throughout."""
        if isinstance(outer, Constant):
            return self._unique(outer)
        for inside, was in self.outer.items():
            if was is outer:
                return inside
        inside = Variable(outer.type.strong(), name=outer.name)
        self.entered[outer] = inside
        self.bind({inside: outer})
        return inside

    def bind(self, outer: Mapping[Variable, Variable]) -> None:
        """Record that inputs of the region are variables of the parent's graph, the same throughout."""
        assert self.parent is not None
        self.outer.update(outer)
        for inside, variable in outer.items():
            self.note(inside, self.entered_axes(self.parent.axes(variable)))

    def entered_axes(self, axes: Axes) -> dict[int, PaddedAxis]:
        """Return axes of the parent's graph as axes of this region."""
        return {axis: PaddedAxis(*map(self.enter, padded)) for axis, padded in axes.items()}

    def lifted_axes(self, axes: Axes, published: Mapping[Variable, Variable] = MappingProxyType({})) -> Axes:
        """Return axes of this region as axes of the parent's graph, some of their scalars ``published`` by it."""

        def outward(scalar: Variable) -> Variable:
            found = published[scalar] if scalar in published else self.lift(scalar)
            assert found is not None
            return found

        return {axis: PaddedAxis(*map(outward, padded)) for axis, padded in axes.items()}

    def capacity(self, length: Variable) -> Variable | None:
        """Return the capacity for a length; ``None`` in a loop where the length differs from step to step."""
        length = self.integer(length)
        if isinstance(length, Constant):
            return length
        if length in self._capacities and not self.is_known(length):
            return self._capacities[length]
        if self.parent is None:
            return self.emit("capacity", length, fine=self.context.fine)
        outer = self.lift(length)
        if outer is None:
            return self.upper_bound(Dim.of(length))
        capacity = self.parent.capacity(outer)
        return None if capacity is None else self.enter(capacity)

    def rounded(self, length: Variable) -> Variable:
        """Return a length of the program rounded up, where it varies from call to call."""
        return self.emit("capacity", length, fine=self.context.fine) if self.varies(length) else length

    def equal(self, length: Variable, other: Variable) -> bool:
        """Test if two lengths are known to be equal."""
        if Dim.of(length) == Dim.of(other):
            return True
        if self.parent is None or length is other:
            return self.context.representative(length) is self.context.representative(other)
        outer = self._lifted(length, other)
        return outer is not None and self.parent.equal(*outer)

    # Checks of lengths.

    def add_precondition(
        self, relation: str, length: Variable, other: Length, message: str, code: str = "LJ501"
    ) -> bool:
        """Have two lengths compared before a call; ``False`` where its arguments do not tell them."""
        other = self.scalar(other)
        if self.parent is not None:
            outer = self._lifted(length, other)
            return outer is not None and self.parent.add_precondition(relation, *outer, message, code)
        if not (self._before_call(length) and self._before_call(other)):
            return False
        precondition = Precondition(length, other, relation, code, message, where(self.sources))
        self.context.preconditions[precondition] = None
        if relation == "==":
            self.context.unite(length, other)
        return True

    def _before_call(self, length: Variable) -> bool:
        """Test if the host can compute a length from a call's arguments."""
        shaped = [node.inputs[0] for node in toposort([length]) if is_shape(node)]
        return self.is_known(length) and all(variable.owner is None for variable in shaped)

    def require_size(self, size: Variable, message: str) -> None:
        """Have it checked that a size is not negative: before a call, or at every step."""
        if self.length_capacity(size) is not None or self.is_nonnegative(Dim.of(size)):
            return
        if not self.add_precondition(">=", size, 0, message, "LJ506") and self.parent is not None:
            self.require(">=", size, 0, message, "LJ506")

    def require(self, relation: str, length: Variable, other: Length, message: str, code: str = "LJ501") -> bool:
        """Have two lengths compared before a call, or by a runtime assertion."""
        other = self.scalar(other)
        if relation == "==" and not self.lazy:
            for one, two in ((length, other), (other, length)):
                if one in self.windows and self.is_known(two):
                    self.asserted_lengths.setdefault(one, two)
        if self.parent is not None:
            outer = None if self.lazy else self._lifted(length, other)
            if outer is not None:
                return self.parent.require(relation, *outer, message, code)
        elif self.add_precondition(relation, length, other, message, code):
            return True
        if code == "LJ206" and self.context.inlined:
            return True
        holds = self.emit({"==": "eq", "<=": "le", ">=": "ge"}[relation], length, other)
        words = ("fewer", "more") if relation == ">=" else ("more", "fewer")
        limit = str(other.data) if isinstance(other, Constant) else words[1]
        text = message.replace(LENGTH, words[0]).replace(OTHER, limit)
        self.assert_holds(holds, text + where(self.sources), code)
        if relation == "==" and self.parent is None:
            self.context.unite(length, other)
        return True

    def assert_holds(self, holds: Variable, message: str, code: str = "LJ501") -> None:
        """Have a condition checked by the run, at every step of the loops around."""
        self.asserted[holds] = RuntimeAssertion(holds, message, code)

    def require_equal(
        self, length: Variable, other: Variable, message: str = "sizes that must be equal differ", code: str = "LJ501"
    ) -> bool:
        """Have two lengths compared unless they are known to be equal; ``False`` where they cannot be."""
        return self.equal(length, other) or self.require("==", length, other, f"{self.op}: {message}", code)

    # Padded axes.

    def axis(self, variable: Variable, axis: int) -> PaddedAxis | None:
        """Return a padded axis of a variable; ``None`` for an axis whose rows are all valid."""
        return self._axes.get(variable, {}).get(axis)

    def axes(self, variable: Variable) -> dict[int, PaddedAxis]:
        """Return the padded axes of a variable."""
        return dict(self._axes.get(variable, {}))

    def other_axes(self, variable: Variable, axis: int) -> dict[int, PaddedAxis]:
        """Return the padded axes of a variable apart from one."""
        return {place: padded for place, padded in self.axes(variable).items() if place != axis}

    def note(self, variable: Variable, axes: Axes) -> Variable:
        """Record the padded axes of a variable, and return it."""
        if axes:
            self._axes[variable] = dict(axes)
            for length, capacity in axes.values():
                self._capacities.setdefault(length, capacity)
        return variable

    def note_apart(self, variable: Variable, axes: Axes) -> Variable:
        """Record the padded axes of what an op makes of lengths, apart from the same of all valid rows."""
        node = variable.owner
        if not axes or node is None:
            return variable
        key = (node.op, node.inputs, tuple(sorted(axes.items(), key=lambda item: item[0])))
        if key not in self._nodes:
            self._nodes[key] = Apply(node.op, node.inputs, self.sources)
        return self.note(self._nodes[key].outputs[0], axes)

    def call(self, op: Op, *inputs: Variable, axes: Axes) -> Variable:
        """Return the output of an op, and record its padded axes."""
        return self.note(self.apply(op, *inputs)[0], axes)

    def rows(self, variable: Variable, axis: int) -> Variable:
        """Return the number of rows that there are along an axis."""
        padded = self.axis(variable, axis)
        if padded is not None:
            return padded.capacity
        static = variable.type.shape[axis]
        return self.scalar(static) if static is not None else self.emit("dim", variable, axis=axis)

    def length(self, variable: Variable, axis: int) -> Variable:
        """Return the number of valid rows along an axis."""
        padded = self.axis(variable, axis)
        return self.rows(variable, axis) if padded is None else padded.length

    def stretches(self, variable: Variable, axis: int) -> bool:
        """Test if an axis broadcasts: its size is known to be 1, which capacity for one row does not say."""
        return variable.type.shape[axis] == 1 and self.axis(variable, axis) is None

    def length_capacity(self, length: Variable) -> Variable | None:
        """Return the capacity of padded axes of this length; ``None`` where there is no such axis."""
        return self._capacities.get(length)

    def filled(
        self, variable: Variable, axes: Axes, along: Collection[int] | None = None, value: str | None = None
    ) -> Variable:
        """Return the variable with copies of row 0 (in tests NaN, unless ``value`` says another) past the lengths of
        these axes, or only ``along`` some of them."""
        value = value or self.context.filling
        for axis, padded in sorted(axes.items()):
            if along is None or axis in along:
                variable = self.emit("fill_rows", variable, padded.length, axis=axis, value=value)
        return self.note(variable, axes)

    def masked(self, variable: Variable, along: Collection[int], value: str, least: int = 0) -> Variable:
        """Return the variable with ``value`` past the lengths of these axes, and past the ``least`` row at any length.

        With 1, results on an empty axis are those of row 0, not those of ``value`` alone, which may be NaN.
        """
        axes = self.axes(variable)
        for axis in sorted(axes.keys() & set(along)):
            length = self.emit("maximum", axes[axis].length, least) if least else axes[axis].length
            if not least:
                variable = unfilled(variable, {axis: axes[axis]})
            variable = self.emit("mask_rows", variable, length, axis=axis, value=value)
        return self.note(variable, axes)

    def with_capacity(self, variable: Variable, axis: int, capacity: Variable) -> Variable:
        """Return the variable with another capacity along a padded axis, no less than its length."""
        axes = self.axes(variable)
        if axes[axis].capacity is capacity:
            return variable
        resized = self.resize(variable, axis, capacity)
        return self.note(resized, {**axes, axis: PaddedAxis(axes[axis].length, capacity)})

    def fit(self, variable: Variable, axes: Axes) -> Variable:
        """Return the variable with exactly these padded axes and zeros past their lengths, which must be its own."""
        variable = self.exact(variable, self.axes(variable).keys() - axes.keys())
        for axis, wanted in axes.items():
            length, capacity = self.length(variable, axis), self.rows(variable, axis)
            if not self.require_equal(length, wanted.length):
                raise coded(LengthError, "LJ501")(
                    f"{self.op}: sizes that must be equal differ, as far as can be known here{where(self.sources)}"
                )
            self.note(variable, {**self.axes(variable), axis: PaddedAxis(wanted.length, capacity)})
            variable = self.with_capacity(variable, axis, wanted.capacity)
        return self.masked(variable, axes.keys(), "zero")

    def exact(self, variable: Variable, along: Collection[int] | None = None) -> Variable:
        """Return the variable cut to its lengths, along these axes: its program is compiled for each length, or a
        stage ends."""
        for axis, padded in self.axes(variable).items():
            if along is not None and axis not in along:
                continue
            window = self.window_in(padded.length)
            if window is not None:
                length, rest = window
                width = self.widths[length]
                message = f"{self.op}: a slice of {width} rows reaches over an end; shorten the range of its start"
                self.require("==", length, width, message, "LJ205")
                size = self.calc("add", rest, width)
            else:
                self.need(padded.length)
                if self.parent is None and not self.is_known(padded.length):
                    variable = self.cut(variable, [axis])
                    continue
                size = self.around(padded.length)
            variable = self.note(self.resize(variable, axis, size), self.other_axes(variable, axis))
        return variable

    def region(self, inputs: Sequence[Variable], outputs: Sequence[Variable]) -> Graph:
        """Return the graph of the region, where slices have the lengths that they are asserted to have: with others the
        run raises, and no result counts."""

        def transform(node: Apply, new: tuple[Variable, ...]) -> Sequence[Variable] | None:
            made = node.outputs[0]
            if made in self.rotations:
                twice = new[0].owner
                assert twice is not None
                return [self.unless_whole(self.rotations[made], twice.inputs[0], copy_node(node, new).outputs[0])]
            if node.op.named("fill_rows", "mask_rows") and node.inputs[1] in self.asserted_lengths:
                return copy_node(node, [new[0], self.asserted_lengths[node.inputs[1]]]).outputs
            return None

        graph = Graph(inputs, outputs)
        return graph.rebuilt(transform=transform) if self.asserted_lengths else graph

    def unless_whole(self, padded: PaddedAxis, whole: Variable, cut: Variable) -> Variable:
        """Return ``cut``, or ``whole`` where a slice is asserted to have as many rows as its capacity: sizes tell."""
        wanted = self.asserted_lengths.get(padded.length)
        return cut if wanted is None else self.emit("switch", self.emit("eq", wanted, padded.capacity), whole, cut)

    def window_in(self, length: Variable) -> tuple[Variable, Variable] | None:
        """Return two lengths whose sum is the given one: that of a slice of constant width, and a size."""
        total = Dim.of(length)
        for window in self.widths:
            rest = total - Dim.of(window)
            if rest.size < total.size:  # terms have cancelled
                size = self.of_dim(rest)
                if not self.varies(size):
                    return window, size
        return None

    def around(self, length: Variable) -> Variable:
        """Return a length that the host does not know as it is computed around this region, where a stage may end
        before it: twice, if it must be."""
        if self.parent is None or self.is_known(length):
            return length
        outer = self.lift(length, by=Op)
        if outer is not None:
            return self.enter(self.parent.around(outer))
        raise coded(LengthError, "LJ702")(
            f"{self.op}: a size differs from step to step of a loop, and nothing is known that bounds it, or "
            f"{self.op} takes no such size; write minimum(size, most), or a mask over all elements{where(self.sources)}"
        )

    def need(self, length: Variable) -> None:
        """Record that the op at hand needs a length as it is."""
        known = self.is_known(length)
        self.context.exact_ops[ExactLengthOp(self.op, self.sources, ends_stage=not known)] = None
        if known:
            self.context.exact_inputs.update(self._origins(length).inputs)

    def cut(self, variable: Variable, along: Collection[int] | None = None) -> Variable:
        """Return the valid rows along these axes, which a run must tell first."""
        axes = self.axes(variable)
        gone = {axis: padded for axis, padded in axes.items() if along is None or axis in along}
        if not gone:
            return variable
        lengths = [padded.length for padded in gone.values()]
        made = self.emit("cut", unfilled(variable, gone), *lengths, axes=tuple(gone))
        return self.note(made, {axis: padded for axis, padded in axes.items() if axis not in gone})

    def aligned(
        self, values: Sequence[Variable], places: Sequence[Mapping[int, int]], stretch: bool = True
    ) -> tuple[list[Variable], dict[int, PaddedAxis]]:
        """Give values the same capacity along axes that must be equal; also return the padded axes of the result.

        ``places``: for each value, from its axes to those of the result. With ``stretch``, sizes known to be 1 fit any
        other.
        """
        found = list(values)
        axes: dict[int, PaddedAxis] = {}
        for target in sorted({place for one in places for place in one.values()}):
            members = [(i, axis) for i, one in enumerate(places) for axis, place in one.items() if place == target]
            members = [(i, axis) for i, axis in members if not (stretch and self.stretches(found[i], axis))]
            common = self._aligned_axis(found, members)
            if common is not None:
                axes[target] = common
        return found, axes

    def broadcast(self, values: Sequence[Variable]) -> tuple[list[Variable], dict[int, PaddedAxis]]:
        """Align values that broadcast to one another."""
        ndim = max((value.ndim for value in values), default=0)
        return self.aligned(values, [{axis: axis + ndim - one.ndim for axis in range(one.ndim)} for one in values])

    def _aligned_axis(self, found: list[Variable], members: Sequence[tuple[int, int]]) -> PaddedAxis | None:
        """Align an axis of several values, replaced in ``found``; ``None`` where all of its rows are valid."""
        padded = [(i, axis) for i, axis in members if self.axis(found[i], axis) is not None]
        if not padded:
            return None
        whole = [member for member in members if member not in padded]
        length, *others = dict.fromkeys(self.length(found[i], axis) for i, axis in (*whole, *padded))
        if not all(self.require_equal(length, other) for other in others):
            opaque = [(i, axis) for i, axis in padded if not self.is_known(self.length(found[i], axis))]
            for i, axis in opaque or padded:
                found[i] = self.exact(found[i], [axis])
            return self._aligned_axis(found, members)
        if whole:
            for i, axis in padded:
                found[i] = self.note(self.resize(found[i], axis, length), self.other_axes(found[i], axis))
            return None
        capacity = self.least(list(dict.fromkeys(self.rows(found[i], axis) for i, axis in padded)))
        for i, axis in padded:
            found[i] = self.with_capacity(found[i], axis, capacity)
        return PaddedAxis(length, capacity)


def unfilled(variable: Variable, along: Axes) -> Variable:
    """Return a variable as it was before it was filled along these axes."""
    node = variable.owner
    while node is not None and node.op.named("fill_rows"):
        filled = along.get(node.op.arguments["axis"])
        if filled is None or filled.length is not node.inputs[1]:
            break
        variable = node.inputs[0]
        node = variable.owner
    return variable
