"""``"log"`` and ``"sqrt"``: states in proportion to the logarithm of the length (Griewank 1992), or to its square root
(Chen et al. 2016)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from loopjax.checkpoint.nesting import least_recomputation
from loopjax.ir.schedule import Body, Nest, Schedule, named


@named("log")
@dataclass(frozen=True)
class Log(Schedule):
    """At most ``4 log2(n)`` states at one time (3 for one step), with the least recomputation.

    Examples
    --------
    >>> import loopjax
    >>> h, _ = loopjax.scan(lambda h: 2 * h, outputs_info=1, n_steps=10, checkpoint="log")
    >>> int(h[-1].eval())
    1024
    """

    def nest(self, n_steps: int, body: Body) -> Nest:
        found = least_recomputation(n_steps, max(math.floor(4 * math.log2(n_steps)), 3))
        assert found is not None
        return found

    def __str__(self) -> str:
        return "log"


@named("sqrt")
@dataclass(frozen=True)
class Sqrt(Schedule):
    """At most ``2 ceil(sqrt(n)) + 3`` states at one time, each step recomputed twice at most.

    Examples
    --------
    >>> import loopjax
    >>> h, _ = loopjax.scan(lambda h: 2 * h, outputs_info=1, n_steps=10, checkpoint="sqrt")
    >>> int(h[-1].eval())
    1024
    """

    def nest(self, n_steps: int, body: Body) -> Nest:
        found = least_recomputation(n_steps, 2 * (math.isqrt(n_steps - 1) + 1) + 3)
        assert found is not None
        return found

    def __str__(self) -> str:
        return "sqrt"
