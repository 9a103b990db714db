"""Scaled exponentials: ``logsumexp`` over a matrix that is the same at every step becomes a matrix product.

``log(sum_i exp(h_i + A_ij))``, the step of a hidden Markov model in logarithms, takes an exponential for each element
of ``A``. With ``m`` the largest of ``h`` and ``c_j`` the largest of column ``j``, it is
``m + c_j + log(sum_i exp(h_i - m) exp(A_ij - c_j))``, where ``exp(A_ij - c_j)`` is computed once, before the loop: a
step is a product of a vector and a matrix, as in the scaled recursions of Rabiner (1989), A tutorial on hidden Markov
models, section V.A. Where ``h_i`` is largest, the sum is at least ``exp(A_ij - c_j)``: it keeps its digits if no
element of ``A`` is far below the largest of its column. That is checked before the loop, which else runs as it was
written, as it does where transitions are forbidden, with ``-inf`` in ``A``.

Measured for 1,000 steps on two cores, jax 0.10.2, times as fast as a step of exponentials:

| states | 4 | 8 | 16 | 32 | 64 | 128 | 256 |
|---|---|---|---|---|---|---|---|
| float64, its gradient | 1.1, 5 | 1.4, 1.0 | 2.2, 1.7 | 4.6, 3.0 | 6.5, 4.8 | 7.0, 17 | 15, 13 |
| float32, its gradient | 1.6, 1.0 | 0.7, 2.8 | 1.0, 1.4 | 2.3, 2.2 | 5.8, 4.9 | 6.7, 12 | 17, 10 |

The loop as it was written is compiled too, for the other case, which makes the first call longer; under a gradient it
computes its steps again, which takes up to 1.5 times as long for 32 states, and is as fast for 64.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add, and_
from typing import NamedTuple

from loopjax.ir.cond import IfElse, branch_of
from loopjax.ir.graph import Apply, Constant, Variable, copy_node, dependents
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Scan
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.remat import STATES_ALONE
from loopjax.rewrite.scan_builder import ScanBuilder, scan_builder

RANGES = {"float64": 177.0, "float32": 21.0}
"""Largest distance of an element below the largest of its column: a quarter of the range of exponents, so that what
derivatives of second order divide by, squared, is in range too."""


class _Sum(NamedTuple):
    """A ``logsumexp`` along ``axis`` of terms; only the ``fixed`` ones, which no step changes, have ``column``."""

    node: Apply
    fixed: tuple[Variable, ...]
    axis: int
    column: int


class _Matrix(NamedTuple):
    """Exponentials of a matrix over the largest elements of its columns, and those, in the body.

    ``in_range`` is true where products of it are as exact as sums of exponentials.
    """

    exponentials: Variable
    largest: Variable
    in_range: Variable


@dataclass(frozen=True)
class MultiplyExponentials(Pass):
    """Replaces such sums in the bodies of loops that run step by step on a CPU.

    Only in programs whose derivatives JAX is not to take: batched, the choice would run both forms, and JAX 0.10.2
    cannot transpose it then. Loops inside of another loop's body stay as they are: their range would be checked at each
    of its steps.

    Attributes
    ----------
    least_size
        Elements of a matrix from which a product is faster.
    least_steps
        Steps from which products pay for the exponentials of the matrix, once, and for the check.
    """

    least_size: int = 2**10
    least_steps: int = 32

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        if not self.target.on_cpu or self.target.derivative != "none" or context.in_loop:
            return None
        if not op.recurrences or op.progress or (op.n_steps is not None and op.n_steps < self.least_steps):
            return None
        fixed = op.body_inputs(op.body.inputs).non_sequences
        varying = dependents(op.body.applies, set(op.body.inputs).difference(fixed))
        sums = [found for made in op.body.applies if (found := self._sum(made, varying)) is not None]
        return _chosen(node, inputs, sums, _as_written(node, op, inputs, context.differentiated)) if sums else None

    def _sum(self, node: Apply, varying: Collection[Variable]) -> _Sum | None:
        """Return a node as such a sum; ``None`` where it is none, or too small."""
        op = node.op
        if not op.named("logsumexp") or len(op.arguments["axis"]) != 1:
            return None
        (x,), (axis,) = node.inputs, op.arguments["axis"]
        if x.dtype not in RANGES or x.dtype != node.outputs[0].dtype:
            return None
        terms = list(_terms(x))
        fixed = tuple(term for term in terms if term not in varying)
        rest = [term for term in terms if term in varying]
        if not fixed or not rest:
            return None
        # The fixed terms must be a matrix: of the axis that is summed over, and of one axis that the others lack.
        sizes = x.type.sizes
        wide = [a for a, size in enumerate(sizes) if size > 1]
        along = {a for a in wide if any(term.type.sizes[a] > 1 for term in fixed)}
        columns = [a for a in wide if a != axis and all(term.type.sizes[a] == 1 for term in rest)]
        if len(columns) != 1 or along != {axis, *columns} or all(term.type.sizes[axis] == 1 for term in rest):
            return None
        (column,) = columns
        return _Sum(node, fixed, axis, column) if sizes[axis] * sizes[column] >= self.least_size else None


def _chosen(node: Apply, inputs: Sequence[Variable], sums: Sequence[_Sum], exact: Apply) -> Sequence[Variable]:
    """Return the outputs of a conditional that runs the loop with products or, as it was written, ``exact``."""
    loop = scan_builder(node, inputs)
    products = {found.node: (found, _matrix(loop, found)) for found in sums}
    loop.transform(lambda node, inputs: [_product(*products[node], *inputs)] if node in products else None)
    loop.notes.append("logsumexp: sums of exponentials are products, where the range of the matrix allows")
    fast = loop.build()
    given = list(dict.fromkeys(one for one in (*fast.inputs, *exact.inputs) if not isinstance(one, Constant)))
    in_range = reduce(and_, (matrix.in_range for _, matrix in products.values()))
    branches = IfElse(branch_of(given, fast.outputs), branch_of(given, exact.outputs))
    return Apply(branches, [in_range, *given], node.sources).outputs


def _as_written(node: Apply, op: Scan, inputs: Sequence[Variable], differentiated: bool) -> Apply:
    """Return the loop for the other case.

    XLA reserves memory for what either branch stores for a gradient, so this one stores only its states.
    """
    checkpoint = STATES_ALONE if op.checkpoint is None and differentiated else op.checkpoint
    note = "logspace: for the other case, the range of the matrix is too large for products"
    return copy_node(node, inputs, replace(op, checkpoint=checkpoint, notes=(*op.notes, note)))


def _terms(x: Variable) -> Iterable[Variable]:
    """Yield the terms of nested sums of equal dtype and number of axes."""
    node = x.owner
    if node is None or not node.op.named("add") or any((v.ndim, v.dtype) != (x.ndim, x.dtype) for v in node.inputs):
        yield x
        return
    for one in node.inputs:
        yield from _terms(one)


def _matrix(loop: ScanBuilder, found: _Sum) -> _Matrix:
    """Compute the matrix of the fixed terms before the loop."""
    matrix = ops.dimshuffle(reduce(add, loop.outside(found.fixed)), found.axis, found.column)
    largest = ops.zero_grad(matrix.max(axis=0))
    below = matrix - largest
    in_range = ops.all(ops.ge(below, -RANGES[matrix.dtype]))
    # Double where (JAX FAQ): zero times an infinite derivative of exponentials that are not used would be NaN.
    exponentials = ops.exp(ops.switch(in_range, below, ops.zeros_like(below)))
    return _Matrix(loop.capture(exponentials), loop.capture(largest), in_range)


def _product(found: _Sum, matrix: _Matrix, x: Variable) -> Variable:
    """Return the sum over ``x`` as the logarithm of a product."""
    axis, column = found.axis, found.column
    varying = reduce(add, [term for term in _terms(x) if term not in found.fixed])
    others = [a for a in range(varying.ndim) if a not in (axis, column)]
    varying = ops.dimshuffle(varying, *others, axis)
    largest = ops.zero_grad(varying.max(axis=-1, keepdims=True))
    largest = ops.switch(ops.isinf(largest), 0, largest).astype(varying.dtype)
    product = ops.dot(ops.exp(varying - largest), matrix.exponentials)
    result = ops.log(product) + matrix.largest + largest
    order: dict[int, int | str] = {a: position for position, a in enumerate([*others, column])}
    if found.node.op.arguments["keepdims"]:
        order[axis] = "x"
    return ops.dimshuffle(result, *(order[a] for a in sorted(order)))
