"""Batched weight gradients: one matrix product after the backward loop (Appleyard et al. 2016, section 3.2).

The gradient of ``W`` in ``h @ W`` is ``sum_t dot(h_t.T, dz_t)``. Reverse mode takes that sum step by step in the
backward loop, each time writing as much as the whole matrix; here ``h_t`` and ``dz_t`` are stacked and multiplied once.
The loop becomes the region of a ``BatchedWeightGradients`` node, in which each product has a matrix of its own and a
tap, a sequence of zeros that the product passes through::

    tanh(h @ W)  ->  tanh(tapped(h @ W', tap)), and the stack of h is one more output

The cotangent of the tap is the stack of ``dz_t``. Limits: loops of known or bounded length that only reverse mode
encloses, since the rule of that node has no forward mode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.index import static_read
from loopjax.ir.op import table_op
from loopjax.ir.scan import MapOutput, Scan, SequenceInput
from loopjax.ir.weight_gradients import BatchedWeightGradients
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.loop_distribution import has_apart
from loopjax.rewrite.loop_products import Product, loop_products
from loopjax.rewrite.scan_builder import MapSlot, SequenceSlot, scan_builder


@dataclass(frozen=True)
class BatchWeightGradients(Pass):
    """Batches the gradients of matrices that a loop multiplies with at every step.

    Attributes
    ----------
    most_rows
        On a CPU: vectors that a product of a step multiplies, up to which its term of the matrix's gradient costs more
        than its share of one product for all steps: the term is added to the whole matrix at every step.
    least_values
        On a CPU: values of the matrix times steps, from which that is more than the product costs by itself: of 11
        steps with a 16x16 matrix, and of 20 with a 4x4 one, the gradient takes 1.5 and 2 times as long with it.
    """

    most_rows: int = 32
    least_values: int = 2**14

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        is_counted = not op.until and not (op.dynamic and op.go_backwards)
        if context.derivative != "reverse" or not (is_counted and has_apart(op)):
            return None
        products = [one for one in loop_products(op) if not self.target.on_cpu or self._is_profitable(one, op)]
        return _batched(node, inputs, products) if products else None

    def _is_profitable(self, product: Product, op: Scan) -> bool:
        values = (op.n_steps or 0) * math.prod(product.matrix.type.sizes)
        return product.rows <= self.most_rows and values >= self.least_values


def _batched(node: Apply, inputs: Sequence[Variable], products: Sequence[Product]) -> Sequence[Variable]:
    """Return what replaces the outputs of a loop."""
    loop = scan_builder(node, inputs)
    outer = {given.inner: given.outer for given in loop.non_sequences}
    matrices = [Variable(product.matrix.type, name=product.matrix.name) for product in products]
    taps = [Variable(product.output.type.stacked(loop.op.n_steps)) for product in products]
    stacks = [Variable(product.operand.type.stacked(loop.op.n_steps)) for product in products]
    inside: dict[Apply, tuple[Product, Variable, Variable]] = {}
    for product, matrix, tap, stack in zip(products, matrices, taps, stacks, strict=True):
        row = Variable(product.output.type)
        loop.sequences.append(SequenceSlot(SequenceInput((0,), "tap"), tap, [row]))
        loop.maps.append(MapSlot(MapOutput(name="factors of a weight gradient"), product.operand, stack))
        inside[product.node] = (product, loop.capture(matrix), row)

    def tapped(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
        if node not in inside:
            return None
        product, matrix, row = inside[node]
        return Apply(table_op("tapped"), [product.with_matrix(matrix, inputs), row], node.sources).outputs

    loop.transform(tapped)
    loop.drop_unread()
    count = len(products)
    whose = "the gradient of a matrix is" if count == 1 else f"the gradients of {count} matrices are each"
    loop.notes.append(f"weight_gradients: {whose} one product after the backward loop")
    inner = loop.build()
    found = loop.replacements(inner)
    apart = {*matrices, *taps}
    given = [one for one in dict.fromkeys(inner.inputs) if not isinstance(one, Constant) and one not in apart]
    results = [old for old in node.outputs if old in found]
    operands = [found[stack] for stack in stacks]
    if loop.op.go_backwards:
        # Cotangents of taps come in the order of the sequences.
        operands = [static_read(operand, slice(None, None, -1), sources=node.sources) for operand in operands]
    length = [Variable(inner.inputs[0].type)] if loop.op.dynamic else []
    region = Graph([*length, *given, *matrices, *taps], [*(found[old] for old in results), *operands])
    region = region.rebuilt({one: Variable(one.type, name=one.name) for one in given})
    arguments = [*given, *(outer[product.matrix] for product in products)]
    if loop.op.dynamic:
        arguments.insert(0, inner.inputs[0])
    op = BatchedWeightGradients(region, tuple(product.left for product in products), loop.op.dynamic)
    outputs = Apply(op, arguments, node.sources).outputs
    replaced = dict(zip(results, outputs, strict=True))
    return [replaced.get(old, old) for old in node.outputs]
