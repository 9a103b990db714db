"""What a loop over examples of different lengths asks of its arguments, and how many steps it takes."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from loopjax.ir.graph import Variable, apply
from loopjax.ir.lengths import steps_of_pairs
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import TensorType


def _vector(type: TensorType, *rest: TensorType, **parameters: Any) -> TensorType:
    return TensorType("int64", type.shape)


def _of_batch_type(type: TensorType, lengths: TensorType, axis: int, what: str) -> TensorType:
    found, wanted = type.shape[axis], lengths.shape[0]
    if None not in (found, wanted) and found != wanted:
        raise ValueError(
            f"{what} has {found} examples along axis {axis} and lengths has {wanted}; give one length for each example"
        )
    return type


register("example_lengths", lambda lengths, *most, scan, needs: lengths.astype("int64"), _vector)
register("of_batch", lambda x, lengths, axis, what: x, _of_batch_type)
register(
    "steps_of_pairs",
    lambda lengths, most: jnp.asarray(steps_of_pairs(lengths, most, jnp)).astype("int64"),
    lambda *types: TensorType("int64"),
)


@public_op
def example_lengths(
    lengths: Variable, most: list[tuple[Any, str, int]], label: str, n_steps: Variable | None = None
) -> Variable:
    """``lengths`` as int64, checked before a call runs: none is negative, or more than the rows that there are.

    ``most`` has for each sequence its rows, its name, and how many rows more than steps it must have; ``n_steps`` is
    the most that there may be, where it is given.
    """
    rows = [size for size, _, _ in most] + ([] if n_steps is None else [n_steps])
    needs = tuple((name, span) for _, name, span in most)
    return apply(table_op("example_lengths", scan=label, needs=needs), lengths, *rows)[0]


@public_op
def of_batch(x: Variable, lengths: Variable, axis: int, what: str) -> Variable:
    """``x``, whose ``axis`` has as many elements as ``lengths``: an error that says ``what`` it is otherwise."""
    return apply(table_op("of_batch", axis=axis, what=what), x, lengths)[0]


@public_op
def lane_steps(lengths: Variable, most: Variable) -> Variable:
    """How many steps two examples after one another take at most, the longest with the shortest; see
    ``steps_of_pairs``."""
    return apply(table_op("steps_of_pairs"), lengths, most)[0]
