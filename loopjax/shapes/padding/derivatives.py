"""Padding of differentiated regions, and of the pullbacks that read what they store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from loopjax.ir.autodiff import Differentiated, Pullback, PullbackRows, Pushforward, marks
from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.shapes.padding.scope import Axes, PaddingScope, Walk


class RegionAxes(NamedTuple):
    """The padded axes of a region's costs and of what it is differentiated by, for its pullbacks."""

    costs: tuple[Axes, ...]
    wrt: tuple[Axes, ...]


def padded_region(
    scope: PaddingScope, node: Apply, op: Differentiated, inputs: Sequence[Variable], walk: Walk
) -> tuple[list[Variable], RegionAxes]:
    """Return what stands for the outputs of a differentiated region, and the axes that its pullbacks need.

    Lengths and capacities that only the region knows are published as further outputs.
    """
    inner = PaddingScope(scope.context, scope, differentiated=True)
    inner.sources = node.sources
    fresh = [Variable(one.type, name=one.name) for one in op.region.inputs]
    count = len(fresh)
    inner.bind(dict(zip(fresh, inputs, strict=False)))
    outputs = walk(inner, op.region, fresh)
    marked = [mark.outputs[0] for mark in marks(Graph(fresh, outputs))]
    wrt = [inner.axes(variable) for variable in (*fresh[: op.n_wrt], *marked)]
    scalars = dict.fromkeys(
        scalar for axes in (*map(inner.axes, outputs), *wrt) for padded in axes.values() for scalar in padded
    )
    published = [*(scalar for scalar in scalars if inner.lift(scalar) is None), *inner.asserted]
    tangents = list(inputs[count:])
    for position, axes in enumerate(wrt if isinstance(op, Pushforward) else ()):
        # What only the region knows cannot be compared with a tangent from outside.
        if not any(scalar in published for padded in axes.values() for scalar in padded):
            tangents[position] = scope.fit(tangents[position], inner.lifted_axes(axes))
    region = inner.region([*fresh, *inner.entered.values()], [*outputs, *published])
    made = Apply(op.with_regions([region]), [*inputs[:count], *inner.entered, *tangents], node.sources)
    rest = list(made.outputs[len(outputs) :])
    outside = dict(zip(published, rest, strict=False))
    for one in inner.asserted.values():
        scope.assert_holds(outside[one.holds], one.message, one.code)
    found = [
        scope.note(one, inner.lifted_axes(inner.axes(x), outside))
        for one, x in zip(made.outputs, outputs, strict=False)
    ]
    costs = tuple(map(scope.axes, found[: op.n_costs]))
    del rest[: len(published)]
    if isinstance(op, Pushforward):
        rest = [scope.filled(one, axes) for one, axes in zip(rest, costs, strict=True)]
    return [*found, *rest], RegionAxes(costs, tuple(inner.lifted_axes(axes, outside) for axes in wrt))


def padded_pullback(
    scope: PaddingScope, op: Pullback, inputs: Sequence[Variable], region: RegionAxes
) -> list[Variable]:
    """Return what stands for the cotangents that a pullback gives."""
    residual, *seeds = inputs
    axes: Sequence[Axes] = region.wrt
    if isinstance(op, PullbackRows):
        ndim = op.costs[op.cost].ndim
        axes = [
            {**region.costs[op.cost], **{axis + ndim: padded for axis, padded in one.items()}} for one in region.wrt
        ]
    else:
        seeds = [scope.fit(seed, padded) for seed, padded in zip(seeds, region.costs, strict=True)]
    made = scope.apply(op, residual, *seeds)
    return [scope.filled(one, padded) for one, padded in zip(made, axes, strict=True)]
