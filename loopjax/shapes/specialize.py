"""Specialization of a stage's graph for the shapes and lengths of a call: afterwards every shape is known.

One walk in order infers every type anew from the inputs' types. The integers that lengths need are computed on the way
and become static parameters of the ops. What types with unknown sizes could not tell is checked here, with the user's
line: sizes that do not fit, indices out of bounds, states that change their shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loopjax.errors import LengthError, about, coded, where
from loopjax.ir.autodiff import Differentiated, Pullback, marks
from loopjax.ir.graph import Apply, Constant, Graph, Variable, copy_node
from loopjax.ir.index import index_inputs
from loopjax.ir.lengths import evaluate, is_shape, scalar
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.scan import Scan
from loopjax.ir.symbolic_sizes import needs_number, undecided
from loopjax.ir.types import Shape, TensorType
from loopjax.shapes.preconditions import TripCountCheck


def specialize(
    graph: Graph, types: Sequence[TensorType], values: Mapping[Variable, Any], from_shapes: Iterable[Variable] = ()
) -> Graph:
    """Return the graph for inputs of these types, lengths folded into the ops.

    ``values`` are those of the inputs that lengths need. ``from_shapes``: the inputs among them whose values follow
    from shapes; in a region there are such.

    Raises
    ------
    TypeError, ValueError
        For shapes that do not fit.
    LengthError
        For a length that is not known.
    IndexError
        For an index that shapes show to be out of bounds.
    """
    inputs = [Variable(type, name=variable.name) for variable, type in zip(graph.inputs, types, strict=True)]
    walk = _Specializer(dict(zip(graph.inputs, inputs, strict=True)), dict(values), set(from_shapes))
    for node in graph.applies:
        walk.add(node)
    return Graph(inputs, [walk.read(variable) for variable in graph.outputs])


@dataclass
class _Specializer:
    """One walk over a graph: sized variables for symbolic ones, and the integers known on the way.

    An index that depends on an input's value and not only ``from_shapes`` is not checked: one program serves all values
    of the same lengths.
    """

    sized: dict[Variable, Variable]
    values: dict[Variable, Any]
    from_shapes: set[Variable]

    def read(self, variable: Variable) -> Variable:
        """Return the sized variable for one of the graph."""
        return variable if isinstance(variable, Constant) else self.sized[variable]

    def _value(self, variable: Variable) -> Any | None:
        return variable.data if isinstance(variable, Constant) else self.values.get(variable)

    def add(self, node: Apply) -> None:
        """Specialize the next node."""
        try:
            self._add(node)
        except Exception as error:
            if needs_number(error):
                raise undecided(error, node.op.subject, node.sources) from None
            raise

    def _add(self, node: Apply) -> None:
        positions = node.op.length_inputs(len(node.inputs))
        op = node.op.sized([self._length(node, position) for position in positions])
        inputs = [self.read(variable) for position, variable in enumerate(node.inputs) if position not in positions]
        if isinstance(op, Scan):
            op = self._scan(node, op, inputs)
        elif isinstance(op, Differentiated):
            given = op.region.inputs
            types = [variable.type for variable in inputs[: len(given)]]
            op = _with_deltas(op, self._region(op.region, types, zip(node.inputs, given, strict=False)))
        elif isinstance(op, Pullback):
            residual = inputs[0].owner
            assert residual is not None
            assert isinstance(residual.op, Differentiated)
            op = op.of(residual.op)
        fresh = copy_node(node, inputs, op)
        _check_broadcast(node, fresh)
        _check_promises(node, fresh)
        _check_memory(fresh)
        self._check_indices(node, fresh)
        self.sized.update(zip(node.outputs, fresh.outputs, strict=True))
        self._note_value(node)

    def _length(self, node: Apply, position: int) -> Any:
        variable = node.inputs[position]
        value = self._value(variable)
        if value is None:
            raise coded(LengthError, "LJ702")(
                f"{node.op.subject}: the length {variable!r} is not known{where(node.sources)}"
            )
        if isinstance(node.op, Scan):
            TripCountCheck(variable, 0, node.op.label, where(node.sources)).verify("n_steps", scalar(value))
        return scalar(value)

    def _note_value(self, node: Apply) -> None:
        """Record the node's value where it is an integer that the host can compute."""
        value = evaluate(node, self._value, lambda variable: self.read(variable).type.sizes)
        if value is None:
            return
        self.values[node.outputs[0]] = value
        if is_shape(node) or all(isinstance(v, Constant) or v in self.from_shapes for v in node.inputs):
            self.from_shapes.add(node.outputs[0])

    def _check_indices(self, node: Apply, fresh: Apply) -> None:
        """Raise for an index that shapes show to be out of bounds."""
        for position, axis in index_inputs(node):
            variable = node.inputs[position]
            if variable not in self.from_shapes:
                continue
            size = fresh.inputs[0].type.sizes[axis]
            for index in np.ravel(self.values[variable]):
                if not -size <= index < size:
                    raise coded(IndexError, "LJ206")(
                        f"{node.op.subject}: index {index} is out of bounds for axis {axis} of size "
                        f"{size}; expected {-size} to {size - 1}{where(node.sources)}"
                    )

    def _scan(self, node: Apply, op: Scan, inputs: Sequence[Variable]) -> Scan:
        inside = op.body_inputs(op.body.inputs).non_sequences
        same = zip(node.inputs[len(node.inputs) - len(inside) :], inside, strict=True)
        with about(op.subject, lines=False):
            body = self._region(op.body, op.body_types([variable.type for variable in inputs]), same)
        _check_states(node, op, body)
        return replace(op, body=body)

    def _region(self, region: Graph, types: Sequence[TensorType], same: Iterable[tuple[Variable, Variable]]) -> Graph:
        """Specialize a region; ``same`` are pairs of a variable outside and the region's input that equals it."""
        pairs = list(same)
        values = {inside: value for outside, inside in pairs if (value := self._value(outside)) is not None}
        return specialize(region, types, values, [inside for outside, inside in pairs if outside in self.from_shapes])


def _with_deltas(op: Differentiated, region: Graph) -> Differentiated:
    """Turn the marks of a sized region, ``perturb`` nodes, into inputs: zeros that are added where the mark stands."""
    deltas = {node: Variable(node.outputs[0].type) for node in marks(region)}

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...] | None:
        if node not in deltas:
            return None
        return Apply(table_op("add"), [inputs[0], deltas[node]], node.sources).outputs

    marked = region.rebuilt(transform=transform)
    inputs = [*region.inputs[: op.n_wrt], *deltas.values(), *region.inputs[op.n_wrt :]]
    return replace(op, region=Graph(inputs, marked.outputs), n_deltas=len(deltas))


def _check_states(node: Apply, op: Scan, body: Graph) -> None:
    """Raise unless a step gives each state the shape that it starts with."""
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
        raise coded(ValueError, "LJ106")(
            f"scan {op.label!r}: {'; '.join(wrong)}. Start from a value of the shape that a step "
            f"returns{where(node.sources)}"
        )


def _shared_name(variable: Variable) -> str:
    """Return what errors call a shared variable: its name, or where it was made."""
    return f"shared variable {variable.name!r}" if variable.name else f"the shared variable{where(variable.sources)}"


def _check_broadcast(node: Apply, fresh: Apply) -> None:
    """Raise for a size that turns out to be 1 and would stretch: only one known to be 1 from the beginning may."""
    if not isinstance(node.op, TableOp) or not isinstance(fresh.op, TableOp):
        return
    before = node.op.broadcasts(*[variable.type for variable in node.inputs])
    if not any(None in shape for shapes in before for shape in shapes):
        return
    now = fresh.op.broadcasts(*[variable.type for variable in fresh.inputs])
    for old, shapes in zip(before, now, strict=True):
        if any(None in was and _stretches(was, shape, shapes) for was, shape in zip(old, shapes, strict=True)):
            raise coded(ValueError, "LJ501")(
                f"{node.op.subject}: shapes {list(shapes)} do not fit: a size that is not known to be 1 when the graph "
                f"is built does not broadcast; declare it (row, col, shape=(1, None)) or use dimshuffle('x', "
                f"...){where(node.sources)}"
            )


def _stretches(before: Shape, now: Shape, others: Sequence[Shape]) -> bool:
    """Test if a size that was unknown and is 1 meets another size."""
    return any(
        before[axis] is None and now[axis] == 1 and any(len(one) >= -axis and one[axis] != 1 for one in others)
        for axis in range(-len(now), 0)
    )


MOST_BYTES = 2**47
"""The size of an array that no address space holds."""


def _check_memory(node: Apply) -> None:
    """Raise for an array that fits into no memory, before the compiler fails on it."""
    for output in node.outputs:
        if output.type.bytes > MOST_BYTES:
            raise coded(MemoryError, "LJ803")(
                f"{node.op.subject}: {output.type} has {output.type.bytes:.2g} bytes, more than any memory; expected "
                "less, look at the "
                f"lengths that it is made of{where(node.sources)}"
            )


def _check_promises(node: Apply, fresh: Apply) -> None:
    """Raise unless the types inferred with unknown sizes hold with the known ones."""
    for before, now in zip(node.outputs, fresh.outputs, strict=True):
        if not before.type.accepts(now.type):
            raise coded(ValueError, "LJ501")(
                f"{node.op.subject}: expected {before.type}, got {now.type}{where(node.sources)}"
            )
