"""Two checkouts of the project compared: ``python -m benchmarks.versions OTHER [WORKLOAD ...]``.

Each checkout runs its own workloads in a process of its own; samples are interleaved, and a ratio is the median over
pairs of samples, this checkout's over the other's. Beside it stand the ratio of the least samples, which noise reaches
least, and that of the times to the first result, each the median of fresh builds.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; prints a line for each workload."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versions", description=__doc__)
    parser.add_argument("other", type=Path, help="root of the other checkout")
    parser.add_argument(
        "names", nargs="*", metavar="WORKLOAD", help="all but large ones and applications, unless named"
    )
    parser.add_argument("--pairs", type=int, default=15, help="pairs of samples (default %(default)s)")
    parser.add_argument("--builds", type=int, default=3, help="fresh builds of each, after one that warms up")
    parser.add_argument("--sample", type=float, default=0.02, help="seconds of a sample (default %(default)s)")
    options = parser.parse_intermixed_args(arguments)
    if not (options.other / "benchmarks" / "workloads").is_dir():
        parser.error(f"other is the root of a checkout of the project, with benchmarks/workloads; got {options.other}")
    unknown = sorted(set(options.names) - set(_names(every=True)))
    if unknown:
        parser.error(f"there is no workload {', '.join(unknown)}; python -m benchmarks --list prints them")
    ours, theirs = _Checkout(HERE), _Checkout(options.other.resolve())
    print(f"{'workload':24} {'time':>6} {'least':>6} {'first':>6}   ms here, there; first here, there")
    for name in options.names or _names():
        print(_compared(name, ours, theirs, options), flush=True)
    return 0


def _names(every: bool = False) -> list[str]:
    from benchmarks.workloads import WORKLOADS
    from benchmarks.workloads.applications import APPLICATIONS

    if every:
        return [workload.name for workload in (*WORKLOADS, *APPLICATIONS)]
    return [workload.name for workload in WORKLOADS if not workload.large]


def _compared(name: str, ours: _Checkout, theirs: _Checkout, options: argparse.Namespace) -> str:
    both = (ours, theirs)
    firsts = [[one.ask("build", name) for one in both] for _ in range(options.builds + 1)]
    first = firsts[1:] or firsts
    calls = max(1, math.ceil(options.sample / min(one.ask("repeat", 1) for one in both)))
    for one in both:
        one.ask("repeat", calls)
    times = [[one.ask("repeat", calls) / calls for one in both] for _ in range(options.pairs)]
    least = [min(column) for column in zip(*times, strict=True)]
    shown = [median(a / b for a, b in times), least[0] / least[1], median(a / b for a, b in first)]
    seconds = [*least, *[median(column) for column in zip(*first, strict=True)]]
    ratios = " ".join(f"{value:6.2f}" for value in shown)
    return f"{name:24} {ratios}   " + " ".join(f"{1e3 * value:9.3f}" for value in seconds)


class _Checkout:
    """Process that builds and calls the workloads of a checkout on request, by lines on standard input and output."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )

    def ask(self, *request: Any) -> float:
        """Seconds that a request took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(*request, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(
                f"the process of {self._root} stopped at {' '.join(map(str, request))}: its error is above"
            )
        return float(answer)


def _serve(root: str) -> None:
    sys.path[0] = root
    from benchmarks.measure import built, repeating
    from benchmarks.workload import Scale
    from benchmarks.workloads import WORKLOADS

    workloads = {workload.name: workload for workload in (*WORKLOADS, *_applications())}
    repeat: Any = None
    for line in sys.stdin:
        kind, value = line.split()
        if kind == "build":
            workload = workloads[value]
            found = built(workload.make(Scale()).loopjax)
            repeat = repeating(found.program, workload.wait)
            print(found.first.seconds, flush=True)
        else:
            print(repeat(int(value)), flush=True)


def _applications() -> Sequence[Any]:
    """The applications; none in a checkout from before they were written."""
    try:
        from benchmarks.workloads.applications import APPLICATIONS
    except ModuleNotFoundError:
        return ()
    return APPLICATIONS


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve(sys.argv[2])
    else:
        sys.exit(main())
