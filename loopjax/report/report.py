"""``Report``: what ``explain`` returns, the loops of a function as text and as a picture."""

from __future__ import annotations

import os
import pathlib
from typing import NamedTuple

from loopjax.errors import check_integer, here
from loopjax.report.loops import LoopReport, quantity


class Report(NamedTuple):
    """The loops of each stage of a function; prints as text, and shows as a picture in a notebook.

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

    @property
    def _lines(self) -> list[str]:
        """Remarks, and what tuning measured."""
        return [*self.remarks, *(line.strip() for tuning in self.tuning for line in tuning)]

    def _repr_html_(self) -> str:
        from loopjax.report.svg import html, picture  # pictures are a part of the package's import time

        return html(self.title, self._lines, picture(self.stages))

    def save(self, file: str | os.PathLike[str], width: int = 860) -> None:
        """Writes the picture of the loops to an SVG file, which follows light and dark pages.

        Parameters
        ----------
        file
            The file, such as ``"plan.svg"``.
        width
            Pixels that may be used: a column of loops takes 420. 400 gives one column, for a narrow page.

        Raises
        ------
        ValueError
            ``file`` does not end in ``.svg``.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import loopjax
        >>> import loopjax.tensor as at
        >>> x = at.dvector("x")
        >>> f = loopjax.function([x], loopjax.map(lambda row: row * 2, x)[0])
        >>> _ = f([1.0, 2.0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     loopjax.explain(f).save(pathlib.Path(folder) / "plan.svg")
        """
        from loopjax.report.svg import picture, svg

        path = pathlib.Path(file)
        if path.suffix != ".svg":
            raise ValueError(
                f"file is {str(file)!r}; expected a name that ends in .svg, write save('plan.svg'){here()}"
            )
        check_integer("width", width, 1)
        path.write_text(svg(self.title, self._lines, picture(self.stages), width), encoding="utf-8")
