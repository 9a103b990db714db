"""Results of a workload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from benchmarks.spread import Spread

Kind = Literal["ok", "fails", "differs", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """Outcome of one contender, with figures if it succeeded.

    ``milliseconds`` is the time of a compiled call, ``first_milliseconds`` the time from a fresh build to the first
    result, and ``front`` the share of it before XLA compiles: tracing, rewriting and lowering. ``temporaries`` are
    bytes for each stage that XLA compiled; ``peak`` is the growth in bytes of a separate process.
    """

    kind: Kind
    message: str = ""
    milliseconds: Spread | None = None
    first_milliseconds: Spread | None = None
    front: float | None = None
    compilations: int | None = None
    temporaries: tuple[int, ...] | None = None
    peak: int | None = None

    @property
    def wrong(self) -> bool:
        return self.kind in ("fails", "differs")

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> Outcome:
        spreads = {name: _spread(saved[name]) for name in ("milliseconds", "first_milliseconds")}
        temporary = saved["temporaries"]
        return Outcome(**{**saved, **spreads, "temporaries": None if temporary is None else tuple(temporary)})


@dataclass(frozen=True)
class Record:
    """Outcomes of a workload's contenders, and ratios of LoopJAX's time to each of the others."""

    name: str
    what: str
    size: Literal["quick", "full"]
    date: str
    outcomes: Mapping[str, Outcome]
    ratios: Mapping[str, Spread] = field(default_factory=dict)
    first_ratios: Mapping[str, Spread] = field(default_factory=dict)

    @property
    def wrong(self) -> bool:
        return any(outcome.wrong for outcome in self.outcomes.values())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> Record:
        ratios = {
            kind: {name: Spread(**one) for name, one in saved[kind].items()} for kind in ("ratios", "first_ratios")
        }
        outcomes = {name: Outcome.from_json(one) for name, one in saved["outcomes"].items()}
        return Record(**{**saved, **ratios, "outcomes": outcomes})


def _spread(saved: Mapping[str, Any] | None) -> Spread | None:
    return None if saved is None else Spread(**saved)
