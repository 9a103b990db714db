"""Workloads: one task, written in several ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Literal, NamedTuple, TypeVar

from benchmarks.compare import TIGHT, Compare
from benchmarks.program import Program

Value = TypeVar("Value")


class Scale(NamedTuple):
    """Size of a workload: full, or small for a quick run; ``n_steps`` overrides the number of steps."""

    quick: bool = False
    n_steps: int | None = None

    def pick(self, full: Value, quick: Value) -> Value:
        """The quick or the full size."""
        return quick if self.quick else full

    def steps(self, full: int, quick: int | None = None) -> int:
        """Number of steps: ``n_steps`` if given, else the workload's; quick runs may have their own."""
        if self.n_steps is not None:
            return self.n_steps
        return self.pick(full, full if quick is None else quick)


Contender = Callable[[], Program]
"""Function that builds a program afresh, so that its time to the first result can be measured repeatedly."""


class Contenders(NamedTuple):
    """Programs of the same task on equal inputs.

    ``loopjax``: the symbolic program as the guide would write it, default settings; a ``Symbolic`` runs in PyTensor and
    Aesara too.
    ``plain``: the JAX that a competent user would write first.
    ``tuned``: the fastest JAX that we can write by hand; ``None`` if that is ``plain``. It runs every step, up to the
    order of sums and products: no closed form, no other algorithm. Where a program was held out, it may be another
    algorithm with the same values.
    """

    loopjax: Contender
    plain: Contender
    tuned: Contender | None = None


Wait = Literal["call", "sample"]
"""When to wait for results: after each call, or after many calls, which measures only the cost of the call itself."""


@dataclass(frozen=True)
class Workload:
    """A task with its contenders.

    ``make`` takes the scale and returns the contenders. ``compare`` raises ``AssertionError`` if results differ.
    ``large`` workloads run only on request. ``peak``: measures the peak memory of a process for each contender.
    ``grows_to``: the largest number of steps for ``--growth``; 0 for a workload without a number of steps.
    """

    name: str
    what: str
    make: Callable[[Scale], Contenders]
    compare: Compare = TIGHT
    wait: Wait = "call"
    large: bool = False
    peak: bool = False
    grows_to: int = 1_000_000


def workloads_of(*files: ModuleType) -> tuple[Workload, ...]:
    """Workloads of files that have a tuple ``WORKLOADS`` each, in this order."""
    return tuple(workload for file in files for workload in file.WORKLOADS)
