"""Lowering of batched weight gradients: a reverse rule around JAX's own (see ``rewrite/weight_gradients.py``).

The gradient of a matrix that every step multiplies with is one product after the backward loop, of the stacked
operands and the stacked cotangents of the products (Appleyard et al. 2016). To get the latter from JAX, each product is
*tapped*: the loop reads one more sequence, of zeros that change nothing, whose cotangents are those of the product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.ir.graph import Apply
from loopjax.ir.op import TableOp
from loopjax.ir.weight_gradients import BatchedWeightGradients
from loopjax.lower.interpreter import as_array, evaluate, rule
from loopjax.lower.partition import Arrays, is_float, merge, partition

Pull = Callable[[Arrays], tuple[Arrays, Arrays]]


@rule(BatchedWeightGradients)
def _batched_weight_gradients(node: Apply, op: BatchedWeightGradients, args: Sequence[Any]) -> Sequence[Any]:
    count = len(op.products)
    arrays = [arg if jnp.issubdtype(arg.dtype, jax.dtypes.extended) else as_array(arg) for arg in args]
    given, matrices = arrays[:-count], tuple(arrays[-count:])
    moves = [is_float(value) for value in given]
    types = [variable.type for variable in op.region.inputs[len(args) :]]

    def region(moving: Arrays, held: Arrays, matrices: Arrays, taps: Arrays) -> tuple[Arrays, Arrays]:
        inputs = [*merge(moving, held, moves), *matrices, *taps]
        found = [as_array(value) for value in evaluate(op.region, inputs)]
        return tuple(found[:-count]), tuple(found[-count:])

    def zeros() -> Arrays:
        return tuple(jnp.zeros(type.sizes, type.dtype) for type in types)

    @jax.custom_vjp
    def run(moving: Arrays, held: Arrays, matrices: Arrays) -> Arrays:
        return region(moving, held, matrices, zeros())[0]

    def forward(moving: Arrays, held: Arrays, matrices: Arrays) -> tuple[Arrays, tuple[Pull, Arrays]]:
        results, pull, operands = jax.vjp(
            lambda moving, taps: region(moving, held, matrices, taps), moving, zeros(), has_aux=True
        )
        return results, (pull, operands)

    def backward(stored: tuple[Pull, Arrays], cotangents: Arrays) -> tuple[Arrays, None, Arrays]:
        pull, operands = stored
        moved, flows = pull(cotangents)
        return moved, None, tuple(map(_gradient, op.products, operands, flows))

    run.defvjp(forward, backward)
    return run(*partition(given, moves), matrices)


def _gradient(left: bool, operand: Any, flow: Any) -> Any:
    """The gradient of a matrix, from the other operand and the cotangents of its products, both stacked."""
    if not left:
        axes = tuple(range(operand.ndim - 1))
        return jnp.tensordot(operand, flow, (axes, axes))
    axes = (0, *range(2, operand.ndim))
    return jnp.tensordot(flow, operand, (axes, axes))


@jax.custom_vjp
def _tap(value: Any, tap: Any) -> Any:
    return value


_tap.defvjp(lambda value, tap: (value, None), lambda stored, cotangent: (cotangent, cotangent))


@rule("tapped")
def _tapped(node: Apply, op: TableOp, args: Sequence[Any]) -> Sequence[Any]:
    return (_tap(as_array(args[0]), as_array(args[1])),)
