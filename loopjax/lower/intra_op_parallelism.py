"""Intra-op parallelism of XLA on a CPU: loops that it computes faster on several threads than a function does on one.

XLA splits a kernel between threads where its work is large: at least 100,000 for each, where an operation of an element
counts 1, a transcendental one 2 and a byte that is read or written 10, and only where there are more operations of the
first kind than bytes (``DefaultCostModel`` of ``parallel_task_assignment.cc``). A loop's function runs on one thread.

Time of a loop in a function over that of the same loop left to XLA, jaxlib 0.10.2, two cores, float64, a state to which
an elementwise op and a product are applied many times a step:

| op | times | 512 | 1,024 | 2,048 | 4,096 elements |
|---|---|---|---|---|---|
| ``tanh`` | 4 | 0.97 | 0.97 | 0.99 | 0.99 |
| ``tanh`` | 16 | 0.99 | 1.86 | 1.66 | 1.81 |
| ``exp`` | 16 | 0.99 | 1.80 | 1.84 | 1.88 |
| ``pow`` | 16 | 1.01 | 1.65 | 1.50 | 1.43 |
| a polynomial of degree 3 | 16 | 0.96 | 0.72 | 1.37 | 1.50 |

It splits the last one from 1,024 elements on, where 10 us of work do not pay for another thread.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from jax.extend.core import ClosedJaxpr, Literal

from loopjax.lower.jaxprs import array_bytes, regions
from loopjax.lower.primitives import ARITHMETIC, INLINED_CALLS, LOOPS, REDUCTIONS, SAME_ELEMENTS, TRANSCENDENTAL

ELEMENTWISE = ARITHMETIC | TRANSCENDENTAL | SAME_ELEMENTS | {"transpose"}
"""Primitives that stand in one kernel with others."""

LEAST_ELEMENTS, LEAST_ROWS = 256, 8
"""Elements of an array whose kernels are looked at, and results of a reduction from which its kernel can be split."""

THREAD_WORK = 100_000
"""Work of a thread, as XLA counts it."""

ARITHMETIC_NS, TRANSCENDENTAL_NS, LEAST_NS = 0.011, 0.38, 20_000
"""Times of an operation for a byte of its result, and of a kernel for which it pays to start another thread."""


def is_split(loop: Any) -> bool:
    """Test if XLA splits a kernel of a loop's step between threads, and is faster with them."""
    return processors() > 1 and any(_has_split_kernel(region) for region in regions(loop))


def processors() -> int:
    """The number of processors that this process may use, by which XLA splits kernels."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _has_split_kernel(region: Any) -> bool:
    """Test if a kernel of a step is split, or one of the loops inside of the step."""
    operations, results = _flat(region)
    if any(is_split(one.equation) for one in operations if one.name in LOOPS | {"cond"}):
        return True
    makes = {one.results[0]: one for one in operations if one.is_elementwise}
    written = _written(operations, results)
    return any(_gains([*_fused(root, makes)], size) for root, size in written.items() if root in makes)


@dataclass(frozen=True, eq=False)
class _Value:
    """A value of a step: its elements and bytes."""

    size: int
    bytes: int


class _Operation(NamedTuple):
    """An equation of a step, with what it reads and gives."""

    equation: Any
    name: str
    given: list[_Value]
    results: list[_Value]

    @property
    def is_elementwise(self) -> bool:
        """Test if it stands in a kernel that may be split."""
        return self.name in ELEMENTWISE and self.results[0].size >= LEAST_ELEMENTS


def _fused(root: _Value, makes: Mapping[_Value, _Operation]) -> Iterator[_Operation]:
    """The operations that XLA fuses into the kernel that computes a value: also those that others compute again."""
    seen, pending = {root}, [root]
    while pending:
        one = makes[pending.pop()]
        yield one
        inner = {value for value in one.given if value in makes and value.size == root.size} - seen
        pending += inner
        seen |= inner


def _gains(kernel: Sequence[_Operation], written: int) -> bool:
    """Test if XLA splits a kernel that writes ``written`` bytes, and gains by it."""
    made = {one.results[0] for one in kernel}
    touched = written + sum(value.bytes for value in {v for one in kernel for v in one.given if v not in made})
    arithmetic = [one.results[0] for one in kernel if one.name in ARITHMETIC]
    transcendental = [one.results[0] for one in kernel if one.name in TRANSCENDENTAL]
    operations, others = (sum(value.size for value in values) for values in (arithmetic, transcendental))
    time = ARITHMETIC_NS * sum(v.bytes for v in arithmetic) + TRANSCENDENTAL_NS * sum(v.bytes for v in transcendental)
    return operations > touched and operations + 2 * others + 10 * touched >= 2 * THREAD_WORK and time >= LEAST_NS


def _written(operations: Sequence[_Operation], results: Sequence[_Value]) -> dict[_Value, int]:
    """The bytes that the kernel of a value writes for what reads the value outside of kernels: those of the result
    for a reduction, none for one of few results, which is not split."""
    written = dict[_Value, int]()
    for one in operations:
        if one.name in REDUCTIONS:
            size = one.results[0].bytes if one.results[0].size >= LEAST_ROWS else 0
            written.update((value, size) for value in one.given if size and value not in written)
        elif not one.is_elementwise:
            written.update((value, value.bytes) for value in one.given)
        else:
            written.update((value, value.bytes) for value in one.given if value.size != one.results[0].size)
    return written | {value: value.bytes for value in results}


def _flat(region: Any) -> tuple[list[_Operation], list[_Value]]:
    """The operations of a region, with those of the functions that it calls, and its results."""
    operations = list[_Operation]()

    def read(jaxpr: Any, given: Sequence[_Value]) -> list[_Value]:
        jaxpr = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
        names = dict(zip(jaxpr.invars, given, strict=True))

        def value(variable: Any) -> _Value:
            if isinstance(variable, Literal):
                return _value(variable)
            return names.setdefault(variable, _value(variable))

        for equation in jaxpr.eqns:
            arguments, name = [*map(value, equation.invars)], equation.primitive.name
            inner = regions(equation)
            if name in INLINED_CALLS and len(inner) == 1:
                names.update(zip(equation.outvars, read(inner[0], arguments), strict=True))
            else:
                operations.append(_Operation(equation, name, arguments, [*map(value, equation.outvars)]))
        return [*map(value, jaxpr.outvars)]

    jaxpr: Any = region.jaxpr if isinstance(region, ClosedJaxpr) else region
    return operations, read(jaxpr, [*map(_value, jaxpr.invars)])


def _value(variable: Any) -> _Value:
    return _Value(math.prod(variable.aval.shape), array_bytes(variable))
