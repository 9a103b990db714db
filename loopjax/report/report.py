"""``Report``: what ``explain`` returns, the loops of a function as text and, in a notebook, as HTML."""

from __future__ import annotations

from typing import NamedTuple

from loopjax.report.html import render
from loopjax.report.loops import LoopReport, quantity


class Report(NamedTuple):
    """The loops of each stage of a function; prints as text, and shows as HTML in a notebook.

    ``room``: which lengths have room for more rows, so that one program serves many; ``exact``: the ops that need a
    length as it is, so that each length is compiled for. ``tuning``: for each stage, what was measured and chosen.
    ``still``: random streams that are drawn from and never advanced.
    """

    name: str
    stages: tuple[tuple[LoopReport, ...], ...]
    room: str = ""
    exact: tuple[str, ...] = ()
    tuning: tuple[tuple[str, ...], ...] = ()
    still: tuple[str, ...] = ()

    @property
    def loops(self) -> tuple[LoopReport, ...]:
        """All loops, the outer before the inner."""
        return tuple(loop for stage in self.stages for loop in stage)

    @property
    def title(self) -> str:
        return f"{self.name}: {quantity(len(self.stages), 'stage')}, {quantity(len(self.loops), 'loop')}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks on the program as a whole."""
        return (*((f"room is made for {self.room}",) if self.room else ()), *self.exact, *self.still)

    def __str__(self) -> str:
        lines = [self.title]
        for number, (stage, tuning) in enumerate(zip(self.stages, self.tuning, strict=True), start=1):
            if len(self.stages) > 1:
                lines.append(f"stage {number}:")
            lines += [*map(str, stage), *tuning]
        return "\n".join([*lines, *self.remarks])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return render(self.title, self.stages, self.tuning, self.remarks)
