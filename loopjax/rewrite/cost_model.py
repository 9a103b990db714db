"""The cost model: estimates of what a step computes and touches, from the shapes of its body.

Passes compare them with thresholds, which are fields of the pass with the measurements beside them; estimates know
nothing of caches, so each threshold was measured on bodies of the kind that it decides about. There are four
currencies: flops and bytes of a body whose elementwise ops are fused (``cost``, as XLA would compile it), bytes of all
values of a body (``step_bytes``, what a loop must hold that XLA on CPU compiles into one function), the work per
element of an elementwise kernel (``Kernel``, by which XLA on CPU decides on threads), and the time that a primitive of
JAX takes on a CPU, or that its result takes to be stored (``recomputing_time``, ``storing_time``). For the body
``tanh(h @ w + x)`` with ``h`` of 4 float64 values, ``cost`` is 40 flops (32 for the product) and 288 bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.ir.types import TensorType

SMALL_BODY_OPS = 12
"""Elementwise ops up to which a body counts as small: of 32, 8 steps an iteration are 1.05 times as fast."""


class Cost(NamedTuple):
    """Flops (values computed, for a product twice its terms) and bytes read and written after elementwise fusion."""

    flops: int
    bytes: int


def cost(body: Graph) -> Cost:
    """Estimate one run of a sized region."""
    flops = sum(_flops(node) for node in body.applies)
    unfused = [output for node in body.applies if not node.op.has("pointwise") for output in node.outputs]
    touched = bytes_of((*body.inputs, *body.outputs)) + 2 * bytes_of(unfused)
    loops = [(node.op, step_cost(node.op)) for node in body.applies if isinstance(node.op, Scan)]
    touched += sum((op.n_steps or 1) * once.bytes for op, once in loops)
    return Cost(flops, touched)


def step_cost(op: Scan) -> Cost:
    """Cost of a step of a sized loop, the draws that are made for a block of steps included."""
    once = cost(op.body)
    if op.samples is None:
        return once
    draws = cost(op.samples.draws)
    return Cost(once.flops + draws.flops, once.bytes + draws.bytes)


def _flops(node: Apply) -> int:
    """Values of the result, times the terms of each in products and decompositions; for reductions values of the
    operand."""
    op = node.op
    if isinstance(op, Scan):
        return (op.n_steps or 1) * step_cost(op).flops
    in_regions = sum(cost(region).flops for region in op.regions)
    values = sum(math.prod(output.type.sizes) for output in node.outputs)
    if not isinstance(op, TableOp) or isinstance(node.outputs[0], Constant):
        return in_regions + values
    if op.has("matmul"):
        return 2 * values * node.inputs[0].type.sizes[-1]
    if op.name == "tensordot":
        return 2 * values * math.prod(node.inputs[0].type.sizes[axis] for axis in op.arguments["left"])
    if op.has("cubic"):
        return values * node.inputs[0].type.sizes[-1]
    if op.has("reduce"):
        return sum(math.prod(variable.type.sizes) for variable in node.inputs)
    return in_regions + (values if op.has("pointwise", "draw") else 0)


def size_bytes(types: Iterable[TensorType]) -> int:
    """Bytes of values of these types."""
    return sum(type.bytes for type in types)


def bytes_of(variables: Iterable[Variable]) -> int:
    """Bytes of values whose shapes are known."""
    return sum(variable.type.bytes for variable in variables)


def step_bytes(body: Graph) -> int:
    """Bytes of a step's inputs and of all that it computes, inner loops with all of their steps."""
    return bytes_of(body.inputs) + sum(bytes_of(node.outputs) + _of_regions(node, step_bytes) for node in body.applies)


def traffic_bytes(body: Graph) -> int:
    """Bytes that the ops of a step read and write, each by itself: a measure of how much of one step is in another."""
    own = (bytes_of((*node.inputs, *node.outputs)) for node in body.applies)
    return sum(own) + sum(_of_regions(node, traffic_bytes) for node in body.applies)


def _of_regions(node: Apply, measure: Callable[[Graph], int]) -> int:
    steps = (node.op.n_steps or 1) if isinstance(node.op, Scan) else 1
    return steps * sum(map(measure, node.op.regions))


def is_pointwise(body: Graph) -> bool:
    """True where a step is elementwise throughout."""
    return all(node.op.has("pointwise") for node in body.applies)


def is_small_body(op: Scan) -> bool:
    """True for a body of a few elementwise ops."""
    return op.samples is None and len(op.body.applies) <= SMALL_BODY_OPS and is_pointwise(op.body)


def is_expensive(node: Apply) -> bool:
    """True for a product, a decomposition, a draw: an op that costs more than to write its result."""
    return isinstance(node.op, TableOp) and not node.op.has("memory_bound")


THREAD_COST, THREAD_BYTES = 100_000, 2**18
"""Least work and least bytes of the result that XLA on CPU gives to a thread (openxla/xla,
``xla/service/cpu/parallel_task_assignment.cc``)."""


@dataclass(frozen=True)
class Kernel:
    """An elementwise kernel of XLA on CPU, per element of its result: operations, those among them that take one or two
    instructions, bytes read and written, and bytes written."""

    operations: int
    cheap: int
    touched: int
    written: int

    @property
    def is_compute_bound(self) -> bool:
        """True where XLA divides a kernel by its work, not by the size of its result."""
        return self.cheap > self.touched

    @property
    def cost(self) -> int:
        """Work per element as XLA counts it."""
        return self.cheap + 2 * (self.operations - self.cheap) + 10 * self.touched

    @property
    def single_thread_elements(self) -> int:
        """Elements up to which one thread computes the kernel; to start others takes about 2 us."""
        most, each = (THREAD_COST, self.cost) if self.is_compute_bound else (THREAD_BYTES, self.written)
        return (2 * most - 1) // max(each, 1)


def kernel(nodes: Iterable[Apply], touched: int, written: int) -> Kernel:
    """Count the operations of the kernel that elementwise nodes become."""
    operations = list(nodes)
    return Kernel(len(operations), sum(node.op.has("cheap") for node in operations), touched, written)


PRIMITIVE_NS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("exp", "exp2"), (0.4, 1.4)),
    "tanh": (0.4, 1.2),
    "logistic": (0.5, 1.8),
    **dict.fromkeys(("sqrt", "rsqrt"), (0.3, 0.6)),
    "div": (0.15, 0.4),
    "log": (0.6, 3.3),
    "log1p": (1.1, 4.2),
    "expm1": (1.0, 2.8),
    "erf": (0.4, 3.6),
    **dict.fromkeys(("sin", "cos"), (1.6, 8.3)),
    **dict.fromkeys(("tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "asinh", "acosh", "atanh"), (6, 8.3)),
    **dict.fromkeys(("pow", "cbrt"), (4.6, 11)),
    **dict.fromkeys(("erfc", "erf_inv"), (3, 6)),
    **dict.fromkeys(("lgamma", "digamma"), (7, 25)),
}
"""Nanoseconds for an element of a float32 and of a float64 array, of 1,000 in one thread of an AMD EPYC with AVX2, jax
0.10.2; an addition takes 0.1."""

STORING_NS, CACHED_BYTES, UNCACHED_NS = 0.12, 2**23, 0.46
"""Nanoseconds to store a byte and to read it back: of a stack that stays in the cache, the bytes up to which one does,
and of a larger one, for which the operating system must find memory too."""


def recomputing_time(primitive: str, operand: Any) -> float:
    """Nanoseconds that a primitive takes on an array of the type of ``operand``; 0 where it costs next to nothing."""
    single, double = PRIMITIVE_NS.get(primitive, (0, 0))
    return 0 if not single else math.prod(operand.shape) * (double if operand.dtype.itemsize > 4 else single)


def storing_time(operand: Any, n_steps: int) -> float:
    """Nanoseconds to store an array of the type of ``operand`` at a step, and to read it back later."""
    size = math.prod(operand.shape) * operand.dtype.itemsize
    return size * (STORING_NS if size * n_steps <= CACHED_BYTES else UNCACHED_NS)
