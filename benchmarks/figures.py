"""Target figures, as rules over the measurements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import geometric_mean
from typing import Any, NamedTuple

from benchmarks.growth import Growth, Point, steepest
from benchmarks.record import Outcome, Record
from benchmarks.run import OURS
from benchmarks.table import NOTHING, Layout

Records = Mapping[str, Record]
Growths = Mapping[str, Growth]
Values = Callable[[Any], Mapping[str, float]]
"""Function of ``Records`` or ``Growths`` to a number for each workload that has one."""

LAST_ONLY = frozenset({"power-wide", "power-narrow", "gibbs-10", "ode"}).__contains__

STATE = 8 * 20_000
"""Bytes of one state of the checkpoint workloads."""


class Figure(NamedTuple):
    """Target figure: at most ``most`` on every workload, or in the geometric mean."""

    what: str
    most: float
    values: Values
    mean: bool = False


class Reached(NamedTuple):
    """A figure and its measurement: ``value`` is the mean or the worst, ``short`` the workloads above the figure."""

    figure: Figure
    value: float | None
    short: Mapping[str, float]

    @property
    def answer(self) -> str:
        if self.value is None:
            return "not measured"
        return "yes" if self.value <= self.figure.most else "no"


def judged(records: Sequence[Record], growths: Sequence[Growth]) -> list[Reached]:
    """Compare each figure with these measurements."""
    of_records = {record.name: record for record in records}
    of_growths = {growth.name: growth for growth in growths}
    return [
        *(_reached(figure, figure.values(of_records)) for figure in FIGURES),
        *(_reached(figure, figure.values(of_growths)) for figure in GROWTH),
    ]


def _reached(figure: Figure, values: Mapping[str, float]) -> Reached:
    if not values:
        return Reached(figure, None, {})
    short = {name: value for name, value in values.items() if value > figure.most}
    if figure.mean:
        return Reached(figure, geometric_mean(values.values()), {})
    return Reached(figure, max(values.values()), dict(sorted(short.items(), key=lambda item: -item[1])))


def report(records: Sequence[Record], growths: Sequence[Growth], layout: Layout) -> str:
    """Table with one row per figure."""
    return _table(judged(records, growths), layout)


def report_set(records: Sequence[Record], layout: Layout) -> str:
    """Table with one row per figure of the applications."""
    named = {record.name: record for record in records}
    return _table([_reached(figure, figure.values(named)) for figure in APPLICATIONS], layout)


def _table(found: Sequence[Reached], layout: Layout) -> str:
    rows = [
        (
            reached.figure.what,
            f"{reached.figure.most:.4g}",
            NOTHING if reached.value is None else f"{reached.value:.3g}",
            reached.answer,
            ", ".join(f"{name} {value:.3g}" for name, value in reached.short.items()),
        )
        for reached in found
    ]
    return layout(("figure", "at most", "measured", "reached", "where not"), rows)


def _is_call(name: str) -> bool:
    return name.startswith("small-call")


def _time(rival: str) -> Values:
    """LoopJAX's time over the rival's. Without a tuned contender, plain JAX is the fastest that is known."""

    def values(records: Records) -> Mapping[str, float]:
        found = {}
        for name, record in records.items():
            ratio = record.ratios.get(rival) or (record.ratios.get("plain") if rival == "tuned" else None)
            if ratio is not None and not _is_call(name):
                found[name] = ratio.median
        return found

    return values


def _first(rival: str) -> Values:
    def values(records: Records) -> Mapping[str, float]:
        return {
            name: record.first_ratios[rival].median for name, record in records.items() if rival in record.first_ratios
        }

    return values


def _front(records: Records) -> Mapping[str, float]:
    fronts = {name: record.outcomes[OURS].front for name, record in records.items() if OURS in record.outcomes}
    return {name: front for name, front in fronts.items() if front is not None}


def _calls(records: Records) -> Mapping[str, float]:
    return {name: r.ratios["plain"].median for name, r in records.items() if _is_call(name) and "plain" in r.ratios}


def _over_plain(*names: str) -> Values:
    """LoopJAX's time over plain JAX's, for these workloads only."""
    times = _time("plain")
    return lambda records: {name: value for name, value in times(records).items() if name in names}


def _ours(name: str, value: Callable[[Outcome], float | None]) -> Values:
    """Number computed from LoopJAX's outcome of one workload."""

    def values(records: Records) -> Mapping[str, float]:
        outcome = records[name].outcomes.get(OURS) if name in records else None
        found = None if outcome is None else value(outcome)
        return {} if found is None else {name: found}

    return values


def _milliseconds(outcome: Outcome) -> float | None:
    return None if outcome.milliseconds is None else outcome.milliseconds.median


def _states(outcome: Outcome) -> float | None:
    return None if outcome.temporaries is None else max(outcome.temporaries) / STATE


def _compilations(outcome: Outcome) -> float | None:
    return None if outcome.compilations is None else float(outcome.compilations)


def _deep_over_shallow(suffix: str) -> Values:
    def values(records: Records) -> Mapping[str, float]:
        deep, shallow = (_ours(f"deep-taps-{depth}{suffix}", _milliseconds)(records) for depth in (1_000, 10))
        return {f"deep-taps-1000{suffix}": max(deep.values()) / max(shallow.values())} if deep and shallow else {}

    return values


FIGURES = (
    Figure("time over plain JAX", 1.05, _time("plain")),
    Figure("time over plain JAX, geometric mean", 0.4, _time("plain"), mean=True),
    Figure("time over tuned JAX", 1.05, _time("tuned")),
    Figure("time over tuned JAX, geometric mean", 1.0, _time("tuned"), mean=True),
    Figure("time over PyTensor", 1.0, _time("pytensor")),
    Figure("time over PyTensor, geometric mean", 1 / 3, _time("pytensor"), mean=True),
    Figure("time over Aesara", 1.0, _time("aesara")),
    Figure("time over Aesara, geometric mean", 1 / 20, _time("aesara"), mean=True),
    Figure("first result over PyTensor", 0.1, _first("pytensor")),
    Figure("first result over Aesara", 0.1, _first("aesara")),
    Figure("first result over plain JAX", 1.5, _first("plain")),
    Figure("first result over tuned JAX", 1.5, _first("tuned")),
    Figure("tracing, rewriting and lowering, share of the first result", 0.3, _front),
    Figure("a call over jax.jit's own", 1.3, _calls),
    Figure("cost and gradients over jax.value_and_grad", 1.05, _over_plain("value-and-grad")),
    Figure("tap -1,000 over tap -10, forward", 1.5, _deep_over_shallow("")),
    Figure("tap -1,000 over tap -10, gradient", 3.0, _deep_over_shallow("-grad")),
    Figure("checkpoint 'sqrt': states of 2,000 steps", 100, _ours("checkpoint-sqrt", _states)),
    Figure("checkpoint 'sqrt': time over plain JAX", 1.0, _over_plain("checkpoint-sqrt")),
    Figure("checkpoint Budget(states=41): states", 41, _ours("checkpoint-budget", _states)),
    Figure("checkpoint Budget(states=41): time over plain JAX", 2.0, _over_plain("checkpoint-budget")),
    Figure("checkpoint 'log': states, 4 log2 of 2,000", 43.9, _ours("checkpoint-log", _states)),
    Figure("compilations for 1,000 lengths up to 1e6", 12, _ours("varying-length-large", _compilations)),
    Figure("the same, last value read", 1, _ours("varying-length-last-large", _compilations)),
)

APPLICATIONS = (
    Figure("time over plain JAX", 1.05, _time("plain")),
    Figure("time over plain JAX, geometric mean", 0.7, _time("plain"), mean=True),
    Figure("time over tuned JAX, geometric mean", 1.3, _time("tuned"), mean=True),
    Figure("first result over plain JAX", 1.5, _first("plain")),
    Figure("time over PyTensor, geometric mean", 1 / 3, _time("pytensor"), mean=True),
)
"""Figures of a set of the applications."""


def _grown(value: Callable[[Sequence[Point]], float | None], only: Callable[[str], bool] = lambda name: True) -> Values:
    """Number computed from LoopJAX's growth with the steps."""

    def values(growths: Growths) -> Mapping[str, float]:
        found = {name: value(growth.points[OURS]) for name, growth in growths.items() if only(name)}
        return {name: number for name, number in found.items() if number is not None}

    return values


def _building(points: Sequence[Point]) -> float:
    return points[-1].build_milliseconds / points[0].build_milliseconds


def _temporaries(points: Sequence[Point]) -> float | None:
    first, last = points[0].temporaries, points[-1].temporaries
    return None if first is None or last is None else last / max(1, first)


GROWTH = (
    Figure("time of a call over the steps, from one size to the next ten times larger", 1.3, _grown(steepest)),
    Figure("tracing and compiling, most steps over fewest", 1.3, _grown(_building)),
    Figure("temporaries where the last value is read, most steps over fewest", 1.0, _grown(_temporaries, LAST_ONLY)),
)
