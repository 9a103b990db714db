"""Horizontal GEMM fusion: products of a loop's body that share an operand, and sums of products, become one.

``x @ W1`` and ``x @ W2`` become ``x @ W`` with ``W`` the matrices side by side, joined before the loop, and slices of
its result. One product for all four gates of an LSTM (Appleyard et al. 2016, Optimizing performance of recurrent neural
networks on GPUs, section 3.1) reads its operand once and starts one kernel. Aesara's guide calls this the rewrite that
it cannot make. Measured on one core, jax 0.10.2, for an LSTM of four recurrent matrices and 200 steps, the time without
it over the time with it:

| units | 16 | 32 | 64 | 128 | 256 |
|---|---|---|---|---|---|
| float32, a vector: last state, gradient | 1.1, 1.5 | 1.2, 1.5 | 1.1, 1.3 | 1.0, 1.1 | 0.7, 0.9 |
| float32, 16 vectors | 1.9, 1.4 | 1.3, 1.5 | 1.1, 1.3 | 1.1, 1.1 | 1.0, 1.1 |
| float64, a vector | 1.1, 1.3 | 1.2, 1.5 | 1.1, 1.1 | 0.8, 1.0 | 0.8, 1.0 |
| float64, 16 vectors | 1.3, 1.3 | 1.1, 1.3 | 1.1, 1.1 | 1.0, 1.1 | 1.0, 1.1 |

So products of one vector stay apart where the matrix of all would be larger than 128 x 512 of float32.

A sum of products is one product as well: ``h1 @ W1 + h2 @ W2`` is ``join(h1, h2) @ join(W1, W2)``, the matrices one
above the other. Measured for 300 steps, float64, ``tanh`` of a row and 2, 4 and 8 products of past values (the last
state; a gradient), times as fast:

| vectors, units | 2 | 4 | 8 |
|---|---|---|---|
| 2, 32 | 1.1, 1.1 | 1.5, 1.5 | 1.8, 1.8 |
| 2, 128 | 1.1, 1.0 | 1.1, 0.9 | 1.1, 1.0 |
| 16, 8 | 1.4, 1.4 | 2.0, 1.7 | 2.1, 2.3 |
| 16, 32 | 1.0, 1.0 | 1.2, 1.3 | 1.2, 1.4 |
| 16, 128 | 1.0, 1.0 | 1.0, 1.0 | 1.0, 1.0 |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jax import lax

from loopjax.ir.graph import Apply, Variable
from loopjax.ir.op import register, table_op
from loopjax.ir.scan import Scan
from loopjax.ir.types import TensorType
from loopjax.rewrite.cost_model import bytes_of
from loopjax.rewrite.driver import Context, Pass, Replacement, replace_all
from loopjax.rewrite.loop_products import Product, loop_products
from loopjax.rewrite.reassociate import Term, sums, total
from loopjax.rewrite.scan_builder import ScanBuilder, scan_builder


def _parts_type(type: TensorType, sizes: tuple[int, ...], axis: int) -> tuple[TensorType, ...]:
    """Infer the types of the slices."""
    return tuple(TensorType(type.dtype, (*type.shape[:axis], size, *type.shape[axis + 1 :])) for size in sizes)


# The transpose of a split is a concatenation. That of single slices pads with zeros and adds, which took 1.5 times as
# long for the gradient of an LSTM of one vector of 64 units.
register("parts", lambda x, sizes, axis: tuple(lax.split(x, sizes, axis)), _parts_type, "memory_bound")


@dataclass(frozen=True)
class FuseProducts(Pass):
    """Horizontal GEMM fusion in the bodies of loops that run step by step.

    A loop that runs all steps at once has large products anyway, and would have to slice large results.

    Attributes
    ----------
    least_steps
        Steps from which one larger product at each pays for joining the matrices once.
    most_bytes
        Bytes of the joined matrix up to which its product with one vector pays on a CPU, and one product for a sum.
    """

    least_steps: int = 4
    most_bytes: int = 2**18

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        if not op.recurrences or (op.n_steps is not None and op.n_steps < self.least_steps):
            return None
        groups = [group for group in _groups(op) if not self.target.on_cpu or self._is_profitable(group)]
        added = {} if groups else self._sums(op)
        if not groups and not added:
            return None
        loop = scan_builder(node, inputs)
        if added:
            joined = {one: _joined(loop, one, *terms) for one, terms in added.items()}
            loop.set_results(replace_all(loop.body, joined).outputs)
            loop.notes.append(f"fuse_products: {len(added)} sums of products are one product each")
            return loop.outputs_for(node)
        fused = {product.node: part for group in groups for part in [_fused(loop, group)] for product in group}
        loop.transform(lambda node, inputs: [fused[node](node, inputs)] if node in fused else None)
        loop.notes.append(f"fuse_products: {len(fused)} products that share an operand are {len(groups)}")
        return loop.outputs_for(node)

    def _is_profitable(self, group: Sequence[Product]) -> bool:
        """Return whether products are of several vectors, or of matrices that are small together."""
        return group[0].rows > 1 or bytes_of({product.matrix for product in group}) <= self.most_bytes

    def _sums(self, op: Scan) -> dict[Variable, tuple[list[Product], list[Term]]]:
        """Return the sums of products of several vectors by matrices on their right, each with its other terms."""
        read_once = {one for one, readers in op.body.readers.items() if len(readers) == 1}.difference(op.body.outputs)
        products = {one.output: one for one in loop_products(op) if not one.left and one.rows > 1}
        found = {}
        for result, terms in sums(op.body).items():
            outputs = {one.value for one in terms if not one.negative}.intersection(products, read_once)
            joined = [products[term.value] for term in terms if term.value in outputs]
            is_small = bytes_of(one.matrix for one in joined) <= self.most_bytes
            alike = len({(one.operand.type.sizes[:-1], one.output.type) for one in joined}) == 1
            if len(joined) > 1 and alike and is_small:
                found[result] = joined, [term for term in terms if term.value not in outputs]
        return found


def _groups(op: Scan) -> list[list[Product]]:
    """Return the products of several matrices with the same operand on the same side."""
    found: dict[object, list[Product]] = {}
    for product in loop_products(op):
        found.setdefault((product.operand, product.left, product.node.op), []).append(product)
    return [group for group in found.values() if len({product.matrix for product in group}) > 1]


def _joined(loop: ScanBuilder, result: Variable, products: Sequence[Product], rest: Sequence[Term]) -> Variable:
    """Return the sum as one product of joined operands, plus the other terms."""
    outer = {given.inner: given.outer for given in loop.non_sequences}
    node, last = products[0].node, products[0].operand.ndim - 1
    matrices, operands = [outer[one.matrix] for one in products], [one.operand for one in products]
    matrix = loop.capture(Apply(table_op("join", axis=0), matrices, node.sources).outputs[0])
    operand = Apply(table_op("join", axis=last), operands, node.sources).outputs[0]
    return total([*rest, Term(products[0].with_matrix(matrix, (operand, matrix)), False)], result)


def _fused(loop: ScanBuilder, group: Sequence[Product]) -> Callable[[Apply, Sequence[Variable]], Variable]:
    """Join the matrices of a group; return the function that replaces one of its nodes, on its new inputs."""
    outer = {given.inner: given.outer for given in loop.non_sequences}
    matrices = list(dict.fromkeys(product.matrix for product in group))
    position = {product.node: matrices.index(product.matrix) for product in group}
    axis = 0 if group[0].left else 1
    joined = Apply(table_op("join", axis=axis), [outer[one] for one in matrices], group[0].node.sources).outputs[0]
    matrix = loop.capture(joined)
    sizes = tuple(one.type.sizes[axis] for one in matrices)
    parts: list[Variable] = []

    def part(node: Apply, inputs: Sequence[Variable]) -> Variable:
        if not parts:
            whole = group[0].with_matrix(matrix, inputs)
            last = 0 if group[0].left else whole.ndim - 1
            parts.extend(Apply(table_op("parts", sizes=sizes, axis=last), [whole], node.sources).outputs)
        return parts[position[node]]

    return part
