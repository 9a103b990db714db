"""Dimension collapsing: an elementwise loop over arrays of several axes runs over vectors, which are the same memory.

XLA on CPU emits a loop per axis. LLVM unrolls an inner one of few elements, and vectorizes the one around it by loads
and stores of single elements. A state of 20 by 20, whose body reads rows and a scalar::

    scan(h: float64[20, 20], rows: float64[n, 20, 20], rate: float64[])
    scan(h: float64[400], rows: float64[n, 400], rate: float64[]), reshaped back

Time as it is over that of vectors, 400 steps that read a row each, jaxlib 0.10.2: the last state, the stack and a
gradient of ``0.4 * h * row + 0.3 * fixed``, and of the same with ``tanh(h)``:

| array | float32 | with ``tanh`` | float64 | with ``tanh`` |
|---|---|---|---|---|
| 3 x 3 | 1.1, 1.0, 1.0 | 1.0, 1.1, 1.1 | 1.0, 1.0, 1.0 | 1.1, 1.1, 1.0 |
| 8 x 8 | 1.0, 1.0, 1.0 | 1.8, 1.3, 1.1 | 1.5, 1.7, 1.6 | 1.4, 1.5, 1.6 |
| 20 x 20 | 2.2, 2.5, 2.6 | 1.9, 2.5, 2.8 | 1.7, 1.8, 1.9 | 1.1, 1.5, 1.6 |
| 270 x 11 | 3.1, 2.3, 4.0 | 2.5, 2.1, 2.1 | 1.3, 1.3, 1.9 | 1.6, 1.1, 1.3 |
| 1,000 x 2 | 1.0, 1.0, 0.9 | 1.7, 1.1, 1.2 | 1.0, 1.0, 1.0 | 1.5, 1.1, 1.1 |
| 10 x 10 x 10 | 3.1, 2.7, 3.3 | 7.1, 4.8, 4.2 | 1.9, 1.9, 2.2 | 3.6, 2.6, 2.2 |
| 4 x 100; 10 x 1,000 | 1.0 to 1.1 | 1.0 to 1.3 | 0.9 to 1.1 | 1.0 |

What is the same at every step and repeated along an axis is made whole, and read from memory at each step: 20 to 60
steps of ``h * b + 0.1`` with ``b`` of 100 to 500 values took 1.2 to 1.6 times as long so, 20,000 by 11 and 5,000 by 20
values 0.6.

Limits: all values of a step have one shape, except scalars, non-sequences and constants; reductions over all axes only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loopjax.ir.graph import Apply, Constant, Variable
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Scan
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.scan_builder import ScanBuilder, scan_builder


@dataclass(frozen=True)
class CollapseAxes(Pass):
    """Dimension collapsing on a CPU.

    Attributes
    ----------
    least_elements
        Elements of an array from which LLVM vectorizes.
    most_last, most_repeated
        Longest last axis for which LLVM vectorizes another one, and for which an array that is repeated is made whole.
    """

    least_elements: int = 16
    most_last: int = 512
    most_repeated: int = 32

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        shape = max((value.type.sizes for value in op.body.outputs), key=len, default=())
        if sum(length > 1 for length in shape) < 2 or math.prod(shape) < self.least_elements:
            return None
        if shape[-1] > self.most_last or not self.target.on_cpu or not op.recurrences or op.n_states or op.n_keys:
            return None
        if not _is_elementwise(op, shape) or (shape[-1] > self.most_repeated and _repeats(op, shape)):
            return None
        outputs = _collapsed(scan_builder(node, inputs), shape).build().outputs
        return [_reshaped(new, old.type.sizes) for new, old in zip(outputs, node.outputs, strict=True)]


def _is_elementwise(op: Scan, shape: tuple[int, ...]) -> bool:
    """Return whether elements of a step's arrays are independent, except in reductions over all axes."""
    fixed = _fixed(op)
    made = [value for node in op.body.applies for value in node.outputs]
    varying = [value for value in (*op.body.inputs, *made) if value not in fixed]
    if any(value.ndim and value.type.sizes != shape for value in (*varying, *op.body.outputs)):
        return False
    if not all(_broadcasts(value.type.sizes, shape) for value in fixed):
        return False
    return all(node.op.has("pointwise") or _is_filled(node) or _is_total(node, shape) for node in op.body.applies)


def _fixed(op: Scan) -> set[Variable]:
    """The values of a step that are the same at every step: non-sequences and constants."""
    read = [*op.body.outputs, *(value for node in op.body.applies for value in node.inputs)]
    given = op.body_inputs(op.body.inputs).non_sequences
    return {*given, *(value for value in read if isinstance(value, Constant))}


def _repeats(op: Scan, shape: tuple[int, ...]) -> bool:
    """Return whether an array that is the same at every step is repeated along an axis."""
    return any(value.ndim and value.type.sizes != shape for value in _fixed(op))


def _broadcasts(sizes: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Return whether an array of these sizes broadcasts to the shape."""
    pairs = zip(reversed(sizes), reversed(shape), strict=False)
    return len(sizes) <= len(shape) and all(size in (1, length) for size, length in pairs)


def _is_filled(node: Apply) -> bool:
    """Return whether a node fills an array with a scalar."""
    return node.op.named("alloc") and node.inputs[0].ndim == 0


def _is_total(node: Apply, shape: tuple[int, ...]) -> bool:
    """Return whether a node reduces an array of that shape to a scalar."""
    reduces = node.op.has("reduce") and node.outputs[0].ndim == 0 and isinstance(node.op, TableOp)
    return reduces and node.inputs[0].type.sizes == shape and node.op.arguments["axis"] == (*range(len(shape)),)


def _collapsed(loop: ScanBuilder, shape: tuple[int, ...]) -> ScanBuilder:
    """The loop over vectors."""
    size = math.prod(shape)
    vectors: dict[Variable, Variable] = {}

    def vector(value: Variable) -> Variable:
        vectors[value] = Variable(value.type.with_shape((size,)), name=value.name)
        return vectors[value]

    def whole(x: Variable) -> Variable:
        return _reshaped(x if x.type.sizes == shape else ops.alloc(x, *shape), (size,))

    body = loop.body
    for sequence in (one for one in loop.sequences if one.rows[0].ndim):
        sequence.outer = _reshaped(sequence.outer, (sequence.outer.type.sizes[0], size))
        sequence.rows = [vector(row) for row in sequence.rows]
    for state in (one for one in loop.recurrences if one.value.ndim):
        state.initial = _reshaped(state.initial, (*state.initial.type.sizes[: -len(shape)], size))
        state.pasts = [vector(past) for past in state.pasts]
    for capture in (one for one in loop.non_sequences if one.inner.ndim):
        capture.outer, capture.inner = whole(capture.outer), vector(capture.inner)
    read = dict.fromkeys([*body.outputs, *(value for node in body.applies for value in node.inputs)])
    for value in (one for one in read if isinstance(one, Constant) and one.ndim):
        vectors[value] = loop.capture(whole(value))
    change = {"alloc": {"lengths": (size,)}}

    def changed(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        if node.op.has("pointwise"):
            return None
        assert isinstance(node.op, TableOp)
        arguments = {**node.op.arguments, **change.get(node.op.name, {"axis": (0,)})}
        return Apply(table_op(node.op.name, **arguments), inputs, node.sources).outputs

    loop.set_results(body.rebuilt(vectors, changed).outputs)
    loop.notes.append(f"collapse_axes: arrays of {' x '.join(map(str, shape))} elements are vectors")
    return loop


def _reshaped(x: Variable, shape: tuple[int, ...]) -> Variable:
    return x if x.type.sizes == shape else ops.reshape(x, shape)
