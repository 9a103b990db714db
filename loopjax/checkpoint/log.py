"""``"log"``: as many states as the length has digits, times a constant."""

from __future__ import annotations

import math
from dataclasses import dataclass

from loopjax.checkpoint.nesting import least_recomputation
from loopjax.ir.schedule import Body, Nest, Schedule, named


@named("log")
@dataclass(frozen=True)
class Log(Schedule):
    """At most ``4 log2(n)`` states at one time (3 for one step), with the least recomputation."""

    def nest(self, n_steps: int, body: Body) -> Nest:
        found = least_recomputation(n_steps, max(math.floor(4 * math.log2(n_steps)), 3))
        assert found is not None
        return found

    def __str__(self) -> str:
        return "log"
