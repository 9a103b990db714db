"""Results as JSON files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from benchmarks.environment import environment, label

FOLDER = Path(__file__).parent / "results"

Found = TypeVar("Found")


class Saved(Protocol):
    """What was measured of a workload."""

    @property
    def name(self) -> str: ...

    def as_json(self) -> dict[str, Any]: ...


def default_path(what: str, quick: bool) -> Path:
    """One file for each kind of device and release of JAX, and of measurement; quick runs in one of their own."""
    return FOLDER / f"{label()}{what}{'-quick' if quick else ''}.json"


def save(records: Sequence[Saved], path: Path) -> None:
    """Writes the records; those of other workloads that the file holds from the same environment stay."""
    where = environment()
    kept = [old for old in _read(path, where) if old["name"] not in {record.name for record in records}]
    workloads = [*kept, *(record.as_json() for record in records)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"environment": where, "workloads": workloads}, indent=1) + "\n")


def load(path: Path, read: Callable[[Mapping[str, Any]], Found]) -> list[Found]:
    """The records of a file, of whatever environment; none where there is no file."""
    return [read(saved) for saved in json.loads(path.read_text())["workloads"]] if path.exists() else []


def _read(path: Path, where: dict[str, str | int]) -> list[Any]:
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    return list(found["workloads"]) if found["environment"] == where else []
