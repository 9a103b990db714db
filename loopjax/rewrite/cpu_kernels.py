"""Elementwise kernels of XLA on CPU: what is in one, and when threads share it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loopjax.ir.graph import Apply

THREAD_COST, THREAD_BYTES = 100_000, 2**18
"""The work and the bytes of its result that XLA gives a thread at least, by its own account (openxla/xla,
``xla/service/cpu/parallel_task_assignment.cc``)."""


@dataclass(frozen=True)
class Kernel:
    """Of each element of a kernel's result: operations, and among them those that take an instruction or two; bytes
    that are read and written, and those that are written."""

    operations: int
    cheap: int
    touched: int
    written: int

    @property
    def is_heavy(self) -> bool:
        """Whether XLA goes by the work of a kernel, not by the size of its result."""
        return self.cheap > self.touched

    @property
    def cost(self) -> int:
        """The work of an element, as XLA counts."""
        return self.cheap + 2 * (self.operations - self.cheap) + 10 * self.touched

    def is_shared(self, elements: int) -> bool:
        """Whether threads share a kernel for so many elements. To start them takes about 2 us."""
        return elements > self.most_alone

    @property
    def most_alone(self) -> int:
        """Elements up to which one thread computes a kernel."""
        most, each = (THREAD_COST, self.cost) if self.is_heavy else (THREAD_BYTES, self.written)
        return (2 * most - 1) // max(each, 1)


def kernel(nodes: Iterable[Apply], touched: int, written: int) -> Kernel:
    """The kernel of elementwise nodes."""
    operations = list(nodes)
    return Kernel(len(operations), sum(node.op.has("cheap") for node in operations), touched, written)
