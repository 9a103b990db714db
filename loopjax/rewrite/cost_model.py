"""The cost model: estimates of what a step computes and touches, from the shapes of its body.

Passes compare them with thresholds, which are fields of the pass with the measurements beside them; estimates know
nothing of caches, so each threshold was measured on bodies of the kind that it decides about. There are four
currencies: flops and bytes of a body whose elementwise ops are fused (``cost``, as XLA would compile it), bytes of all
values of a body (``body_bytes``, what a loop must hold that XLA on CPU compiles into one function), the work per
element of an elementwise kernel (``Kernel``, by which XLA on CPU decides on threads), and the time that a primitive of
JAX takes on a CPU, or that its result takes to be stored (``recomputing_time``, ``storing_time``), from constants that
``python -m loopjax.calibrate`` measures. For the body
``tanh(h @ w + x)`` with ``h`` of 4 float64 values, ``cost`` is 40 flops (32 for the product) and 288 bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.ir.symbolic_sizes import nominal
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
    touched += sum(_steps(op) * once.bytes for op, once in loops)
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
        return _steps(op) * step_cost(op).flops
    in_regions = sum(cost(region).flops for region in op.regions)
    values = sum(output.type.elements for output in node.outputs)
    if not isinstance(op, TableOp) or isinstance(node.outputs[0], Constant):
        return in_regions + values
    if op.has("matmul"):
        return 2 * values * nominal(node.inputs[0].type.sizes[-1])
    if op.name == "tensordot":
        return 2 * values * math.prod(nominal(node.inputs[0].type.sizes[axis]) for axis in op.arguments["left"])
    if op.has("cubic"):
        return values * nominal(node.inputs[0].type.sizes[-1])
    if op.has("reduce"):
        return sum(variable.type.elements for variable in node.inputs)
    return in_regions + (values if op.has("pointwise", "draw") else 0)


def _steps(op: Scan) -> int:
    return nominal(op.n_steps or 1)


def size_bytes(types: Iterable[TensorType]) -> int:
    """Bytes of values of these types."""
    return sum(type.bytes for type in types)


def bytes_of(variables: Iterable[Variable]) -> int:
    """Bytes of values whose shapes are known."""
    return sum(variable.type.bytes for variable in variables)


def body_bytes(body: Graph) -> int:
    """Bytes of a step's inputs and of all that it computes, inner loops with all of their steps."""
    return bytes_of(body.inputs) + sum(bytes_of(node.outputs) + _in_regions(node) for node in body.applies)


def _in_regions(node: Apply) -> int:
    steps = _steps(node.op) if isinstance(node.op, Scan) else 1
    return steps * sum(map(body_bytes, node.op.regions))


def is_pointwise(body: Graph) -> bool:
    """True where a step is elementwise throughout."""
    return all(node.op.has("pointwise") for node in body.applies)


def is_small_body(op: Scan) -> bool:
    """True for a body of a few elementwise ops."""
    return op.samples is None and len(op.body.applies) <= SMALL_BODY_OPS and is_pointwise(op.body)


def moves_elements(node: Apply) -> bool:
    """True for a gather, a roll, a concatenation: an op that computes nothing, and is not elementwise."""
    return node.op.has("memory_bound") and not node.op.has("pointwise", "reduce")


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


class Measurement(NamedTuple):
    """A measured constant in nanoseconds, and the root mean square of the relative deviations of its measurements."""

    value: float
    residual: float


@dataclass(frozen=True)
class Constants:
    """The table of measured constants of a backend: a primitive and a dtype, for an element beyond an addition;
    ``storing`` and ``storing uncached``, for a byte that is stored and read back."""

    machine: str
    jax: str
    date: str
    values: dict[str, Measurement]

    def to_json(self) -> str:
        """JSON text with a line for each constant."""
        head = {"machine": self.machine, "jax": self.jax, "date": self.date, "values": "nanoseconds, residual"}
        lines = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in {**head, **self.values}.items()]
        return "{\n  " + ",\n  ".join(lines) + "\n}\n"


def table_path(backend: str) -> Path:
    """The file that holds the constants of a backend."""
    return Path(__file__).parent / "calibration" / f"{backend}.json"


@cache
def read_constants(backend: str = "cpu") -> Constants:
    """Read the constants of a backend: ``python -m loopjax.calibrate --write`` has measured them."""
    found = json.loads(table_path(backend).read_text())
    values = {name: Measurement(*value) for name, value in found.items() if isinstance(value, list)}
    return Constants(found["machine"], found["jax"], found["date"], values)


RETAINED_BYTES = 2**23
"""Bytes of a loop's residuals up to which memory is kept from call to call. glibc gives arrays of 32 MB and more back,
so that each page is found again, and XLA takes all temporaries of a program as one array, which has other parts too:
with a limit of 32 MB, gradients of deep taps took 2.7 to 3 times as long."""

STACK_NS = 20
"""Nanoseconds for a stack at each step, whatever its size: a kernel that writes a row, and one that reads it."""

CHEAP_NS = 0.005
"""Nanoseconds for a byte of the result of an addition in a fused kernel."""


def recomputing_time(primitive: str, operand: Any) -> float:
    """Nanoseconds that a primitive takes on an array of the type of ``operand``; 0 where it costs next to nothing."""
    found = read_constants().values.get(f"{primitive} {'float64' if operand.dtype.itemsize > 4 else 'float32'}")
    return math.prod(operand.shape) * found.value if found else 0


def computing_time(equation: Any) -> float:
    """Nanoseconds that an equation of a jaxpr takes."""
    inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
    if hasattr(inner, "eqns"):
        return sum(map(computing_time, inner.eqns))
    name, result = equation.primitive.name, equation.outvars[0].aval
    if name in ("broadcast_in_dim", "reshape", "squeeze", "convert_element_type"):
        return 0
    return CHEAP_NS * math.prod(result.shape) * result.dtype.itemsize + recomputing_time(name, result)


def storing_time(operands: Collection[Any], n_steps: int) -> float:
    """Nanoseconds to store arrays of these types at a step, and to read them back later.

    A mask takes as long as an array of float32: it is converted both times. Memory for more than ``RETAINED_BYTES`` is
    found again at each call.
    """
    size = sum(math.prod(one.shape) * max(one.dtype.itemsize, 4) for one in operands)
    price = read_constants().values["storing" if size * n_steps <= RETAINED_BYTES else "storing uncached"].value
    return size * price + STACK_NS * len(operands)
