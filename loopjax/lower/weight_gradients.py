"""Lowering of batched weight gradients: a reverse rule around JAX's own (see ``rewrite/weight_gradients.py``).

The gradient of a matrix that every step multiplies with is one product after the backward loop, of the stacked
operands and the stacked cotangents of the products (Appleyard et al. 2016). To get the latter from JAX, each product is
*tapped*: the loop reads one more sequence, of zeros that change nothing, whose cotangents are those of the product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.ir.graph import Apply
from loopjax.ir.op import TableOp
from loopjax.ir.weight_gradients import BatchedWeightGradients
from loopjax.lower.interpreter import as_array, evaluate, rule
from loopjax.lower.loops.dynamic_scan import Repeated, dynamic_scan
from loopjax.lower.loops.step import mask_rows
from loopjax.lower.partition import Arrays, is_float, merge, partition
from loopjax.lower.placement import in_types

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

    def run(moving: Arrays, held: Arrays, matrices: Arrays) -> Arrays:
        return region(moving, held, matrices, zeros())[0]

    if in_types():
        # The taps would have to be placed like the products: JAX's own gradients are summed over devices rightly.
        return run(*partition(given, moves), matrices)

    def forward(moving: Arrays, held: Arrays, matrices: Arrays) -> tuple[Arrays, tuple[Pull, Arrays, Any]]:
        limit = held[0] if op.dynamic else None
        results, pull, operands = jax.vjp(
            lambda moving, taps: region(moving, held, matrices, taps), moving, zeros(), has_aux=True
        )
        return results, (pull, operands, limit)

    def backward(stored: tuple[Pull, Arrays, Any], cotangents: Arrays) -> tuple[Arrays, None, Arrays]:
        pull, operands, limit = stored
        moved, flows = pull(cotangents)
        gradient = _gradient if limit is None else partial(_gradient_of_steps, limit)
        return moved, None, tuple(map(gradient, op.products, operands, flows))

    run_with_rule = jax.custom_vjp(run)
    run_with_rule.defvjp(forward, backward)
    return run_with_rule(*partition(given, moves), matrices)


def _gradient(left: bool, operand: Any, flow: Any) -> Any:
    """The gradient of a matrix, from the other operand and the cotangents of its products, both stacked."""
    if not left:
        axes = tuple(range(operand.ndim - 1))
        return jnp.tensordot(operand, flow, (axes, axes))
    axes = (0, *range(2, operand.ndim))
    return jnp.tensordot(flow, operand, (axes, axes))


def _gradient_of_steps(limit: Any, left: bool, operand: Any, flow: Any) -> Any:
    """The gradient of a matrix from the first ``limit`` rows of stacks, which are multiplied in blocks."""
    size = -(-len(flow) // BLOCKS)

    def blocks(x: Any) -> Any:
        rest = -len(x) % size
        x = jnp.pad(x, [(0, rest), *[(0, 0)] * (x.ndim - 1)]) if rest else x
        return x.reshape(-1, size, *x.shape[1:])

    def step(limit: Any, total: Any, rows: Any) -> tuple[Any, tuple[()]]:
        first, operand, flow = rows
        ran = first + jnp.arange(size) < limit
        return total + _gradient(left, mask_rows(ran, operand, jnp.zeros((), operand.dtype)), flow), ()

    rows = (jnp.arange(0, len(flow), size), blocks(operand), blocks(flow))
    like = jax.eval_shape(partial(_gradient, left), operand, flow)
    total = jnp.zeros(like.shape, like.dtype)
    return dynamic_scan(Repeated(step), limit, total, rows, -(-limit // size)).carry


BLOCKS = 16
"""Products for the gradient of a matrix, where the number of steps is known only to the run: the last block may have
rows that did not run, at most a 16th of all that there can be."""


@jax.custom_vjp
def _tap(value: Any, tap: Any) -> Any:
    return value


_tap.defvjp(lambda value, tap: (value, None), lambda stored, cotangent: (cotangent, cotangent))


@rule("tapped")
def _tapped(node: Apply, op: TableOp, args: Sequence[Any]) -> Sequence[Any]:
    value, tap = map(as_array, args)
    return (value if in_types() else _tap(value, tap),)
