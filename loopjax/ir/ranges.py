"""Value-range analysis: bounds of each integer and truth value of a sized graph, and of floats that become integers.

Intervals are computed forward (Moore 1966; Harrison 1977, Compiler analysis of the value ranges for variables). A
loop's state is bounded by induction: by what every step bounds it by, or by what a step adds to it, times the steps. So
``i + 1`` over 100 steps from 0 is at most 100, and at most 99 where a step reads ``i``; ``(3 * i) % 7`` is at most 6.
What still grows is widened to the limits of its dtype. Floats between integers, ``clip(x, 0, 9)``, have bounds too,
which ``floor`` and ``cast`` keep; NaN may be among them, which XLA casts to 0
(``xla/service/elemental_ir_emitter.cc``).

``rewrite/value_ranges.py`` asks which indices are within bounds, ``lower/fits_32_bits.py`` which programs need no
64-bit integers. Limits: an operation that may overflow, or that has no rule here, may give any value of its dtype.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count, product, repeat
from typing import Any, NamedTuple

import numpy as np

from loopjax.ir.autodiff import Differentiated
from loopjax.ir.capacities import capacity
from loopjax.ir.cond import IfElse
from loopjax.ir.dim import Bounds, Dim, Element, Interval, arithmetic, is_natural_number
from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.index import IndexPattern, index_inputs
from loopjax.ir.monoid import element
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.scan import MOST_STEPS, BodyInputs, Parts, Scan, StepResult
from loopjax.ir.symbolic_sizes import is_natural, is_symbolic
from loopjax.ir.weight_gradients import BatchedWeightGradients

MOST_ELEMENTS = MOST_STEPS - 2**16
"""The elements of an array of symbolic sizes, at most: int32 counts them and a little on from them."""

ROUNDS = 4
"""Evaluations of a loop's body after which states that still grow are widened: to half of their limits, where the sums
of a step do not overflow, then to all values."""


class Range(NamedTuple):
    """The integers from ``least`` to ``greatest``."""

    least: int
    greatest: int

    def joined(self, *others: Range) -> Range:
        """Return the least range with this one and others in it."""
        return Range(min(self.least, *(x.least for x in others)), max(self.greatest, *(x.greatest for x in others)))

    def holds(self, other: Range) -> bool:
        """Test if every number of the other range is in this one."""
        return self.least <= other.least and other.greatest <= self.greatest


Found = Range | None
"""The range of an integer or truth value, integers around a float that may be NaN too; ``None`` for what has none."""

EXACT = {"float32": 2**24, "float64": 2**53}
"""Integers up to which floats count exactly: rounding, which is monotone, leads out of no range with such ends."""

ANY_FLOAT = Range(-(2**1100), 2**1100)
"""The range of a float that nothing is known of; its ends stand for infinities."""


def _rounded(found: Found, exact: int) -> Found:
    """Return the range of a float: an end that may have been rounded moves out, to the next exact one or infinity."""
    if found is None:
        return None
    least = min(found.least, exact) if found.least >= -exact else ANY_FLOAT.least
    ends = Range(least, max(found.greatest, -exact) if found.greatest <= exact else ANY_FLOAT.greatest)
    return None if ends == ANY_FLOAT else ends


NOTHING = Range(0, 0)


def full(variable: Variable) -> Range:
    """Return the range of all values of a dtype."""
    return Range(*(int(element(name, variable.dtype)) for name in ("least", "greatest")))


class RangeAnalysis:
    """Ranges of the variables of a graph, computed node by node.

    ``reads_within`` says that no read is out of bounds; elsewhere such a read gives the least value of its dtype.
    """

    reads_within = False

    def __init__(self, known: Mapping[Variable, Found] | None = None) -> None:
        self.ranges: dict[Variable, Found] = dict(known or {})

    def limits(self, variable: Variable) -> Range:
        """Return the range of all values that a variable may have."""
        return full(variable)

    def limited(self, variable: Variable, found: Found) -> Found:
        """Return the range of a value: its limits where it is not known or may overflow, of floats none."""
        if variable.dtype in EXACT:
            return _rounded(found, EXACT[variable.dtype])
        if variable.dtype != "bool" and not variable.type.is_integer:
            return None
        limits = self.limits(variable)
        return found if found is not None and limits.holds(found) else limits

    def of(self, variable: Variable) -> Found:
        """Return the range of a value."""
        if not isinstance(variable, Constant):
            return self.ranges[variable] if variable in self.ranges else self.limited(variable, None)
        data = np.asarray(variable.data)
        if data.dtype.kind == "f" and data.ndim == 0 and np.isfinite(data):
            return self.limited(variable, Range(math.floor(data), math.ceil(data)))
        if data.dtype.kind not in "biu":
            return None
        return self.limited(variable, Range(int(data.min()), int(data.max()))) if data.size else NOTHING

    def run(self, graph: Graph) -> RangeAnalysis:
        """Note the ranges of all nodes of a graph."""
        for node in graph.applies:
            self.note(node)
        return self

    def note(self, node: Apply) -> None:
        """Note the ranges of a node's outputs."""
        results = self._results(node)
        pairs = zip(node.outputs, [*results, *[None] * len(node.outputs)], strict=False)
        self.ranges.update((variable, self.limited(variable, found)) for variable, found in pairs)

    def entered(self, node: Apply, region: Graph) -> dict[Variable, Found]:
        """Return the ranges of the inputs of a region of a node."""
        op = node.op
        if isinstance(op, Scan):
            given = self._fixed_point(op, op.inputs([self.of(variable) for variable in node.inputs])).given
            return dict(zip(op.body.inputs, given.flat(), strict=False))
        outer = node.inputs[1:] if isinstance(op, IfElse) else node.inputs
        inner = op.primals if isinstance(op, Differentiated) else region.inputs
        return {inside: self.of(x) for inside, x in zip(inner, outer, strict=False)}

    def indexed(self, node: Apply) -> TableOp:
        """Return the op of a read or write, with what is known of its indices in its pattern."""
        pattern: IndexPattern = node.op.arguments["pattern"]
        arrays = []
        for entry, (position, axis) in zip(pattern.arrays, index_inputs(node), strict=True):
            size, found = node.inputs[0].type.sizes[axis], self.of(node.inputs[position])
            least = found.least if found is not None and found.least >= -size else None
            greatest = found.greatest if found is not None and found.greatest < size else None
            arrays.append(replace(entry, least=least, greatest=greatest))
        return table_op(node.op.name, **{**node.op.arguments, "pattern": pattern.with_arrays(arrays)})

    def _within(self, region: Graph, known: Mapping[Variable, Found]) -> RangeAnalysis:
        """Return the analysis of a region."""
        return type(self)({x: self.limited(x, found) for x, found in known.items()}).run(region)

    def _results(self, node: Apply) -> Sequence[Found]:
        op = node.op
        if isinstance(op, Scan):
            return self._of_loop(op, op.inputs([self.of(variable) for variable in node.inputs]))
        if isinstance(op, IfElse):
            branches = [self._outputs(node, region) for region in op.regions]
            pairs = zip(*branches, strict=True)
            return [None if x is None or y is None else x.joined(y) for x, y in pairs]
        if isinstance(op, (Differentiated, BatchedWeightGradients)):
            return self._outputs(node, op.region)[: len(node.outputs)]
        return [self._of_op(node)] * len(node.outputs)

    def _outputs(self, node: Apply, region: Graph) -> list[Found]:
        analysis = self._within(region, self.entered(node, region))
        return [analysis.of(variable) for variable in region.outputs]

    def _of_op(self, node: Apply) -> Found:
        op, name = node.op, node.op.name
        is_float = node.outputs[0].dtype != "bool" and not node.outputs[0].type.is_integer
        if is_float:
            return self._of_floats(node) if name in FLOATS else None
        if name in ("argmax", "argmin"):
            return Range(0, max(_reduced(node) - 1, 0))
        if name == "dim":
            return _of_size(node.inputs[0].type.sizes[op.arguments["axis"]])
        if name in POSITIONS:
            return Range(0, max(_elements(variable) for variable in node.inputs))
        if name in ("sign", "draw_bernoulli"):
            return Range(-1, 1)
        if name == "arange":
            bounds = op.arguments["lengths"]
            if any(map(is_symbolic, bounds)):
                ends = [_of_size(bound) for bound in bounds[:2]]
                return ends[0].joined(ends[1])
            elements = range(*bounds)
            return Range(min(elements), max(elements)) if elements else None
        operands = [self.of(variable) for variable in node.inputs]
        if any(variable.dtype in EXACT for variable in node.inputs):
            return operands[0].joined(NOTHING) if name == "cast" and operands[0] is not None else None
        known = [one for one in operands if one is not None]
        if not known or operands[0] is None:
            return None
        if name == "index" and not (self.reads_within or _is_within(self.indexed(node))):
            return None
        if op.has("selection") or name in ("max", "min"):
            return known[0]
        if name in MOVES:
            return NOTHING.joined(*known)
        if name == "sum":
            return _times(known[0], _reduced(node))
        if name == "cumsum":
            return _times(known[0], _elements(node.inputs[0]))
        if name == "inc":
            return _corners(operator.add)(known[0], _times(known[1], _elements(node.inputs[1])))
        if name == "set":
            return known[0].joined(known[1])
        if name == "capacity":
            return Range(0, int(capacity(max(known[0].greatest, 0), op.arguments["fine"], np)))
        rule = ARITHMETIC.get(name)
        return None if rule is None or len(known) < len(operands) else rule(*known)

    def _of_floats(self, node: Apply) -> Found:
        exact = EXACT.get(node.outputs[0].dtype)
        if exact is None:
            return None
        # An integer operand becomes a float of the result's dtype, and may be rounded so.
        operands = [_rounded(self.of(variable), exact) for variable in node.inputs]
        if not any(operands):
            return None
        return ARITHMETIC[node.op.name](*(ANY_FLOAT if one is None else one for one in operands))

    def _of_loop(self, op: Scan, parts: Parts) -> list[Found]:
        """Return the ranges of a loop's outputs; rows that no step writes are 0."""
        point = self._fixed_point(op, parts)
        stacks = [None if x is None else NOTHING.joined(x) for x in (*point.after.recurrences, *point.after.maps)]
        states = [
            None if start is None or new is None else start.joined(new)
            for start, new in zip(parts.states, point.after.states, strict=True)
        ]
        reductions = [_accumulated(spec.kind, stacks[spec.output], point.n_steps) for spec in op.accumulators]
        ran = Range(int(bool(op.n_steps) and not op.dynamic), point.n_steps)  # until is asked after a step
        return [*stacks, *states, *reductions, *([ran] if op.until else ())]

    def _fixed_point(self, op: Scan, parts: Parts) -> FixedPoint:
        """Return ranges of the body's inputs that hold at each step, by induction over the steps."""
        n_steps = MOST_STEPS if op.n_steps is None else MOST_ELEMENTS if is_symbolic(op.n_steps) else op.n_steps
        if op.dynamic and parts.n_steps[0] is not None:
            n_steps = min(n_steps, max(parts.n_steps[0].greatest, 0))
        samples: Sequence[Found] = ()
        if op.samples is not None:
            draws = op.samples.draws
            known = dict(zip(draws.inputs, [*parts.keys, *parts.non_sequences], strict=True))
            analysis = self._within(draws, known)
            samples = [analysis.of(variable) for variable in draws.outputs]
        read, written = op.body_inputs(op.body.inputs), op.results(op.body.outputs)
        before = [*chain.from_iterable(group[:1] for group in read.taps), *read.states]
        after = [*written.recurrences, *written.states]
        counted = [spec.taps == (-1,) for spec in op.recurrences] + [True] * op.n_states
        starts = zip(before, [*parts.initials, *parts.states], strict=True)
        first = [None if x.dtype in EXACT else self.limited(x, found) for x, found in starts]

        def at_each_step(assumed: Sequence[Found]) -> tuple[BodyInputs, RangeAnalysis, StepResult]:
            given = BodyInputs(
                tuple((found,) * len(spec.taps) for spec, found in zip(op.sequences, parts.sequences, strict=True)),
                tuple((found,) * len(spec.taps) for spec, found in zip(op.recurrences, assumed, strict=False)),
                tuple(assumed[len(op.recurrences) :]),
                parts.keys,
                parts.non_sequences,
                tuple(samples),
            )
            body = self._within(op.body, dict(zip(op.body.inputs, given.flat(), strict=True)))
            return given, body, op.results([body.of(variable) for variable in op.body.outputs])

        assumed = first
        for attempt in count():
            given, body, step = at_each_step(assumed)
            results = [*step.recurrences, *step.states]
            grown = list(assumed)
            for i, (old, new) in enumerate(zip(assumed, results, strict=True)):
                start = first[i]
                if old is None or new is None or start is None or old.holds(new):
                    continue
                change = body.change(before[i], after[i]) if counted[i] else None
                if change is not None:
                    total = _times(change, max(n_steps - 1, 0))
                    least = start.least + total.least if new.least < old.least else old.least
                    new = Range(least, start.greatest + total.greatest if new.greatest > old.greatest else old.greatest)
                grown[i] = self.limited(before[i], old.joined(new))
            if grown == assumed:
                narrowed = list(map(_narrowed, assumed, first, results))
                if narrowed != assumed:
                    given, body, step = at_each_step(narrowed)
                return FixedPoint(given, step, n_steps)
            assumed = list(map(self._widened, before, assumed, grown, repeat(attempt)))
        raise AssertionError  # states that grow are at their limits after some rounds

    def change(self, before: Variable, after: Variable) -> Found:
        """Return the range of what a step adds to a state, where it has bounds."""
        if after.owner is not None and after.owner.op.named("switch"):
            first, second = (self.change(before, one) for one in after.owner.inputs[1:])
            return None if first is None or second is None else first.joined(second)

        return self.of_dim(Dim.of(after) - Dim.of(before))

    def of_dim(self, dim: Dim) -> Found:
        """Return the range of integer arithmetic, after its terms cancel; ``None`` where it has no bounds."""

        def bounds(leaf: Variable | Element) -> Bounds:
            found = self.ranges.get(leaf) if isinstance(leaf, Variable) else None
            return Bounds(None, None) if found is None else Bounds(Dim.of(found.least), Dim.of(found.greatest))

        least, greatest = Interval(bounds, is_natural_number).bounds(dim)
        if least is None or greatest is None or least.number is None or greatest.number is None:
            return None
        return Range(least.number, greatest.number)

    def of_length(self, length: Variable) -> Found:
        """Return the range of a length as ``of_dim`` finds it, ``None`` where an integer on the way may overflow."""
        for node in arithmetic(length):
            found = self._of_op(node)
            if found is None or not self.limits(node.outputs[0]).holds(found):
                return None
        return self.of_dim(Dim.of(length))

    def _widened(self, variable: Variable, old: Found, grown: Found, attempt: int) -> Found:
        """Return a range whose ends that grow are at the limits, or at first at half of them."""
        if old is None or grown is None or attempt < ROUNDS - 1 or grown == old:
            return grown
        limits = self.limits(variable)
        if attempt > ROUNDS:
            return limits
        share = 2 if attempt == ROUNDS - 1 else 1
        return Range(
            min(grown.least, limits.least // share) if grown.least < old.least else old.least,
            max(grown.greatest, limits.greatest // share) if grown.greatest > old.greatest else old.greatest,
        )


class FixedPoint(NamedTuple):
    """Ranges at any step of a loop: those of the body's inputs, and those of its results; and the most steps."""

    given: BodyInputs
    after: StepResult
    n_steps: int


def _narrowed(found: Found, start: Found, after: Found) -> Found:
    """Return the numbers of a range that a state starts from or that a step makes."""
    if found is None or start is None or after is None:
        return found
    made = start.joined(after)
    return Range(max(found.least, made.least), min(found.greatest, made.greatest))


def _reduced(node: Apply) -> int:
    """Return the number of elements that one element of a reduction is made of."""
    return _elements(node.inputs[0]) // max(
        math.prod(size for size in node.outputs[0].type.sizes if not is_symbolic(size)), 1
    )


def _of_size(size: Any) -> Range:
    """Return the range of a size, or of what is computed from symbolic ones."""
    if not is_symbolic(size):
        return Range(size, size)
    return Range(0 if is_natural(size) else -MOST_ELEMENTS, MOST_ELEMENTS)


def _elements(variable: Variable) -> int:
    """Return the number of elements of an array, at most."""
    sizes = variable.type.sizes
    return MOST_ELEMENTS if any(map(is_symbolic, sizes)) else math.prod(sizes)


def _is_within(op: TableOp) -> bool:
    """Test if all positions that a read or write takes are known to be within bounds."""
    return all(entry.is_within for entry in op.arguments["pattern"].arrays)


def _times(terms: Range, count: int) -> Range:
    """Return the range of the sum of up to ``count`` terms."""
    return Range(min(terms.least, 0) * count, max(terms.greatest, 0) * count)


def _accumulated(kind: str, steps: Found, n_steps: int) -> Found:
    if kind in ("argmax", "argmin"):
        return Range(0, n_steps)
    if steps is None or kind in ("max", "min", "at"):
        return steps
    return _times(steps, n_steps) if kind == "sum" else None


def _corners(function: Callable[..., int]) -> Callable[..., Range]:
    """Return the range of a function that is monotone in each argument, whatever the others."""

    def of_ranges(*operands: Range) -> Range:
        values = [int(function(*corner)) for corner in product(*operands)]
        return Range(min(values), max(values))

    return of_ranges


def _switched(condition: Range, x: Range, y: Range) -> Range:
    if condition == NOTHING:
        return y
    return x if condition.least > 0 else x.joined(y)


def _remainder(x: Range, y: Range) -> Range:
    if y.least > 0:
        return Range(0, y.greatest - 1)
    return x.joined(Range(min(y.least + 1, 0), max(y.greatest - 1, 0)))


def _same(x: Range) -> Range:
    return x


_least, _greatest = _corners(min), _corners(max)

POSITIONS = ("argsort", "nonzero", "true_places", "searchsorted", "shape", "draw_categorical")
"""Ops that give positions in an operand or its sizes."""

MOVES = (
    *("put_window", "mask_rows", "repeat", "tile", "diag", "diagonal", "tril", "triu", "sort", "draw_permutation"),
    *("second", "no_change", "disconnected_grad", "zero_grad", "perturb", "parts", "of_batch", "trip_count"),
    *("example_lengths",),
)
"""Ops whose results are 0 or elements of an operand."""

ARITHMETIC: dict[str, Callable[..., Found]] = {
    **{name: _corners(getattr(operator, name)) for name in ("add", "sub", "mul", "neg", "lt", "le", "gt", "ge")},
    **dict.fromkeys(("identity", "in_bounds", "cast", "as_float", "floor", "ceil"), _same),
    "join": lambda *parts: parts[0].joined(*parts),
    "minimum": _least,
    "maximum": _greatest,
    "clip_between": lambda x, low, high: _least(_greatest(x, low), high),
    "switch": _switched,
    "abs": lambda x: Range(max(x.least, -x.greatest, 0), max(-x.least, x.greatest)),
    "sqr": lambda x: Range(0, max(-x.least, x.greatest) ** 2),
    "mod": _remainder,
    "floor_div": lambda x, y: None if y.least <= 0 <= y.greatest else _corners(operator.floordiv)(x, y),
    "and_": lambda x, y: Range(0, min(x.greatest, y.greatest)) if min(x.least, y.least) >= 0 else None,
    "draw_binomial": lambda n: Range(-1, max(n.greatest, 0)),
    "steps_of_pairs": lambda lengths, most: Range(0, 2 * max(lengths.greatest, 0) + max(most.greatest, 1)),
}
"""Ops of the table as operations on ranges."""

FLOATS = (
    "add",
    "sub",
    "mul",
    "neg",
    "minimum",
    "maximum",
    "clip_between",
    "switch",
    "abs",
    "cast",
    "as_float",
    "floor",
    "ceil",
)
"""Ops of ``ARITHMETIC`` that hold for floats between integers."""
