"""Products of a loop's body that share an operand become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jax import lax

from loopjax.ir.graph import Apply, Variable
from loopjax.ir.op import register, table_op
from loopjax.ir.scan import Scan
from loopjax.ir.types import TensorType
from loopjax.rewrite.driver import Context, Pass
from loopjax.rewrite.loop_products import Product, product
from loopjax.rewrite.scan_builder import Capture, ScanBuilder, scan_builder


def _parts_run(x: Any, sizes: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    return tuple(lax.split(x, sizes, axis))


def _parts_type(type: TensorType, sizes: tuple[int, ...], axis: int) -> tuple[TensorType, ...]:
    return tuple(TensorType(type.dtype, (*type.shape[:axis], size, *type.shape[axis + 1 :])) for size in sizes)


register("parts", _parts_run, _parts_type, "memory_bound")
"""Slices that together are all: what flows back is joined. That of single slices is padded with zeros and added, which
took 1.5 times as long for the gradient of an LSTM of one vector of 64 units."""

LEAST_STEPS = 4
"""Steps from which one larger product at each pays for joining the matrices once.

An LSTM's four products with its state, 100 steps in float32, on two cores, one after the other and joined: one vector
of 64 units 0.35 and 0.27 ms, 16 of 128 7.1 and 7.0, 64 of 256 118 and 80; gradients 1.4 and 1.0, 21 and 20, 307 and
245.
"""


@dataclass(frozen=True)
class FuseProducts(Pass):
    """``x @ W1``, ``x @ W2`` in a body become one product with the matrices side by side, joined before the loop.

    One product of a matrix of all four gates of an LSTM is faster than four: its operand is read once, and there is one
    kernel to start. (Aesara's guide calls this the rewrite that it cannot make.)
    """

    def rewrite_scan(
        self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context
    ) -> Sequence[Variable] | None:
        # A loop that runs all steps at once has large products anyway, and would have to cut large results.
        if not op.recurrences or (op.n_steps or LEAST_STEPS) < LEAST_STEPS:
            return None
        groups = _groups(op)
        if not groups:
            return None
        loop = scan_builder(node, inputs)
        joined = {one.node: whole for group in groups for whole in [_Joined(loop, group)] for one in group}
        loop.transform(lambda node, inputs: joined[node].part(node, inputs) if node in joined else None)
        count = sum(map(len, groups))
        loop.notes.append(f"join: {count} products that share an operand are {len(groups)}")
        return loop.closed(node)


def _groups(op: Scan) -> list[list[Product]]:
    """The products with the same operand on the same side, where there are several."""
    matrices = set(op.body_inputs(op.body.inputs).non_sequences)
    found: dict[object, list[Product]] = {}
    for node in op.body.applies:
        one = product(node, matrices)
        if one is not None:
            found.setdefault((one.operand, one.left, node.op), []).append(one)
    return [group for group in found.values() if len({one.matrix for one in group}) > 1]


class _Joined:
    """One product in the place of several, with their matrices joined before the loop."""

    def __init__(self, loop: ScanBuilder, group: Sequence[Product]) -> None:
        self._left = group[0].left
        outer = {given.inner: given.outer for given in loop.non_sequences}
        matrices = list(dict.fromkeys(one.matrix for one in group))
        axis = 0 if self._left else 1
        joined = table_op("join", axis=axis)
        given = Apply(joined, [outer[one] for one in matrices], group[0].node.sources).outputs[0]
        self._matrix = Variable(given.type)
        loop.non_sequences.append(Capture(given, self._matrix))
        self._sizes = tuple(one.type.sizes[axis] for one in matrices)
        self._place = {one.node: matrices.index(one.matrix) for one in group}
        self._parts: Sequence[Variable] = ()

    def part(self, node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
        """What stands for one of the products, on these inputs."""
        if not self._parts:
            pair = (self._matrix, inputs[1]) if self._left else (inputs[0], self._matrix)
            (whole,) = Apply(node.op, pair, node.sources).outputs
            axis = 0 if self._left else whole.ndim - 1
            self._parts = Apply(table_op("parts", sizes=self._sizes, axis=axis), [whole], node.sources).outputs
        return [self._parts[self._place[node]]]
