"""``python -m benchmarks``: measures LoopJAX beside JAX written by hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.environment import label
from benchmarks.measure import FULL, QUICK
from benchmarks.outside import OTHERS
from benchmarks.record import Record
from benchmarks.report import notes, table
from benchmarks.results import default_path, save
from benchmarks.run import run
from benchmarks.workload import Scale, Workload
from benchmarks.workloads import WORKLOADS


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0 where every contender ran and agreed, 1 where one did not."""
    parser = _parser()
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - {workload.name for workload in WORKLOADS})
    if unknown:
        parser.error(f"there is no workload {', '.join(unknown)}; --list prints them")
    if options.list:
        for workload in WORKLOADS:
            print(f"{workload.name:<{_width()}}  {workload.what}{' (--large)' if workload.large else ''}")
        return 0
    effort = QUICK if options.quick else FULL
    if options.repeat:
        effort = replace(effort, rounds=options.repeat)
    others = OTHERS if (not options.quick if options.others is None else options.others) else ()
    records: list[Record] = []
    for workload in _chosen(options.names, options.large):
        print(f"{workload.name} ...", file=sys.stderr, flush=True)
        records.append(run(workload, Scale(options.quick), effort, others))
    print(f"{label()}{', quick sizes' if options.quick else ''}; ms of a call, ratios with quartiles\n")
    print(table(records))
    print(f"\n{notes(records)}")
    if not options.no_save:
        path = options.json or default_path(options.quick)
        save(records, path)
        print(f"saved in {path}")
    return 1 if any(record.wrong for record in records) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="workload", help="which; all but the large ones unless given")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes and few repetitions: a test, not a measurement"
    )
    parser.add_argument("--large", action="store_true", help="the large workloads too")
    parser.add_argument("--list", action="store_true", help="print the workloads and stop")
    parser.add_argument(
        "--others",
        action=argparse.BooleanOptionalAction,
        help="PyTensor and Aesara beside, where benchmarks.setup made environments; as a rule, but not with --quick",
    )
    parser.add_argument("--repeat", type=_positive, metavar="N", help="samples of each contender, where time allows")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--json", type=Path, metavar="PATH", help="where to save; a file under benchmarks/results unless given"
    )
    where.add_argument("--no-save", action="store_true", help="print only")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a positive number")
    return number


def _chosen(names: Sequence[str], large: bool) -> list[Workload]:
    """Those named; unless any is, all but the large ones."""
    if names:
        return [workload for workload in WORKLOADS if workload.name in names]
    return [workload for workload in WORKLOADS if large or not workload.large]


def _width() -> int:
    return max(len(workload.name) for workload in WORKLOADS)


if __name__ == "__main__":
    sys.exit(main())
