"""What is measured: one task, written several ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

from benchmarks.compare import TIGHT, Compare
from benchmarks.program import Program

Value = TypeVar("Value")


class Scale(NamedTuple):
    """How large to make a workload: as it is described, or small for a quick run; of ``n_steps`` steps where given."""

    quick: bool = False
    n_steps: int | None = None

    def pick(self, full: Value, quick: Value) -> Value:
        """One of two sizes."""
        return quick if self.quick else full

    def steps(self, full: int, quick: int | None = None) -> int:
        """The number of steps, of those the workload has unless told; the same where quick has none of its own."""
        if self.n_steps is not None:
            return self.n_steps
        return self.pick(full, full if quick is None else quick)


Contender = Callable[[], Program]
"""Builds a program from nothing, so that its time to the first result can be measured again and again."""


class Contenders(NamedTuple):
    """The same task on equal inputs.

    ``loopjax``: the symbolic program as the guide would write it, default settings; a ``Symbolic`` runs in PyTensor and
    Aesara too.
    ``plain``: the JAX that a competent user writes first.
    ``tuned``: the fastest JAX that we know how to write by hand; ``None`` where ``plain`` is that. It still takes every
    step, up to the order of sums and products: no closed form, no other algorithm.
    """

    loopjax: Contender
    plain: Contender
    tuned: Contender | None = None


Wait = Literal["call", "sample"]
"""When a result is waited for: after each call, or after many, which leaves the cost of the call alone."""


@dataclass(frozen=True)
class Workload:
    """A task with its contenders.

    ``make`` takes the scale and returns the contenders. ``compare`` raises ``AssertionError``
    where results differ. ``large`` workloads run where asked for. ``peak``: the memory that the whole process takes is
    measured, each contender in one of its own. ``grows_to``: the most steps that it is given to see how time grows; 0
    where it takes no number of steps.
    """

    name: str
    what: str
    make: Callable[[Scale], Contenders]
    compare: Compare = TIGHT
    wait: Wait = "call"
    large: bool = False
    peak: bool = False
    grows_to: int = 1_000_000
