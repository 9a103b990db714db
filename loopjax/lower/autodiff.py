"""Lowering of derivatives: one ``jax.vjp`` or ``jax.jvp`` for each differentiated region."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.ir.autodiff import Differentiated, Linearize, Pullback, PullbackRows, Pushforward
from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.op import TableOp
from loopjax.lower.index_checks import checked_vjp, holds_checks
from loopjax.lower.interpreter import as_array, evaluate, rule
from loopjax.lower.outline import Repeats
from loopjax.lower.placement import in_types, placed, placement

Pull = Callable[[Mapping[int, Any]], Sequence[Any]]
Region = Callable[..., tuple[tuple[Any, ...], tuple[Any, ...]]]


@rule(Linearize)
def _linearize(node: Apply, op: Linearize, args: Sequence[Any]) -> Sequence[Any]:
    region, wrt = _region(op, args)
    if op.n_costs > 1 and not holds_checks(op.region):
        costs, linear, published = jax.linearize(region, *wrt, has_aux=True)
        return [*costs, *published, _met(_Transposes(linear, wrt), costs)]
    if not holds_checks(op.region):
        costs, pullback, published = jax.vjp(region, *wrt, has_aux=True)
    else:
        costs, pullback, published = checked_vjp(region, *wrt)
    zeros = [jnp.zeros_like(cost) for cost in costs]

    def pull(asked: Mapping[int, Any]) -> Sequence[Any]:
        return pullback(tuple(asked.get(i, zero) for i, zero in enumerate(zeros)))

    return [*costs, *published, _met(pull, costs)]


def _met(pull: Pull, costs: Sequence[Any]) -> Pull:
    """A pullback that places its cotangents like their costs."""
    places = [*map(placement, costs)]
    return lambda asked: pull({position: placed(one, places[position]) for position, one in asked.items()})


class _Transposes:
    """The residual of several costs: the transpose of the linearized region, from the cotangents of some of them.

    The others have no cotangent at all: zeros times infinite derivatives on their paths would be NaN.
    """

    def __init__(self, linear: Callable[..., Sequence[Any]], wrt: Sequence[Any]) -> None:
        self._linear = linear
        self._wrt = wrt

    def __call__(self, asked: Mapping[int, Any]) -> Sequence[Any]:
        def costs(*tangents: Any) -> list[Any]:
            every = self._linear(*tangents)
            return [every[position] for position in asked]

        return jax.linear_transpose(costs, *self._wrt)(list(asked.values()))


@rule(Pushforward)
def _pushforward(node: Apply, op: Pushforward, args: Sequence[Any]) -> Sequence[Any]:
    count = len(op.primals)
    region, wrt = _region(op, args[:count])
    pairs = zip(args[count:], wrt, strict=True)
    tangents = [placed(jnp.asarray(tangent), placement(value)) for tangent, value in pairs]
    costs, moved, published = jax.jvp(region, wrt, tangents, has_aux=True)
    return [*costs, *published, *moved]


def _region(op: Differentiated, args: Sequence[Any]) -> tuple[Region, list[Any]]:
    """The region as a function of its differentiated inputs, to costs and published values; and their values."""
    rest = args[op.n_wrt :]
    calls = Repeats(op.region)

    def region(*differentiated: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        outputs = [as_array(value) for value in evaluate(op.region, [*differentiated, *rest], calls)]
        return tuple(outputs[: op.n_costs]), tuple(outputs[op.n_costs :])

    return region, [*(jnp.asarray(arg) for arg in args[: op.n_wrt]), *_deltas(op, args)]


def _deltas(op: Differentiated, args: Sequence[Any]) -> list[Any]:
    """Zeros for the differentiated intermediate values of a region, placed like these."""
    deltas = op.differentiated[op.n_wrt :]
    found = [jnp.zeros(variable.type.sizes, variable.dtype) for variable in deltas]
    if not deltas or not in_types():
        return found
    marked = [next(node.outputs[0] for node in op.region.applies if delta in node.inputs) for delta in deltas]
    given = [*args[: op.n_wrt], *found, *args[op.n_wrt :]]
    types = jax.eval_shape(lambda: evaluate(Graph(op.region.inputs, marked), given))
    return [placed(zero, placement(type)) for zero, type in zip(found, types, strict=True)]


@rule(Pullback)
def _pullback(node: Apply, op: Pullback, args: Sequence[Any]) -> Sequence[Any]:
    pullback, *cotangents = args
    zeros = [_is_zero(variable) for variable in node.inputs[1:]]
    if all(zeros):
        zeros[0] = False
    return pullback(
        {i: jnp.asarray(one) for i, (one, zero) in enumerate(zip(cotangents, zeros, strict=True)) if not zero}
    )


def _is_zero(variable: Variable) -> bool:
    """Return whether a variable is an array of zeros by its form."""
    node = variable.owner
    filled = node.inputs[0] if node is not None and node.op.named("alloc") else variable
    return isinstance(filled, Constant) and not filled.data.any()


@rule(PullbackRows)
def _pullback_rows(node: Apply, op: PullbackRows, args: Sequence[Any]) -> Sequence[Any]:
    (pullback,) = args
    cost = op.costs[op.cost]
    size = math.prod(cost.sizes)

    def row(element: Any) -> Sequence[Any]:
        basis = jnp.arange(size, dtype="int32") == element
        return pullback({op.cost: basis.astype(cost.dtype).reshape(cost.sizes)})

    elements = jnp.arange(size, dtype="int32")
    rows = jax.vmap(row)(elements) if op.together else lax.map(row, elements)
    return [stack.reshape(*cost.sizes, *stack.shape[1:]) for stack in rows]


@jax.custom_jvp
def _with_value(variable: Any, value: Any) -> Any:
    return value


@_with_value.defjvp
def _with_value_tangent(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    return _with_value(*primals), tangents[0]


@rule("with_value")
def _given_value(node: Apply, op: TableOp, args: Sequence[Any]) -> Sequence[Any]:
    """The value of the second input with the derivative of the first."""
    return (_with_value(*(as_array(arg) for arg in args)),)
