"""Results as JSON files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.environment import environment, label
from benchmarks.record import Record

FOLDER = Path(__file__).parent / "results"


def default_path(quick: bool) -> Path:
    """One file for each kind of device and release of JAX; quick runs in one of their own."""
    return FOLDER / f"{label()}{'-quick' if quick else ''}.json"


def save(records: Sequence[Record], path: Path) -> None:
    """Writes the records; those of other workloads that the file holds from the same environment stay."""
    where = environment()
    kept = [old for old in _read(path, where) if old["name"] not in {record.name for record in records}]
    workloads = [*kept, *(record.as_json() for record in records)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"environment": where, "workloads": workloads}, indent=1) + "\n")


def _read(path: Path, where: dict[str, str | int]) -> list[Any]:
    if not path.exists():
        return []
    found = json.loads(path.read_text())
    return list(found["workloads"]) if found["environment"] == where else []
