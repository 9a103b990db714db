"""Tables of PyTensor programs and PyMC models: ``python -m benchmarks.pytensor programs|models|table``.

``programs`` and ``models`` compile each row in each mode, in a process of its own with a limit of time, compare what it
computes with PyTensor's reference (``FAST_COMPILE``), and time calls of all modes in turns: the time of a mode is the
least over the rounds. A part that a mode refuses, or that takes longer than the limit, says so. With ``--save`` each
row is written as soon as it is there, and ``--missing`` goes on where a run was stopped.

``table`` prints what `docs/pytensor.md` shows of the files.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np

from benchmarks.environment import environment, label
from benchmarks.pytensor.worker import PARTS, SAMPLED, Worker
from benchmarks.table import markdown

RESULTS = Path(__file__).parents[1] / "results"

MODES = ("LoopJAX", "JAX", "Numba", "C")
"""The columns; the others are modes of PyTensor."""

Row = dict[str, dict[str, dict[str, Any]]]
"""From parts to modes to what was measured."""


def error(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """The greatest difference, relative where values are greater than 1."""
    pairs = [(np.asarray(one, float), np.asarray(other, float)) for one, other in zip(found, expected, strict=True)]
    return max(float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b)), initial=0.0)) for a, b in pairs)


def measured(kind: str, name: str, modes: Sequence[str], options: argparse.Namespace) -> Row:
    """A row: each part of a program or model in each mode."""
    row: Row = {part: {} for part in PARTS[kind] if part in options.parts}
    workers = {mode: Worker(kind, name, mode, options.core) for mode in ("Reference", *modes)}
    try:
        whole = workers["Reference"].build("gradient", 600)["values"]
        expected = {"value": whole[:1], "gradient": whole, "sampler": whole}
        for part in row:
            for mode in modes:
                if part != "sampler" or mode in SAMPLED:
                    workers[mode] = _restarted(workers[mode], kind, name, mode, row, options)
                    workers[mode].start(part)
                    row[part][mode] = {}
            for mode, cell in row[part].items():
                cell.update(workers[mode].built(options.limit))
                if "values" in cell:
                    cell["error"] = error(cell.pop("values"), expected[part])
        with _alone(options.lock):
            for part, cells in row.items():
                _time_in_turns(workers, part, cells, options)
    finally:
        for worker in workers.values():
            worker.close()
    return row


def _restarted(worker: Worker, kind: str, name: str, mode: str, row: Row, options: argparse.Namespace) -> Worker:
    """The worker, or where it was stopped a new one that has compiled what the first had."""
    if worker.alive:
        return worker
    started = Worker(kind, name, mode, options.core)
    for part, cells in row.items():
        if "error" in cells.get(mode, {}):
            started.build(part, options.limit)
    return started


def _time_in_turns(
    workers: dict[str, Worker], part: str, cells: dict[str, dict[str, Any]], options: argparse.Namespace
) -> None:
    """Add the least times of calls; each round has a few calls in each mode."""
    times: dict[str, list[float]] = {mode: [] for mode, cell in cells.items() if "error" in cell}
    for turn in range(options.rounds):
        for mode in list(times) if turn % 2 else list(reversed(times)):
            seconds = workers[mode].seconds(part, options.limit) if workers[mode].alive else None
            if seconds is None:
                del times[mode]
                cells[mode].update(refused="time limit", text=f"calls did not end within {options.limit:.0f} s")
            else:
                times[mode].append(seconds)
    for mode, calls in times.items():
        cells[mode]["call_ms"] = 1e3 * min(calls)


@contextlib.contextmanager
def _alone(lock: Path | None) -> Iterator[None]:
    """Hold a file's lock, so that no other measurement on this machine runs."""
    if lock is None:
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _environment() -> tuple[str, dict[str, Any]]:
    versions = {one: version(one) for one in ("pytensor", "pymc", "numba")}
    return label(), {**environment(), **versions}


def path_of(kind: str, name: str) -> Path:
    """The file of results of a kind of device and a version of JAX."""
    return RESULTS / f"{name}-pytensor-{kind}.json"


def rows_of(path: Path) -> dict[str, Row]:
    """The rows of a file; none where there is no file."""
    return dict(json.loads(path.read_text())["rows"]) if path.exists() else {}


def cell(found: dict[str, Any] | None, times: float = 1) -> str:
    """What was measured of one part in one mode."""
    if found is None:
        return "-"
    if "refused" in found:
        return f"refuses ({found['refused']})"
    return f"{found['error']:.0e}, {found['first_s']:.1f} s, {found['call_ms']:.3g} ms"


def ratios(rows: dict[str, Row], part: str, other: str) -> dict[str, float]:
    """LoopJAX's time of a call over that of another mode, for the rows that both run."""
    cells = {name: row.get(part, {}) for name, row in rows.items()}
    times = {name: [cell.get(mode, {}).get("call_ms") for mode in ("LoopJAX", other)] for name, cell in cells.items()}
    return {name: ours / others for name, (ours, others) in times.items() if ours and others}


def summary(rows: dict[str, Row], parts: Sequence[str]) -> str:
    """The geometric mean and the greatest ratio, for each part and mode."""
    lines = []
    for part, other in product(parts, MODES[1:]):
        found = ratios(rows, part, other)
        if found:
            worst = max(found, key=lambda name: found[name])
            lines.append(
                [f"{part}, over {other}", str(len(found)), f"{geometric_mean(found.values()):.2f}"]
                + [f"{found[worst]:.2f} ({worst})"]
            )
    return markdown(["time of a call", "rows", "geometric mean", "worst"], lines)


REASONS = {"time limit": "limit", "process ended": "ended"}


def table(rows: dict[str, Row], part: str) -> str:
    """A table of one part: the time to the first result and of a call in each mode, and LoopJAX over JAX."""

    def figures(found: dict[str, Any] | None) -> str:
        if found is None:
            return "-"
        if "refused" in found:
            return REASONS.get(found["refused"], found["refused"])
        return f"{found['first_s']:.1f} s, {1e3 * found['call_ms']:.4g}"

    over = ratios(rows, part, "JAX")
    shown = [mode for mode in MODES if any(mode in row.get(part, {}) for row in rows.values())]
    lines = [
        [f"`{name}`", *(figures(row.get(part, {}).get(mode)) for mode in shown)]
        + [f"{over[name]:.2f}" if name in over else "-"]
        for name, row in rows.items()
    ]
    return markdown(["", *shown, "over JAX"], lines)


def main() -> None:
    """Measure rows and print them, or print the tables of the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["programs", "models", "table"])
    parser.add_argument("names", nargs="*", help="rows, all by default; of `table`, the label of the files")
    parser.add_argument("--modes", nargs="*", choices=MODES, default=MODES)
    parser.add_argument("--parts", nargs="*", choices=PARTS["models"], default=PARTS["models"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--limit", type=float, default=120, help="seconds for the first result of a part")
    parser.add_argument("--core", type=int, help="run and time on this processor alone, in real time if it may")
    parser.add_argument("--lock", type=Path, help="a file whose lock is held while calls are timed")
    parser.add_argument("--save", action="store_true", help="write each row to the file of results")
    parser.add_argument("--missing", action="store_true", help="leave out rows that the file has in all these modes")
    options = parser.parse_args()
    device, versions = _environment()
    if options.kind == "table":
        device = options.names[0] if options.names else device
        for kind, parts in PARTS.items():
            rows = rows_of(path_of(kind, device))
            print(*(f"### {kind}: {part}\n\n{table(rows, part)}\n" for part in parts), summary(rows, parts), sep="\n")
        return
    if options.kind == "programs":
        from benchmarks.pytensor.programs import PROGRAMS as KNOWN
    else:
        from benchmarks.pytensor.models import MODELS as KNOWN
    path = path_of(options.kind, device)
    rows: dict[str, Row] = {}
    for name in options.names or KNOWN:
        have = rows_of(path).get(name, {})
        if options.missing and all(
            set(options.modes) <= set(have.get(part, {})) for part in ("value", "gradient") if part in options.parts
        ):
            continue
        row = rows[name] = measured(options.kind, name, options.modes, options)
        if options.save:
            merged = {**have, **{part: {**have.get(part, {}), **cells} for part, cells in row.items()}}
            every = {one: {**rows_of(path), name: merged}[one] for one in KNOWN if one in {**rows_of(path), name: 0}}
            path.write_text(json.dumps({"environment": versions, "rows": every}, indent=1) + "\n")
        for part, cells in row.items():
            print(f"{name}, {part}", *(f"{mode}: {cell(one)}" for mode, one in cells.items()), sep=" | ", flush=True)
    print(summary(rows, PARTS[options.kind]))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        # On one processor in real time, threads of a library that wait for one another by spinning never end.
        os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
        # What PyTensor compiles to C starts from nothing; workers read this when they import PyTensor.
        os.environ["PYTENSOR_FLAGS"] = ",".join(
            [*filter(None, [os.environ.get("PYTENSOR_FLAGS")]), f"base_compiledir={folder}"]
        )
        main()
