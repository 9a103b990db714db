"""``Every``: the state every so many steps."""

from __future__ import annotations

from dataclasses import dataclass

from loopjax.trace.schedule import Body, Box, Nest, Schedule, named


@named("every")
@dataclass(frozen=True)
class Every(Schedule):
    """Stores the state every ``steps`` steps, and computes those between again for the gradient.

    Of ``n`` steps about ``n / steps + steps`` states exist at one time. The steps of one stretch are computed again
    once and store what they compute, or where that would be more than the states stored, twice and store their states.
    ``steps`` is an int of at least 1; ``ValueError`` otherwise. An int given as ``checkpoint`` means the same.
    """

    steps: int

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise ValueError(f"Every takes an int of at least 1, got {self.steps!r}")

    def nest(self, n_steps: int, body: Body) -> Nest:
        whole, rest = divmod(n_steps, self.steps)
        together = self.steps * body.step <= whole * body.state
        return Nest(
            (
                *([self._box(whole, self.steps, together)] if whole else []),
                *([self._box(1, rest, together)] if rest else []),
            ),
            keep="products",
        )

    def _box(self, stretches: int, steps: int, together: bool) -> Box:
        if together or steps == 1:
            return Box((stretches,), steps)
        return Box((stretches, steps)) if stretches > 1 else Box((steps,))

    def __str__(self) -> str:
        return f"every {self.steps} steps"
