"""What is measured: one task, written several ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from benchmarks.compare import TIGHT, Compare
from benchmarks.program import Program

Contender = Callable[[], Program]
"""Builds a program from nothing, so that its time to the first result can be measured again and again."""


class Contenders(NamedTuple):
    """The same task on equal inputs.

    ``loopjax``: the symbolic program as the guide would write it, default settings.
    ``plain``: the JAX that a competent user writes first.
    ``tuned``: the fastest JAX that we know how to write by hand; ``None`` where ``plain`` is that. It still takes every
    step, up to the order of sums and products: no closed form, no other algorithm.
    """

    loopjax: Contender
    plain: Contender
    tuned: Contender | None = None


@dataclass(frozen=True)
class Workload:
    """A task with its contenders.

    ``make`` takes whether the run is a quick one and returns the contenders. ``compare`` raises ``AssertionError``
    where results differ. ``wait`` says when a result is waited for: after each call, or after many, which leaves the
    cost of the call alone. ``large`` workloads run where asked for.
    """

    name: str
    what: str
    make: Callable[[bool], Contenders]
    compare: Compare = TIGHT
    wait: Literal["call", "sample"] = "call"
    large: bool = False
