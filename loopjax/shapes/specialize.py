"""From a stage's graph and the shapes and lengths of a call to a graph whose every shape is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from loopjax.errors import LengthError, about, where
from loopjax.ir.autodiff import Differentiated, Pullback
from loopjax.ir.graph import Apply, Constant, Graph, Op, Variable, copy_node
from loopjax.ir.lengths import compute, is_shape, on_host, shape_value
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.scan import MOST_STEPS, Scan
from loopjax.ir.types import Shape, TensorType

Known = Mapping[Variable, Any]


def specialize(graph: Graph, types: Sequence[TensorType], values: Known, from_shapes: Iterable[Variable] = ()) -> Graph:
    """The graph for inputs of these types, lengths folded into the ops.

    ``values`` are those of the inputs that lengths need; of ``from_shapes`` among them, shapes alone decide. Raises
    what the ops raise for shapes that do not fit, with the user's line; ``LengthError`` for a length that is not known;
    ``IndexError`` for an index that shapes show to be out of bounds.
    """
    return _Sizing(graph, types, values, from_shapes).run()


class _Sizing:
    """One walk over a graph: sized variables for symbolic ones, and the integers known on the way."""

    def __init__(
        self, graph: Graph, types: Sequence[TensorType], values: Known, from_shapes: Iterable[Variable]
    ) -> None:
        self._graph = graph
        # What an input's value decides is left to the run: one program serves all values of the same lengths.
        self._from_shapes = set(from_shapes)
        self._known: dict[Variable, Any] = dict(values)
        self._sized: dict[Variable, Variable] = {
            variable: Variable(type, name=variable.name) for variable, type in zip(graph.inputs, types, strict=True)
        }

    def run(self) -> Graph:
        inputs = [self._sized[variable] for variable in self._graph.inputs]
        for node in self._graph.applies:
            outputs = self._node(node)
            self._sized.update(zip(node.outputs, outputs, strict=True))
            self._note_value(node)
        return Graph(inputs, [self._read(variable) for variable in self._graph.outputs])

    def _read(self, variable: Variable) -> Variable:
        return variable if isinstance(variable, Constant) else self._sized[variable]

    def _value(self, variable: Variable) -> Any | None:
        return variable.data if isinstance(variable, Constant) else self._known.get(variable)

    def _node(self, node: Apply) -> tuple[Variable, ...]:
        positions = node.op.length_inputs(len(node.inputs))
        op = node.op.sized([self._length(node, position) for position in positions])
        inputs = [self._read(variable) for position, variable in enumerate(node.inputs) if position not in positions]
        if isinstance(op, Scan):
            op = self._scan(node, op, inputs)
        elif isinstance(op, Differentiated):
            op = self._differentiated(node, op, inputs)
        elif isinstance(op, Pullback):
            op = _pullback(op, inputs[0])
        fresh = copy_node(node, inputs, op)
        _check_broadcast(node, fresh)
        _check_promises(node, fresh)
        self._check_indices(node, fresh)
        return fresh.outputs

    def _length(self, node: Apply, position: int) -> int:
        variable = node.inputs[position]
        value = self._value(variable)
        if value is None:
            raise LengthError(f"{node.op.name}: the length {variable!r} is not known{where(node.sources)}")
        if isinstance(node.op, Scan) and int(value) < 0:
            raise ValueError(f"scan {node.op.label!r}: n_steps is negative: {int(value)}{where(node.sources)}")
        if isinstance(node.op, Scan) and int(value) > MOST_STEPS:
            raise ValueError(
                f"scan {node.op.label!r}: n_steps is {int(value)}, more than {MOST_STEPS}{where(node.sources)}"
            )
        return int(value)

    def _note_value(self, node: Apply) -> None:
        """Remembers the node's value where it is an integer that the host can compute."""
        if is_shape(node):
            self._known[node.outputs[0]] = shape_value(node, self._read(node.inputs[0]).type.sizes)
            self._from_shapes.add(node.outputs[0])
        elif on_host(node):
            values = [self._value(variable) for variable in node.inputs]
            if not any(value is None for value in values):
                self._known[node.outputs[0]] = compute(node, values)
                if all(isinstance(variable, Constant) or variable in self._from_shapes for variable in node.inputs):
                    self._from_shapes.add(node.outputs[0])

    def _check_indices(self, node: Apply, fresh: Apply) -> None:
        """Raises for an index that shapes show to be out of bounds."""
        if not isinstance(node.op, TableOp) or not node.op.has("gather", "scatter"):
            return
        entries = [entry for entry in node.op.arguments["pattern"] if entry[0] != "new"]
        axes = [axis for axis, entry in enumerate(entries) if entry[0] == "at"]
        for variable, axis in zip(node.inputs[1 if node.op.has("gather") else 2 :], axes, strict=False):
            if variable not in self._from_shapes:
                continue
            size = fresh.inputs[0].type.sizes[axis]
            for index in np.ravel(self._known[variable]):
                if not -size <= index < size:
                    raise IndexError(
                        f"{node.op.name}: index {index} is out of bounds for axis {axis} of size "
                        f"{size}{where(node.sources)}"
                    )

    def _inner_values(self, outer: Sequence[Variable], inner: Sequence[Variable]) -> dict[Variable, Any]:
        found: dict[Variable, Any] = {}
        for variable, region_input in zip(outer, inner, strict=True):
            value = self._value(variable)
            if value is not None:
                found[region_input] = value
        return found

    def _inner_from_shapes(self, outer: Sequence[Variable], inner: Sequence[Variable]) -> list[Variable]:
        return [one for variable, one in zip(outer, inner, strict=True) if variable in self._from_shapes]

    def _scan(self, node: Apply, op: Scan, inputs: Sequence[Variable]) -> Scan:
        types = [variable.type for variable in inputs]
        non_sequences = op.inputs(inputs).non_sequences
        outer = node.inputs[len(node.inputs) - len(non_sequences) :]
        inner = op.body.inputs[len(op.body.inputs) - len(non_sequences) :]
        from_shapes = self._inner_from_shapes(outer, inner)
        with about(op.subject, None):
            body = specialize(op.body, op.body_types(types), self._inner_values(outer, inner), from_shapes)
        _check_states(node, op, body)
        return replace(op, body=body)

    def _differentiated(self, node: Apply, op: Differentiated, inputs: Sequence[Variable]) -> Differentiated:
        given = op.region.inputs
        values = self._inner_values(node.inputs[: len(given)], given)
        from_shapes = self._inner_from_shapes(node.inputs[: len(given)], given)
        region = specialize(op.region, [variable.type for variable in inputs[: len(given)]], values, from_shapes)
        return _with_deltas(op, region)


def _with_deltas(op: Differentiated, region: Graph) -> Differentiated:
    """Marks become inputs, zeros that are added where the mark stands."""
    marks = [node for node in region.applies if isinstance(node.op, TableOp) and node.op.row == "perturb"]
    marks.sort(key=lambda node: _mark_index(node.op))
    deltas = {node: Variable(node.outputs[0].type) for node in marks}

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...] | None:
        if node not in deltas:
            return None
        return Apply(table_op("add"), [inputs[0], deltas[node]], node.sources).outputs

    marked = region.rebuilt(transform=transform)
    inputs = [*region.inputs[: op.n_wrt], *deltas.values(), *region.inputs[op.n_wrt :]]
    return replace(op, region=Graph(inputs, marked.outputs), n_deltas=len(marks))


def _mark_index(op: Op) -> int:
    assert isinstance(op, TableOp)
    return int(op.arguments["index"])


def _pullback(op: Pullback, residual: Variable) -> Pullback:
    assert residual.owner is not None
    assert isinstance(residual.owner.op, Differentiated)
    return op.of(residual.owner.op)


def _check_states(node: Apply, op: Scan, body: Graph) -> None:
    """A step must give each state the shape that it starts with."""
    old = op.body_inputs([variable.type for variable in body.inputs])
    new = op.results([variable.type for variable in body.outputs])
    assert isinstance(node.op, Scan)
    pairs = [
        (f"state {r.name!r}", taps[0], value)
        for r, taps, value in zip(op.recurrences, old.taps, new.recurrences, strict=True)
    ]
    pairs += [
        (_shared_name(variable), before, after)
        for variable, before, after in zip(node.op.inputs(node.inputs).states, old.states, new.states, strict=True)
    ]
    wrong = [f"{name} starts as {before} but step returns {after}" for name, before, after in pairs if before != after]
    if wrong:
        raise ValueError(
            f"scan {op.label!r}: {'; '.join(wrong)}. Start from a value of the shape that a step "
            f"returns{where(node.sources)}"
        )


def _shared_name(variable: Variable) -> str:
    """A shared variable for errors: its name, or where it was made."""
    return f"shared variable {variable.name!r}" if variable.name else f"the shared variable{where(variable.sources)}"


def _check_broadcast(node: Apply, fresh: Apply) -> None:
    """A size that turns out to be 1 does not stretch: only one known to be 1 when the graph was built does."""
    if not isinstance(node.op, TableOp) or not isinstance(fresh.op, TableOp):
        return
    before = node.op.broadcasts(*[variable.type for variable in node.inputs])
    if not any(None in shape for shapes in before for shape in shapes):
        return
    now = fresh.op.broadcasts(*[variable.type for variable in fresh.inputs])
    for old, shapes in zip(before, now, strict=True):
        if any(None in was and _stretches(was, shape, shapes) for was, shape in zip(old, shapes, strict=True)):
            raise ValueError(
                f"{node.op.name}: shapes {list(shapes)} do not fit: a size that is not known to be 1 when the graph "
                f"is built does not broadcast; declare it (row, col, shape=(1, None)) or use dimshuffle('x', "
                f"...){where(node.sources)}"
            )


def _stretches(before: Shape, now: Shape, others: Sequence[Shape]) -> bool:
    """Whether a size that was unknown and is 1 meets another size."""
    return any(
        before[axis] is None and now[axis] == 1 and any(len(one) >= -axis and one[axis] != 1 for one in others)
        for axis in range(-len(now), 0)
    )


def _check_promises(node: Apply, fresh: Apply) -> None:
    """What was inferred with unknown sizes must hold with the known ones."""
    for before, now in zip(node.outputs, fresh.outputs, strict=True):
        if not before.type.accepts(now.type):
            raise ValueError(f"{node.op.name}: expected {before.type}, got {now.type}{where(node.sources)}")
