"""The printed table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmarks.outside import OTHERS
from benchmarks.record import Outcome, Record
from benchmarks.spread import Spread

OWN = ("loopjax", "plain", "tuned")
RIVALS = ("plain", "tuned")
NOTHING = "-"

HEAD = (
    "workload",
    *(f"{name} ms" for name in OWN),
    *(f"/{name}" for name in RIVALS),
    "first result ms",
    *(f"first /{name}" for name in RIVALS),
    "temporaries",
    "compilations",
)


def table(records: Sequence[Record]) -> str:
    """One row a workload; triples are LoopJAX, plain, tuned; a ratio is LoopJAX over the other, with its quartiles."""
    rows = [HEAD, *(_row(record) for record in records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def notes(records: Sequence[Record]) -> str:
    """What went wrong, what was skipped, and the geometric means."""
    lines = [
        f"{record.name}: {name} {outcome.kind}: {outcome.message}"
        for record in records
        for name, outcome in record.outcomes.items()
        if outcome.wrong
    ]
    skipped = {
        name: outcome.message for record in records for name, outcome in record.outcomes.items() if name in OTHERS
    }
    lines += [f"{name}: skipped, {message}" for name, message in skipped.items()]
    for name in RIVALS:
        ratios = [record.ratios[name].median for record in records if name in record.ratios]
        if ratios:
            lines.append(f"geometric mean of loopjax/{name} over {len(ratios)} workloads: {_geometric(ratios):.2f}")
    return "\n".join(lines)


def _row(record: Record) -> tuple[str, ...]:
    own = [record.outcomes.get(name) for name in OWN]
    return (
        record.name,
        *(_time(outcome) for outcome in own),
        *(_ratio(record.ratios.get(name)) for name in RIVALS),
        _triple(_milliseconds(o.first_milliseconds) for o in own if o is not None),
        *(_plain_ratio(record.first_ratios.get(name)) for name in RIVALS),
        _triple(_bytes(o.temporaries) for o in own if o is not None),
        _triple(NOTHING if o.compilations is None else str(o.compilations) for o in own if o is not None),
    )


def _time(outcome: Outcome | None) -> str:
    if outcome is None:
        return NOTHING
    return _milliseconds(outcome.milliseconds) if outcome.kind == "ok" else outcome.kind


def _milliseconds(value: Spread | None) -> str:
    return NOTHING if value is None else f"{value.median:.3g}" if value.median < 100 else f"{value.median:.0f}"


def _ratio(value: Spread | None) -> str:
    return NOTHING if value is None else f"{value.median:.2f} ({value.low:.2f}-{value.high:.2f})"


def _plain_ratio(value: Spread | None) -> str:
    return NOTHING if value is None else f"{value.median:.2f}"


def _bytes(sizes: Sequence[int] | None) -> str:
    """The largest stage's, since stages run one after the other."""
    if sizes is None:
        return NOTHING
    size = float(max(sizes, default=0))
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.3g}{unit}"
        size /= 1000
    return f"{size:.3g}GB"


def _triple(cells: Iterable[str]) -> str:
    return " / ".join(cells)


def _geometric(values: Sequence[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values))
