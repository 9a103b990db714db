"""Checked arguments and the trip count of a loop over a batch of examples of different lengths.

``scan(..., lengths=v)`` gives each example its own number of steps. The ops here pass their first input through and
carry a check of it, which the runtime makes before a call runs; they lower to the identity.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from loopjax.errors import coded
from loopjax.ir.capacities import steps_of_pairs
from loopjax.ir.graph import Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.scan import batch_mismatch
from loopjax.ir.types import TensorType


def _vector(type: TensorType, *rest: TensorType, **parameters: Any) -> TensorType:
    """An int64 vector of the lengths' size."""
    return TensorType("int64", type.shape)


def _of_batch_type(type: TensorType, lengths: TensorType, axis: int, what: str) -> TensorType:
    """The type of the array; raises ``ValueError`` where known sizes differ."""
    size, wanted = type.shape[axis], lengths.shape[0]
    if None not in (size, wanted) and size != wanted:
        raise coded(ValueError, "LJ118")(batch_mismatch(what, size, axis, wanted))
    return type


register("example_lengths", lambda lengths, *bounds, scan, needs: lengths.astype(int), _vector)
register("of_batch", lambda x, lengths, axis, what: x, _of_batch_type)
register(
    "steps_of_pairs",
    lambda lengths, most: jnp.asarray(steps_of_pairs(lengths, most, jnp)).astype(int),
    lambda *types: TensorType("int64"),
)


@public_op
def example_lengths(
    lengths: Variable, rows: list[tuple[Any, str, int]], label: str, n_steps: Variable | None = None
) -> Variable:
    """Lengths as int64, with a check before each call that none is negative or more than the rows there are.

    Parameters
    ----------
    lengths : Variable
        Number of steps of each example, an integer vector.
    rows : list of tuple
        For each sequence, its number of rows, its name, and how many more rows than steps it needs for its taps.
    label : str
        Name of the scan in errors.
    n_steps : Variable, optional
        Upper bound on the lengths.
    """
    bounds = [size for size, _, _ in rows] + ([] if n_steps is None else [n_steps])
    needs = tuple((name, span) for _, name, span in rows)
    return apply(table_op("example_lengths", scan=label, needs=needs), lengths, *bounds)[0]


@public_op
def of_batch(x: Variable, lengths: Variable, axis: int, what: str) -> Variable:
    """``x``, with a check that its ``axis`` has as many elements as ``lengths``; ``what`` names it in the error."""
    return apply(table_op("of_batch", axis=axis, what=what), x, lengths)[0]


@public_op
def lane_steps(lengths: Variable, most: Variable) -> Variable:
    """Upper bound on the steps of a lane that runs two examples one after the other, a long one and a short one.

    See `loopjax.ir.capacities.steps_of_pairs`.
    """
    return apply(table_op("steps_of_pairs"), lengths, most)[0]
