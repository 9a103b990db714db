"""``Every``: the state every so many steps."""

from __future__ import annotations

from dataclasses import dataclass

from loopjax.trace.schedule import Body, Box, Nest, Schedule, named


@named("every")
@dataclass(frozen=True)
class Every(Schedule):
    """Stores the state every ``steps`` steps, and computes those between again for the gradient.

    Of ``n`` steps about ``n / steps + steps`` states exist at one time, at most ``n + 3``. The steps of one stretch are
    computed again once and store what they compute, or where that would be more than the states stored, twice and
    store their states.
    ``steps`` is an int of at least 1; ``ValueError`` otherwise. An int given as ``checkpoint`` means the same.
    """

    steps: int

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise ValueError(f"Every takes an int of at least 1, got {self.steps!r}")

    def nest(self, n_steps: int, body: Body) -> Nest:
        whole, rest = divmod(n_steps, self.steps)
        together = self.steps * body.step <= whole * body.state
        boxes = [_stretches(whole, self.steps, together)] if whole else []
        if rest:
            boxes.append(_stretches(1, rest, together))
        return Nest(tuple(boxes), keep="products")

    def __str__(self) -> str:
        return f"every {self.steps} steps"


def _stretches(count: int, steps: int, together: bool) -> Box:
    """So many stretches, whose steps store what they compute ``together``, or their states."""
    if together or steps == 1:
        return Box((count,), steps)
    return Box((count, steps)) if count > 1 else Box((steps,))
