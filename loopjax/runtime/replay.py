"""Replay of a recorded program, op by op on the values of a call: finds where a NaN comes from, and shows a step.

Each op of the graph runs as a program of its own. A loop runs once with all its steps stacked, so that the inputs of
any step are known; a step is the ops of its body, one by one.

A NaN that only a gradient has is followed in reverse mode: each op pulls its cotangents back by a program of its own,
until one of finite cotangents is not finite. In a loop the cotangents of what each step gives are those of zeros that
are added there (``_cotangents``), so that any step can be pulled back by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from loopjax.errors import where
from loopjax.ir.autodiff import Differentiated, Linearize, Pullback
from loopjax.ir.graph import Apply, Constant, Graph, Variable, copy_node
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import SAVE_ALL, BodyInputs, Scan
from loopjax.ir.types import RESIDUAL, TensorType
from loopjax.rewrite.scan_builder import scan_builder
from loopjax.runtime.buckets import Bucket
from loopjax.runtime.mode import read_mode
from loopjax.runtime.program import Options, OutputStructure, Program
from loopjax.runtime.results import holds, marked
from loopjax.runtime.state import State
from loopjax.runtime.x64 import is_key
from loopjax.shapes.padding.spec import Padding

Values = dict[Variable, Any]

OPTIONS = Options("replay", lengths="exact", mode=read_mode("FAST_COMPILE"))
"""Options of the program of an op: no rewrites."""


class Place(NamedTuple):
    """A step of a loop."""

    node: Apply
    step: int

    def __str__(self) -> str:
        return f"step {self.step} of {self.node.op.subject}{where(self.node.sources)}"


class Origin(NamedTuple):
    """The op that makes a NaN of numbers, with its operands, or an input that is NaN; and the loops around it.

    With ``derivative`` it is the derivative of the op that is not finite, and its value is. ``word``: NaN, infinite, or
    not finite, as its value is.
    """

    variable: Variable
    operands: tuple[Any, ...]
    places: tuple[Place, ...]
    derivative: bool = False
    word: str = "NaN"

    def __str__(self) -> str:
        steps = "".join(f", at {place}" for place in reversed(self.places))
        node = self.variable.owner
        if node is None:
            name = repr(self.variable.name) if self.variable.name else str(self.variable)
            return f"the value of {name}{where(self.variable.sources)} is {self.word}{steps}"
        if any(variable.dtype == RESIDUAL for variable in node.inputs):
            at = "and the values that it is taken at are not"
            return f"the derivative{where(node.sources)} is {self.word}, {at}{steps}"
        shown = ", ".join(map(_shown, self.operands))
        if self.derivative:
            return f"the derivative of {node.op.subject}{where(node.sources)} at {shown} is not finite{steps}"
        return f"{node.op.subject}{where(node.sources)} of {shown} is {self.word}{steps}"


class StepValues(NamedTuple):
    """A step of a loop with its values: ``inputs`` by name, and ``ops`` with the arrays that each gave."""

    places: tuple[Place, ...]
    inputs: tuple[tuple[Variable, Any], ...]
    ops: tuple[tuple[Apply, tuple[Any, ...]], ...]

    def __str__(self) -> str:
        lines = [", ".join(map(str, reversed(self.places)))]
        lines += [f"  {variable.name or variable} = {_shown(value)}" for variable, value in self.inputs]
        for node, outputs in self.ops:
            lines.append(f"  {node.op.subject}{where(node.sources)} = {', '.join(map(_shown, outputs))}")
        return "\n".join(lines)


class Replay:
    """The ops of a program run one by one; a program compiled for an op serves all runs of that op.

    ``kinds`` are those of values whose origin is asked for: nan, inf.
    """

    def __init__(self, kinds: tuple[str, ...] = ("nan",)) -> None:
        self._compiled: dict[object, Bucket] = {}
        self._kinds = kinds
        self._word = "not finite" if len(kinds) > 1 else "infinite" if "inf" in kinds else "NaN"

    def _is_bad(self, array: Any) -> bool:
        return holds(array, self._kinds)

    def values(self, graph: Graph, inputs: Sequence[Any]) -> Values:
        """The values of all variables of a graph."""
        values: Values = dict(zip(graph.inputs, inputs, strict=True))
        read = [*graph.outputs, *(variable for node in graph.applies for variable in node.inputs)]
        values.update((variable, variable.data) for variable in read if isinstance(variable, Constant))
        for node in graph.applies:
            values.update(zip(node.outputs, self._run(node, values), strict=True))
        return values

    def origin(self, graph: Graph, inputs: Sequence[Any]) -> Origin | None:
        """Where the first NaN (or infinity) among the outputs comes from; ``None`` where there is none."""
        values = self.values(graph, inputs)
        variable = next((variable for variable in graph.outputs if self._is_bad(values[variable])), None)
        while variable is not None and variable.owner is not None and variable not in graph.inputs:
            node = variable.owner
            cause = next((one for one in node.inputs if self._is_bad(values[one])), None)
            if cause is None:
                return self._inside(node, values) or self._made(variable, values)
            variable = cause
        return None if variable is None else Origin(variable, (), (), word=self._word)

    def _made(self, variable: Variable, values: Values) -> Origin:
        assert variable.owner is not None
        return Origin(variable, tuple(values[one] for one in variable.owner.inputs), (), word=self._word)

    def step(self, graph: Graph, inputs: Sequence[Any], steps: Sequence[int], name: str | None) -> StepValues:
        """The step of a loop, by its number and, before it, those of the steps of the loops around it."""
        loops = list(self._loops(graph, inputs))
        inner = len(steps) > 1
        fitting = [one for one in loops if name is None or _holds(one[0], name, inner)]
        if len(fitting) != 1:
            labels = [node.op.subject + where(node.sources) for node, _ in loops]
            raise ValueError(
                f"replay: {len(fitting)} of the loops {labels} {'hold' if inner else 'are'} "
                f"{'a loop' if name is None else repr(name)}; expected one, name it with loop=, and give the steps of "
                f"the loops around it before its own"
            )
        node, values = fitting[0]
        stacks, step = self._stacks(node, values), steps[0]
        if not 0 <= step < len(stacks[0]):
            raise ValueError(
                f"replay: {node.op.subject}{where(node.sources)} ran {len(stacks[0])} steps; expected one of them, "
                f"counted from 0, got step {step}"
            )
        body, given = _loop(node).body, self._step_inputs(node, values, stacks, step)
        if inner:
            found = self.step(body, given, steps[1:], name)
            return found._replace(places=(Place(node, step), *found.places))
        values = self.values(body, given)
        ops = tuple((one, tuple(values[variable] for variable in one.outputs)) for one in body.applies)
        return StepValues((Place(node, step),), tuple(zip(body.inputs, given, strict=True)), ops)

    def _loops(self, graph: Graph, inputs: Sequence[Any]) -> Iterator[tuple[Apply, Values]]:
        """The loops of a graph and of its differentiated regions, with the values around them."""
        values = self.values(graph, inputs)
        for node in graph.applies:
            if isinstance(node.op, Scan):
                yield node, values
            elif isinstance(node.op, Differentiated):
                yield from self._loops(node.op.region, [values[variable] for variable in node.inputs])

    def _inside(self, node: Apply, values: Values) -> Origin | None:
        """Where the first NaN of a loop or a region comes from: of a loop, the first step whose results are NaN."""
        if type(node.op) is Pullback:
            region = node.inputs[0].owner
            assert region is not None
            assert isinstance(region.op, Differentiated)
            given = [values[variable] for variable in region.inputs]
            slopes = zip(region.op.region.outputs, (values[one] for one in node.inputs[1:]), strict=False)
            return self._backward(region.op.region, given, dict(slopes))
        if isinstance(node.op, Differentiated):
            return self.origin(node.op.region, [values[variable] for variable in node.inputs])
        if not isinstance(node.op, Scan):
            return None
        stacks = self._stacks(node, values)
        bad = [marked(np.asarray(stack), self._kinds) for stack in stacks if self._is_bad(stack)]
        steps = [one.reshape(len(one), -1).any(1).argmax() for one in bad]
        if not steps:
            return None
        step = int(min(steps))
        found = self.origin(node.op.body, self._step_inputs(node, values, stacks, step))
        return None if found is None else found._replace(places=(Place(node, step), *found.places))

    def _backward(self, graph: Graph, inputs: Sequence[Any], slopes: Values) -> Origin | None:
        """The first op in reverse mode whose cotangents are finite and pulled back are not; ``slopes`` are those of the
        graph's outputs."""
        values = self.values(graph, inputs)
        for node in reversed(graph.applies):
            own = {output: slopes[output] for output in node.outputs if output in slopes}
            leaves = [x for x in dict.fromkeys(node.inputs) if not isinstance(x, Constant)]
            if not own or any(x.dtype == RESIDUAL for x in (*node.inputs, *node.outputs)):
                continue
            pulled = self._pull(node, Graph(leaves, node.outputs), [values[x] for x in leaves], own)
            if not _are_finite(pulled.values()):
                operands = tuple(values[x] for x in node.inputs)
                inside = self._backward_step(node, values, own) if isinstance(node.op, Scan) else None
                return inside or Origin(node.outputs[0], operands, (), derivative=True)
            for x, slope in pulled.items():
                slopes[x] = slopes[x] + slope if x in slopes else slope
        return None

    def _backward_step(self, node: Apply, values: Values, slopes: Values) -> Origin | None:
        """Where in a loop the cotangents stop being finite: the last step from whose finite ones others come."""
        stacks, body = self._stacks(node, values), _loop(node).body
        cotangents = self._cotangents(node, values, slopes, stacks)
        for step in reversed(range(len(stacks[0]))):
            own = {output: rows[step] for output, rows in cotangents.items()}
            given = self._step_inputs(node, values, stacks, step)
            if not _are_finite(own.values()):
                return None
            if not _are_finite(self._pull(body, body, given, own).values()):
                found = self._backward(body, given, own)
                return None if found is None else found._replace(places=(Place(node, step), *found.places))
        return None

    def _cotangents(self, node: Apply, values: Values, slopes: Values, stacks: Sequence[Any]) -> Values:
        """The cotangents of the body's outputs at all steps: the gradients by zeros that are added to its outputs."""
        leaves = [x for x in dict.fromkeys(node.inputs) if not isinstance(x, Constant)]
        loop, given = scan_builder(node), [values[x] for x in leaves]
        added: dict[Variable, Variable] = {}
        for output, of, stack in zip(loop.outputs, _loop(node).body.outputs, stacks, strict=False):
            if output.value.type.is_float:
                zeros = added[of] = Variable(TensorType(output.value.dtype, stack.shape))
                output.value = ops.add(output.value, loop.row_of(zeros, "zeros"))
                given.append(np.zeros(stack.shape, zeros.dtype))
        graph = Graph([*leaves, *added.values()], loop.outputs_for(node))
        own = {new: slopes[old] for old, new in zip(node.outputs, graph.outputs, strict=True) if old in slopes}
        pulled = self._pull((node, "zeros"), graph, given, own)
        return {of: pulled[zeros] for of, zeros in added.items()}

    def _pull(self, key: object, graph: Graph, inputs: Sequence[Any], slopes: Values) -> Values:
        """The cotangents of a graph's inputs from those of its outputs."""
        given = dict(zip(graph.inputs, inputs, strict=True))
        wrt = [x for x in graph.inputs if x.type.is_float]
        costs = [x for x in dict.fromkeys(graph.outputs) if x in slopes and x.type.is_float]
        if not wrt or not costs:
            return {}
        order = [*wrt, *(x for x in graph.inputs if x not in set(wrt))]
        bucket = self._compiled.get((key, *costs))
        if bucket is None:
            leaves, seeds = ([Variable(x.type, name=x.name) for x in some] for some in (order, costs))
            forward = Apply(Linearize(Graph(order, costs), len(wrt), len(costs)), leaves, ())
            back = Pullback(tuple(x.type for x in wrt), tuple(x.type for x in costs))
            made = Apply(back, [forward.outputs[-1], *seeds], ()).outputs
            program = Program((), OutputStructure("list"), Graph([*leaves, *seeds], made), State((), ()), OPTIONS)
            bucket = self._compiled[key, *costs] = Bucket(program, Padding())
        found = bucket.run(bucket.values([*(given[x] for x in order), *(slopes[x] for x in costs)]))
        return dict(zip(wrt, found, strict=True))

    def _stacks(self, node: Apply, values: Values) -> list[np.ndarray[Any, Any]]:
        """The results of all steps of a loop: of each recurrence and map output."""
        op = _loop(node)
        kept = replace(
            op,
            recurrences=tuple(replace(one, saved=SAVE_ALL) for one in op.recurrences),
            maps=tuple(replace(one, saved=SAVE_ALL) for one in op.maps),
            accumulators=(),
            progress="",
            checkpoint=None,
        )
        found = self._run(copy_node(node, node.inputs, kept), values)
        return [np.asarray(stack) for stack in found[: len(op.outputs)]]

    def _step_inputs(self, node: Apply, values: Values, stacks: Sequence[Any], step: int) -> list[Any]:
        op = _loop(node)
        parts = op.inputs([values[variable] for variable in node.inputs])
        slices = []
        for spec, rows in zip(op.sequences, parts.sequences, strict=True):
            first = len(rows) - spec.span - 1 - step if op.go_backwards else step
            slices.append(tuple(rows[first + tap - spec.low] for tap in spec.taps))
        taps = []
        for recurrence, initial, stack in zip(op.recurrences, parts.initials, stacks, strict=False):
            rows = [initial[i] for i in range(recurrence.depth)] if recurrence.windowed else [initial]
            pasts = [step + tap for tap in recurrence.taps]
            taps.append(tuple(stack[past] if past >= 0 else rows[recurrence.depth + past] for past in pasts))
        n_steps = op.n_steps if op.n_steps is not None else int(parts.n_steps[0])
        number = n_steps - 1 - step if op.counts_down else step
        keys = tuple(jax.random.fold_in(key, number) for key in parts.keys)
        states = parts.states if not (op.n_states and step) else self._states(node, values, step)
        return BodyInputs(tuple(slices), tuple(taps), tuple(states), keys, parts.non_sequences).flat()

    def _states(self, node: Apply, values: Values, step: int) -> Sequence[Any]:
        """Values of a loop's shared variables after ``step`` steps."""
        op = _loop(node)
        inputs = list(node.inputs)
        if op.n_steps is None:
            inputs[0] = Constant(np.asarray(step, "int64"))
        else:
            op = replace(op, n_steps=step)
        op = replace(op, progress="", checkpoint=None)
        return op.results(self._run(copy_node(node, inputs, op), values)).states

    def _run(self, node: Apply, values: Values) -> list[Any]:
        """The outputs of a node.

        A residual lives within one program: ``None`` here, and the node that leaves it runs again before each one
        that reads it.
        """
        leaves: dict[Variable, Variable] = {}
        for variable in node.inputs:
            for one in variable.owner.inputs if variable.dtype == RESIDUAL and variable.owner else [variable]:
                if not isinstance(one, Constant):
                    leaves.setdefault(one, Variable(one.type, name=one.name))
        outputs = [variable for variable in node.outputs if variable.dtype != RESIDUAL]
        bucket = self._compiled.get(node)
        if bucket is None:
            graph = Graph(list(leaves), outputs).rebuilt(leaves, inputs=list(leaves.values()))
            program = Program((), OutputStructure("list"), graph, State((), ()), OPTIONS)
            bucket = self._compiled[node] = Bucket(program, Padding())
        found = bucket.run(bucket.values([values[leaf] for leaf in leaves]))
        return [*found, *[None] * (len(node.outputs) - len(outputs))]


def _loop(node: Apply) -> Scan:
    assert isinstance(node.op, Scan)
    return node.op


def _are_finite(arrays: Iterable[Any]) -> bool:
    return all(np.isfinite(np.asarray(array)).all() for array in arrays)


def _holds(node: Apply, name: str, inside: bool) -> bool:
    """Test if a loop has a name, or a loop ``inside`` of it has."""
    op = _loop(node)
    if not inside:
        return op.label == name
    return op.body.holds(lambda one: isinstance(one.op, Scan) and one.op.label == name)


def _shown(array: Any) -> str:
    """An array in one line."""
    if is_key(array):
        return "a random key"
    text = np.array2string(np.asarray(array), threshold=6, edgeitems=2, precision=4).replace("\n", " ")
    return text if array.ndim == 0 else f"{array.dtype}{tuple(array.shape)} {text}"
