"""``Every``: the state every so many steps."""

from __future__ import annotations

from dataclasses import dataclass

from loopjax.ir.schedule import Body, Box, Nest, Schedule, named

APART = 8
"""Steps of a stretch up to which its last one is compiled apart, which saves computing that one in N of them again."""


@named("every")
@dataclass(frozen=True)
class Every(Schedule):
    """Stores the state every ``steps`` steps, and computes those between again for the gradient.

    Of ``n`` steps about ``n / steps + steps`` states exist at one time, at most ``n + 5``. The steps of one stretch are
    computed again once and store their states and products; what is elementwise is then computed again from those.
    ``steps`` is an int of at least 1; ``ValueError`` otherwise. An int given as ``checkpoint`` means the same.
    """

    steps: int

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise ValueError(f"Every takes an int of at least 1, got {self.steps!r}")

    def nest(self, n_steps: int, body: Body) -> Nest:
        whole, rest = divmod(n_steps, self.steps)
        boxes = [_stretches(whole, self.steps)] if whole else []
        if rest:
            boxes.append(_stretches(1, rest))
        return Nest(tuple(boxes), keep="products")

    def __str__(self) -> str:
        return f"every {self.steps} steps"


def _stretches(count: int, steps: int) -> Box:
    """So many stretches of so many steps."""
    sizes = tuple(size for size in (count, steps) if size > 1) or (1,)
    return Box(sizes, apart=len(sizes) > 1 and steps <= APART)
