"""The printed table of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import geometric_mean
from typing import NamedTuple

from benchmarks.outside import OTHERS
from benchmarks.record import Outcome, Record
from benchmarks.run import OURS, OWN
from benchmarks.spread import Spread
from benchmarks.table import NOTHING, Layout

RIVALS = ("plain", "tuned", *OTHERS)


class Column(NamedTuple):
    head: str
    cell: Callable[[Record], str]


def report(records: Sequence[Record], layout: Layout) -> str:
    """Table and notes."""
    return f"{table(records, layout)}\n\n{notes(records)}"


def table(records: Sequence[Record], layout: Layout) -> str:
    """Table with one row per workload; a column without numbers is left out.

    Several numbers in a cell belong to LoopJAX, plain, tuned and the others; a ratio is LoopJAX over the other, with
    its quartiles. ``before XLA``: the share of LoopJAX's first result that is tracing, rewriting and lowering.
    """
    columns = {column.head: list(map(column.cell, records)) for column in COLUMNS}
    shown = {head: cells for head, cells in columns.items() if set("".join(cells)) - {*f"{NOTHING} /"}}
    return layout(list(shown), list(zip(*shown.values(), strict=True)))


def notes(records: Sequence[Record]) -> str:
    """Notes on failures and skipped contenders, and the geometric means."""
    lines = [
        f"{record.name}: {name} {outcome.kind}: {outcome.message}"
        for record in records
        for name, outcome in record.outcomes.items()
        if outcome.wrong
    ]
    skipped: dict[str, list[str]] = {}
    for record in records:
        for name, outcome in record.outcomes.items():
            if outcome.kind == "skipped":
                skipped.setdefault(f"{name}: skipped, {outcome.message}", []).append(record.name)
    lines += [text if len(names) == len(records) else f"{text}: {', '.join(names)}" for text, names in skipped.items()]
    for name in RIVALS:
        ratios = [record.ratios[name].median for record in records if name in record.ratios]
        if ratios:
            lines.append(f"geometric mean of loopjax/{name} over {len(ratios)} workloads: {geometric_mean(ratios):.2f}")
    return "\n".join(lines)


def _time(name: str) -> Callable[[Record], str]:
    def cell(record: Record) -> str:
        outcome = record.outcomes.get(name)
        if outcome is None or outcome.kind == "skipped":
            return NOTHING
        return _milliseconds(outcome.milliseconds) if outcome.kind == "ok" else outcome.kind

    return cell


def _milliseconds(value: Spread | None) -> str:
    return NOTHING if value is None else f"{value.median:.3g}" if value.median < 100 else f"{value.median:.0f}"


def _ratio(name: str) -> Callable[[Record], str]:
    def cell(record: Record) -> str:
        value = record.ratios.get(name)
        return NOTHING if value is None else f"{value.median:.2f} ({value.low:.2f}-{value.high:.2f})"

    return cell


def _first_ratio(name: str) -> Callable[[Record], str]:
    def cell(record: Record) -> str:
        value = record.first_ratios.get(name)
        return NOTHING if value is None else f"{value.median:.2f}"

    return cell


def _each(cell: Callable[[Outcome], str], names: Sequence[str] = OWN) -> Callable[[Record], str]:
    def cells(record: Record) -> str:
        return " / ".join(cell(record.outcomes[name]) for name in names if name in record.outcomes)

    return cells


def _front(outcome: Outcome) -> str:
    return NOTHING if outcome.front is None else f"{outcome.front:.0%}"


def _number(value: int | None) -> str:
    return NOTHING if value is None else str(value)


def _bytes(sizes: Iterable[int] | None) -> str:
    """Largest size as text, since stages run in sequence."""
    if sizes is None:
        return NOTHING
    size = float(max(sizes, default=0))
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.3g}{unit}"
        size /= 1000
    return f"{size:.3g}GB"


COLUMNS = (
    Column("workload", lambda record: record.name),
    *(Column(f"{name} ms", _time(name)) for name in (*OWN, *OTHERS)),
    *(Column(f"/{name}", _ratio(name)) for name in RIVALS),
    Column("first result ms", _each(lambda outcome: _milliseconds(outcome.first_milliseconds), (*OWN, *OTHERS))),
    *(Column(f"first /{name}", _first_ratio(name)) for name in RIVALS),
    Column("before XLA", _each(_front, (OURS,))),
    Column("temporaries", _each(lambda outcome: _bytes(outcome.temporaries))),
    Column("process grows by", _each(lambda o: _bytes(None if o.peak is None else (o.peak,)), (*OWN, *OTHERS))),
    Column("compilations", _each(lambda outcome: _number(outcome.compilations))),
)
