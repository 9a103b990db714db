"""The gradient of a matrix that every step multiplies with is one product behind the backward loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.op import table_op
from loopjax.ir.scan import MapOutput, Scan, SequenceInput
from loopjax.ir.weight_gradients import BatchedWeightGradients
from loopjax.rewrite.driver import Context, Pass
from loopjax.rewrite.loop_products import Product, product
from loopjax.rewrite.profitability import backwards, may_move
from loopjax.rewrite.scan_builder import Capture, MapSlot, ScanBuilder, SequenceSlot, scan_builder

MOST_ROWS = 32
"""On CPU: vectors that a product of a step multiplies, up to which its part of the matrix's gradient costs more than
its share of one product for all steps: it is written to the whole matrix at every step."""


@dataclass(frozen=True)
class BatchWeightGradients(Pass):
    """``W`` in ``h @ W`` gets ``sum_t dot(h_t.T, dz_t)`` for its gradient. Reverse mode takes that sum step by step in
    the backward loop, each time writing as much as the whole matrix; here ``h_t`` and ``dz_t`` are stacked and
    multiplied once.

    Only where reverse mode alone encloses the loop, since the rule that does it has no forward mode.
    """

    def rewrite_scan(
        self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context
    ) -> Sequence[Variable] | None:
        products = self._products(op) if context.derivative == "reverse" else []
        return _deferred(node, inputs, products) if products else None

    def _products(self, op: Scan) -> list[Product]:
        """The products whose matrices' gradients are better taken behind the loop."""
        if not may_move(op):
            return []
        matrices = set(op.body_inputs(op.body.inputs).non_sequences)
        found = [one for node in op.body.applies if (one := product(node, matrices)) is not None]
        return [one for one in found if not self.target.on_cpu or one.rows <= MOST_ROWS]


def _deferred(node: Apply, inputs: Sequence[Variable], products: Sequence[Product]) -> Sequence[Variable]:
    """What stands for the outputs of a loop, with these products' matrices apart."""
    loop = scan_builder(node, inputs)
    outer = {given.inner: given.outer for given in loop.non_sequences}
    matrices = [Variable(one.matrix.type, name=one.matrix.name) for one in products]
    taps = [Variable(one.output.type.stacked(loop.op.n_steps)) for one in products]
    tapped = {one.node: _Tapped(loop, one, *pair) for one, *pair in zip(products, matrices, taps, strict=True)}
    stacks = [Variable(one.operand.type.stacked(loop.op.n_steps)) for one in products]
    pairs = zip(products, stacks, strict=True)
    loop.maps += [MapSlot(MapOutput(name="operand"), one.operand, stack) for one, stack in pairs]
    loop.transform(lambda node, inputs: tapped[node].on(inputs) if node in tapped else None)
    loop.drop_unread()
    whose = (
        "the gradient of a matrix is" if len(products) == 1 else f"the gradients of {len(products)} matrices are each"
    )
    loop.notes.append(f"defer: {whose} one product behind the backward loop")
    inner = loop.build()
    found = loop.replacements(inner)
    apart = {*matrices, *taps}
    given = [one for one in dict.fromkeys(inner.inputs) if not isinstance(one, Constant) and one not in apart]
    results = [old for old in node.outputs if old in found]
    # Taps are sequences: what flows back to them is in their order.
    order = partial(backwards, sources=node.sources) if loop.op.go_backwards else lambda stack: stack
    outputs = [*(found[old] for old in results), *(order(found[stack]) for stack in stacks)]
    region = Graph([*given, *matrices, *taps], outputs)
    op = BatchedWeightGradients(
        region.rebuilt({one: Variable(one.type, name=one.name) for one in given}),
        tuple(one.left for one in products),
    )
    made = Apply(op, [*given, *(outer[one.matrix] for one in products)], node.sources).outputs
    now = dict(zip(results, made, strict=True))
    return [now.get(old, old) for old in node.outputs]


class _Tapped:
    """A product with a matrix of its own, and what flows back to it tapped."""

    def __init__(self, loop: ScanBuilder, one: Product, matrix: Variable, tap: Variable) -> None:
        self._product = one
        self._matrix, self._row = Variable(matrix.type), Variable(one.output.type)
        loop.non_sequences.append(Capture(matrix, self._matrix))
        loop.sequences.append(SequenceSlot(SequenceInput((0,), "tap"), tap, [self._row]))

    def on(self, inputs: Sequence[Variable]) -> Sequence[Variable]:
        """What stands for the product on these inputs."""
        node, left = self._product.node, self._product.left
        pair = (self._matrix, inputs[1]) if left else (inputs[0], self._matrix)
        return Apply(table_op("tapped"), [*Apply(node.op, pair, node.sources).outputs, self._row], node.sources).outputs
