"""Result files in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from benchmarks.environment import environment, label

FOLDER = Path(__file__).parent / "results"

Found = TypeVar("Found")


class Saved(Protocol):
    """A workload's result that can be saved."""

    @property
    def name(self) -> str: ...

    def as_json(self) -> dict[str, Any]: ...


def default_path(what: str, quick: bool) -> Path:
    """Path of the results for this kind of device, JAX release and measurement; quick runs have a separate file."""
    return FOLDER / f"{label()}{what}{'-quick' if quick else ''}.json"


def save(records: Sequence[Saved], path: Path) -> None:
    """Write the records; the file keeps records of other workloads from the same environment."""
    where = environment()
    kept = [old for old in _read(path, where) if old["name"] not in {record.name for record in records}]
    workloads = [*kept, *(record.as_json() for record in records)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"environment": where, "workloads": workloads}, indent=1) + "\n")


def load(path: Path, read: Callable[[Mapping[str, Any]], Found]) -> list[Found]:
    """Records of a file, from any environment; empty if there is no file."""
    return [read(saved) for saved in json.loads(path.read_text())["workloads"]] if path.exists() else []


def _read(path: Path, where: dict[str, str | int]) -> list[Any]:
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    return list(found["workloads"]) if found["environment"] == where else []
