"""Tables as aligned text or Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Layout = Callable[[Sequence[str], Sequence[Sequence[str]]], str]
"""Function from a head and rows of cells to text."""

NOTHING = "-"


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Text in columns."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    )


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
