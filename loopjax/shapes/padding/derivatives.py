"""Derivatives of regions whose values have room to spare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from loopjax.ir.autodiff import Differentiated, Pullback, PullbackRows, Pushforward
from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import TableOp
from loopjax.shapes.padding.loops import Walk
from loopjax.shapes.padding.scope import Axes, Axis, PaddingScope


class Linear(NamedTuple):
    """What a pullback must know of the region whose residual it reads: the padded axes of costs and of what is
    differentiated."""

    costs: tuple[Axes, ...]
    wrt: tuple[Axes, ...]


def padded_region(
    level: PaddingScope, node: Apply, op: Differentiated, inputs: Sequence[Variable], walk: Walk
) -> tuple[list[Variable], Linear]:
    """What stands for the outputs of a differentiated region, and what its pullbacks must know."""
    count = len(op.region.inputs)
    inner = PaddingScope(level.lengths, level, differentiated=True)
    inner.sources = node.sources
    fresh = [Variable(one.type, name=one.name) for one in op.region.inputs]
    inner.outer.update(zip(fresh, inputs, strict=False))
    for one, outer in zip(fresh, inputs, strict=False):
        axes = {axis: Axis(inner.enter(a.count), inner.enter(a.size)) for axis, a in level.of(outer).items()}
        inner.note(one, axes)
    marks: dict[int, Axes] = {}
    outputs = walk(inner, op.region, fresh)
    for made in Graph(fresh, outputs).applies:
        if isinstance(made.op, TableOp) and made.op.row == "perturb":
            marks[made.op.arguments["index"]] = inner.of(made.outputs[0])
    published = _published(inner, [inner.of(one) for one in outputs] + list(marks.values()))
    region = Graph([*fresh, *inner.entered.values()], [*outputs, *published])
    new_op = op.with_regions([region])
    tangents = list(inputs[count:])
    if isinstance(op, Pushforward):
        tangents = [_fitted(level, inner, one, inner.of(x)) for one, x in zip(tangents, fresh, strict=False)]
        tangents += list(inputs[count + len(tangents) :])
    made = Apply(new_op, [*inputs[:count], *inner.entered, *tangents], node.sources)
    first = len(outputs)
    outside = dict(zip(published, made.outputs[first : first + len(published)], strict=True))

    def outward(axes: Axes) -> dict[int, Axis]:
        return {axis: Axis(_outer(inner, a.count, outside), _outer(inner, a.size, outside)) for axis, a in axes.items()}

    found = [level.note(one, outward(inner.of(x))) for one, x in zip(made.outputs, outputs, strict=False)]
    rest = list(made.outputs[first + len(published) :])
    costs = tuple(outward(inner.of(x)) for x in outputs[: op.n_costs])
    if isinstance(op, Pushforward):
        rest = [level.filled(one, axes) for one, axes in zip(rest, costs, strict=True)]
    wrt = [outward(inner.of(one)) for one in fresh[: op.n_wrt]] + [outward(marks[index]) for index in sorted(marks)]
    return [*found, *rest], Linear(costs, tuple(wrt))


def _published(inner: PaddingScope, known: Sequence[Axes]) -> list[Variable]:
    """The counts and sizes that the region alone knows."""
    scalars = [one for axes in known for axis in axes.values() for one in axis.scalars]
    return [one for one in dict.fromkeys(scalars) if inner.lift(one) is None]


def _outer(inner: PaddingScope, scalar: Variable, outside: dict[Variable, Variable]) -> Variable:
    found = outside.get(scalar)
    lifted = found if found is not None else inner.lift(scalar)
    assert lifted is not None
    return lifted


def _fitted(level: PaddingScope, inner: PaddingScope, seed: Variable, axes: Axes) -> Variable:
    """A tangent with the room of what it is the tangent of, and zeros past the count."""
    wanted = {axis: Axis(_outer(inner, a.count, {}), _outer(inner, a.size, {})) for axis, a in axes.items()}
    return level.fitted(seed, wanted)


def padded_pullback(
    level: PaddingScope, node: Apply, op: Pullback, inputs: Sequence[Variable], linear: Linear
) -> list[Variable]:
    """What stands for the cotangents that a pullback gives."""
    residual, seeds = inputs[0], list(inputs[1:])
    if isinstance(op, PullbackRows):
        made = level.apply(op, residual, *seeds)
        cost = linear.costs[op.cost]
        ndim = op.costs[op.cost].ndim
        axes = [{**cost, **{axis + ndim: a for axis, a in one.items()}} for one in linear.wrt]
    else:
        given = [level.fitted(seed, axes) for seed, axes in zip(seeds, linear.costs, strict=True)]
        made = level.apply(op, residual, *given)
        axes = [dict(one) for one in linear.wrt]
    return [level.filled(one, known) for one, known in zip(made, axes, strict=True)]
