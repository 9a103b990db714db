"""The double-where trick (JAX FAQ): a gradient is 0 where ``switch`` takes the other branch, not NaN.

``switch(x > 0, log(x), 0)`` takes no value from ``log`` at 0, but reverse mode multiplies its infinite derivative there
by 0, which is NaN. With ``log(switch(x > 0, x, 1))`` every derivative is finite, and no value that is taken changes::

    y = sqrt(sum(x**2, axis=1));  switch(y > 0, x / y, 0)
    ->
    switch(y > 0, x / switch(y > 0, sqrt(switch(y > 0, sum(x**2, axis=1), 1)), 1), 0)

A backward walk finds the condition under which the elements of each variable are taken: that of the switch for its
branches and all that only they need, and none for everything else. Functions with a singularity (`SINGULAR`) and
functions of what may be data that holds NaN get such operands. To cut the derivative of an operand and keep its values
is not enough: what an infinite value multiplies, such as a parameter, has a derivative of 0 times infinity. Conditions,
and all else that has no derivative, are computed from the operands as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_not

from loopjax.ir.autodiff import Differentiated
from loopjax.ir.cond import LAZY_SWITCH, branches
from loopjax.ir.equality import computed_alike
from loopjax.ir.graph import Apply, Constant, Graph, Variable, copy_node
from loopjax.ir.index import view_axes
from loopjax.ir.op import TableOp
from loopjax.ir.public_ops import ops
from loopjax.ir.singular import SINGULAR, is_singular
from loopjax.ir.types import TensorType
from loopjax.rewrite.driver import Context, Pass, Replacement

AND, OR, NOT = ("logical_and", "and_"), ("logical_or", "or_"), ("logical_not", "invert")
"""Ops that make conditions of conditions."""

Condition = Variable | None
"""A boolean array that broadcasts to a variable: where it is taken. ``None`` for everywhere."""

UNCOVERED = Variable(TensorType("bool"))
"""Stands for the lack of a condition."""


class DoubleWhere(Pass):
    """Rewrites what reverse mode differentiates: regions or, for a target with a derivative, all else."""

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        in_region = any(isinstance(op, Differentiated) for op in context.enclosing)
        is_left = context.reversed and (self.target.derivative == "none" or not in_region)
        if not is_left or not any(node.op.named("switch") for node in graph.applies):
            return graph
        op = context.enclosing[-1] if context.enclosing else None
        taken = _taken(graph, op.n_costs if isinstance(op, Differentiated) else len(graph.outputs))
        masks = _masks(graph, taken)
        lazy = {node for node in graph.applies if _guards_loop(graph, node)}

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
            has_none = taken.keys().isdisjoint(node.outputs)
            changed = list(inputs)
            for position, x in enumerate(node.inputs):
                if taken.get(x) is not None and (has_none or (node.op.named("switch") and position == 0)):
                    changed[position] = x
                elif (node, position) in masks:
                    condition, safe = masks[node, position]
                    changed[position] = ops.switch(condition, inputs[position], safe)
            if node in lazy:
                return copy_node(node, changed, LAZY_SWITCH).outputs
            return copy_node(node, changed).outputs if any(map(is_not, changed, inputs)) else None

        if not masks and not lazy:
            return graph
        outputs = zip(graph.outputs, graph.rebuilt(transform=transform).outputs, strict=True)
        return Graph(graph.inputs, [new if taken.get(old) is None else old for old, new in outputs])


def _guards_loop(graph: Graph, node: Apply) -> bool:
    """Return whether a scalar condition decides if a loop or a decomposition runs that has a singularity, or reads what
    has one. No operand keeps the singularity away, but a conditional that computes one branch does."""
    scalar = node.op.named("switch") and not node.inputs[0].ndim
    return any(
        any(one.op.regions or one.op.has("cubic") for one in branch) and any(is_singular(one.op) for one in branch)
        for branch in (branches(graph, [node]) if scalar else ())
    )


def _taken(graph: Graph, n_costs: int) -> dict[Variable, Condition]:
    """Return where each variable that the costs have a derivative by is taken."""
    taken: dict[Variable, Condition] = dict.fromkeys(graph.outputs[:n_costs])
    for node in reversed(graph.applies):
        found = [taken[output] for output in node.outputs if output in taken]
        for position, x in enumerate(node.inputs if found else ()):
            if x.type.is_float and not isinstance(x, Constant) and not (node.op.named("switch") and position == 0):
                condition = _of_operand(node, position, found[0])
                taken[x] = _either(taken[x], condition) if x in taken else condition
    return taken


def _either(one: Condition, other: Condition) -> Condition:
    """Return the union of conditions; ``c`` or not ``c`` is everywhere."""
    if one is None or other is None:
        return None
    parts = _alternatives(one)
    if any(computed_alike(part, other) for part in parts):
        return one
    return None if any(_excludes(part, other) for part in parts) else ops.logical_or(one, other)


def _both(one: Condition, other: Condition) -> Condition:
    if one is None or other is None:
        return other if one is None else one
    return one if computed_alike(one, other) else ops.logical_and(one, other)


def _alternatives(condition: Variable) -> list[Variable]:
    """Return the conditions of a union."""
    node = condition.owner
    return [part for x in node.inputs for part in _alternatives(x)] if node and node.op.named(*OR) else [condition]


def _excludes(one: Variable, other: Variable) -> bool:
    """Return whether one of two conditions is the other's negation by its form."""
    pairs = [(a.owner, b) for a, b in ((one, other), (other, one))]
    return any(node is not None and node.op.named(*NOT) and computed_alike(node.inputs[0], x) for node, x in pairs)


def _of_operand(node: Apply, position: int, taken: Condition) -> Condition:
    """Return where an operand of a node is taken, from where the output is."""
    x = node.inputs[position]
    if node.op.named("switch"):
        condition = node.inputs[0] if node.inputs[0].dtype == "bool" else ops.neq(node.inputs[0], 0)
        chosen = condition if position == 1 else ops.logical_not(condition)
        return _within(chosen if taken is None else ops.logical_and(taken, chosen), x)
    if taken is None or not isinstance(node.op, TableOp) or node.op.named("perturb") or taken.ndim == 0:
        return taken if isinstance(node.op, TableOp) and not node.op.named("perturb") else None
    if node.op.has("pointwise"):
        return _within(taken, x)
    (output,) = node.outputs
    sources, arguments = view_axes(node), node.op.arguments
    if sources is None and {"axis", "keepdims"} <= arguments.keys():
        kept = [axis for axis in range(x.ndim) if axis not in arguments["axis"]]
        sources = tuple(range(x.ndim)) if arguments["keepdims"] else tuple(kept)
    if sources is None or position:
        return None
    whole = ops.dimshuffle(taken, *["x"] * (output.ndim - taken.ndim), *range(taken.ndim))
    new = [axis for axis, source in enumerate(sources) if source is None]
    order = [source for source in sources if source is not None]
    moved = ops.any(whole, axis=new) if new else whole
    return ops.dimshuffle(moved, *(order.index(axis) if axis in order else "x" for axis in range(x.ndim)))


def _within(condition: Variable, x: Variable) -> Condition:
    """Return a condition in a shape that broadcasts to ``x``: true where it is for any element that ``x`` stretches to,
    or for more (`_cover`)."""
    cover = _cover(condition, x)
    if cover is not UNCOVERED:
        return cover
    if condition.ndim > x.ndim:
        condition = ops.any(condition, axis=list(range(condition.ndim - x.ndim)))
    stretched = _stretched(condition, x)
    return ops.any(condition, axis=stretched, keepdims=True) if stretched else condition


def _cover(condition: Variable, x: Variable) -> Condition:
    """Return a condition that is true where this one is, of parts that ``x`` does not stretch to; ``UNCOVERED`` if it
    has none.

    A part that ``x`` stretches to is often computed from the operand's whole branch, for its reduction once more.
    """
    if not _stretched(condition, x):
        return condition
    node = condition.owner
    if node is None or not node.op.named(*AND, *OR):
        return UNCOVERED
    covers = [cover for part in node.inputs if (cover := _cover(part, x)) is not UNCOVERED]
    if len(covers) == 2:
        return _both(*covers) if node.op.named(*AND) else _either(*covers)
    return covers[0] if covers and node.op.named(*AND) else UNCOVERED


def _stretched(condition: Variable, x: Variable) -> list[int]:
    """Return the axes of a condition that ``x`` has not, or with one element only."""
    new = condition.ndim - x.ndim
    sizes = zip(condition.type.shape[max(new, 0) :], x.type.shape[max(-new, 0) :], strict=True)
    own = [max(new, 0) + axis for axis, (size, own) in enumerate(sizes) if own == 1 != size]
    return [*range(new), *own]


def _masks(graph: Graph, taken: Mapping[Variable, Condition]) -> dict[tuple[Apply, int], tuple[Variable, float]]:
    """Return the operands to be replaced where they are not taken, each with the condition and what to put there.

    An operand may hold NaN if it is computed elsewhere, or from such operands by linear ops only.
    """
    masks: dict[tuple[Apply, int], tuple[Variable, float]] = {}
    doubtful = {x for x in (*graph.inputs, *taken) if x.owner is None or taken.get(x) is None}
    for node in graph.applies:
        whole = taken.get(node.outputs[0])
        if whole is None or not isinstance(node.op, TableOp):
            continue
        singular = SINGULAR.get(node.op.name) if node.op.arguments.get("exponent", -1) < 0 else None
        has_constant = any(isinstance(x, Constant) for x in node.inputs)
        linear = node.op.has("finite_derivative")
        linear = linear or (has_constant and node.op.named("mul", "true_div"))
        for position, x in enumerate(node.inputs):
            condition = _of_operand(node, position, whole) if x in taken else None
            if condition is None or (node.op.named("switch") and position == 0):
                continue
            # One value for many elements, such as a parameter, holds no missing data.
            is_doubtful = x in doubtful and condition is whole
            is_singular = singular is not None and singular[0] == position
            if is_singular or (is_doubtful and not linear and node.op.has("pointwise", "reduce")):
                if not _is_masked(x, condition):
                    masks[node, position] = condition, singular[1] if singular is not None and is_singular else 1.0
            elif linear and x in doubtful:
                doubtful.add(node.outputs[0])
    return masks


def _is_masked(x: Variable, condition: Variable) -> bool:
    """Return whether ``x`` is what a program's own double where puts there: a constant, or a value without gradient."""
    node, negated = x.owner, condition.owner
    if node is None or not node.op.named("switch"):
        return False
    own, chosen, other = node.inputs
    if negated is not None and negated.op.named("logical_not") and computed_alike(negated.inputs[0], own):
        other = chosen
    elif not computed_alike(condition, own):
        return False
    return isinstance(other, Constant) or (other.owner is not None and other.owner.op.named("alloc", "zero_grad"))
