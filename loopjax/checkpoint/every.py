"""``Every``: the state every N steps."""

from __future__ import annotations

from dataclasses import dataclass

from loopjax.errors import coded
from loopjax.ir.schedule import Body, Box, Nest, Schedule, named

APART = 8
"""Length of a stretch up to which its last step is compiled apart, which saves recomputing that step: one in N."""


@named("every")
@dataclass(frozen=True)
class Every(Schedule):
    """The state every ``steps`` steps; the steps in between are recomputed for the gradient.

    For ``n`` steps about ``n / steps + steps`` states exist at one time, at most ``n + 5``. The steps of one stretch
    are recomputed once and store their states and products; what is elementwise is then recomputed from those. An int
    as ``checkpoint`` means the same.

    Parameters
    ----------
    steps : int
        The distance of stored states, at least 1.

    Raises
    ------
    ValueError
        ``steps`` is no int of at least 1.

    Examples
    --------
    >>> import loopjax
    >>> from loopjax.checkpoint import Every
    >>> h, _ = loopjax.scan(lambda h: 2 * h, outputs_info=1, n_steps=10, checkpoint=Every(3))
    >>> int(h[-1].eval())
    1024
    """

    steps: int

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise coded(ValueError, "LJ117")(f"Every takes an int of at least 1, got {self.steps!r}")

    def nest(self, n_steps: int, body: Body) -> Nest:
        whole, rest = divmod(n_steps, self.steps)
        boxes = [_stretches(whole, self.steps)] if whole else []
        if rest:
            boxes.append(_stretches(1, rest))
        return Nest(tuple(boxes), keep="products")

    def __str__(self) -> str:
        return f"every {self.steps} steps"


def _stretches(count: int, steps: int) -> Box:
    """Return ``count`` stretches of ``steps`` steps."""
    sizes = tuple(size for size in (count, steps) if size > 1) or (1,)
    return Box(sizes, apart=len(sizes) > 1 and steps <= APART)
