"""What a draw takes of chance alone, apart from its parameters: a standard draw, which is then moved and stretched."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from loopjax.trace.convert import constant
from loopjax.trace.graph import Apply, Graph, Variable
from loopjax.trace.methods import say
from loopjax.trace.op import Call, call

UNIT = (constant(np.float32(0)), constant(np.float32(1)))
"""The parameters of a uniform draw between 0 and 1."""

Standard = Callable[..., Variable]
"""Draws from a distribution, by name and parameters, of the shape of the whole draw, and of its dtype unless
another is given."""


def _normal(standard: Standard, loc: Variable, scale: Variable) -> Variable:
    return _placed(standard("standard_normal"), loc, scale)


def _uniform(standard: Standard, low: Variable, high: Variable) -> Variable:
    return _placed(standard("uniform", *UNIT), low, high - low)


def _exponential(standard: Standard, scale: Variable) -> Variable:
    draws = standard("standard_exponential")
    return draws * scale.astype(draws.dtype)


def _lognormal(standard: Standard, mean: Variable, sigma: Variable) -> Variable:
    return say("exp", _normal(standard, mean, sigma))


def _bernoulli(standard: Standard, p: Variable) -> Variable:
    return standard("uniform", *UNIT, dtype=p.dtype) < p


def _placed(draws: Variable, loc: Variable, scale: Variable) -> Variable:
    return draws * scale.astype(draws.dtype) + loc.astype(draws.dtype)


STANDARD: dict[str, Callable[..., Variable]] = {
    "draw_normal": _normal,
    "draw_uniform": _uniform,
    "draw_exponential": _exponential,
    "draw_lognormal": _lognormal,
    "draw_bernoulli": _bernoulli,
}
"""How rows draw, with the same numbers: of a function that makes standard draws, and of their parameters."""


def is_draw(node: Apply) -> bool:
    """Whether a node draws from a distribution."""
    return isinstance(node.op, Call) and node.op.row.startswith("draw_")


def standard_draws(
    body: Graph, keys: Collection[Variable], bound: set[Variable], wanted: Callable[[Apply], bool] = is_draw
) -> Graph:
    """The body with standard draws in the place of those whose parameters are among ``bound``, where they are
    ``wanted``."""

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        known = isinstance(node.op, Call) and node.op.row in STANDARD and node.inputs[0] in keys
        return [_apart(node, inputs)] if known and not bound.isdisjoint(node.inputs) and wanted(node) else None

    return body.rebuilt(transform=transform)


def _apart(node: Apply, inputs: Sequence[Variable]) -> Variable:
    """A draw from one of the rows of ``STANDARD``, on these inputs, as a standard draw and what its parameters do to
    it."""
    assert isinstance(node.op, Call)
    key, *parameters = inputs
    (drawn,) = node.outputs
    own: str = drawn.dtype

    def standard(name: str, *given: Variable, dtype: str | None = None) -> Variable:
        op = call(f"draw_{name}", lengths=drawn.type.sizes, dtype=dtype or own)
        return Apply(op, [key, *given], node.sources).outputs[0]

    return STANDARD[node.op.row](standard, *parameters).astype(own)
