"""``python -m benchmarks``: measures LoopJAX beside JAX written by hand, PyTensor and Aesara."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import ablation, figures, growth, report
from benchmarks.environment import comparable, label
from benchmarks.measure import BRIEF, FULL, QUICK, Effort
from benchmarks.outside import OTHERS
from benchmarks.record import Record
from benchmarks.results import default_path, load, save
from benchmarks.run import run
from benchmarks.table import Layout, aligned, markdown
from benchmarks.workload import Scale, Workload
from benchmarks.workloads import WORKLOADS
from benchmarks.workloads.applications import APPLICATIONS
from benchmarks.workloads.held_out import FINAL, FIRST_LOOK, HELD_OUT
from benchmarks.workloads.seen import SEEN

SETS = {"tuning": (*APPLICATIONS, *SEEN), "held-out": HELD_OUT}
"""Applications: those that may guide a change, and those that nobody looks at before a final measurement."""

HALVES = {"first-look": FIRST_LOOK, "final": FINAL}
"""Names that stand for several of the held-out ones."""


class Measurement(NamedTuple):
    """A kind of measurement: the suffix of its files, and how to measure, read and print it."""

    suffix: str
    what: str
    measure: Callable[[Workload, Scale, Effort, Sequence[str]], Any]
    read: Callable[[Mapping[str, Any]], Any]
    report: Callable[[Sequence[Any], Layout], str]


CONTENDERS = Measurement(
    "", "ms of a call, ratios with quartiles; see benchmarks/report.py", run, Record.from_json, report.report
)
ABLATION = Measurement(
    "-ablation",
    "time without a rewrite over that with all; empty where the program is the same",
    lambda workload, scale, effort, others: ablation.ablate(workload, scale, effort),
    ablation.Ablation.from_json,
    ablation.report,
)
GROWTH = Measurement(
    "-growth",
    "time by number of steps",
    lambda workload, scale, effort, others: growth.grow(workload, scale, effort),
    growth.Growth.from_json,
    growth.report,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if every contender ran and agreed, else 1."""
    parser = _parser()
    options = parser.parse_args(arguments)
    workloads = SETS[options.set] if options.set else WORKLOADS
    if options.set == "held-out":
        options.names = [one for name in options.names for one in _half(name)]
    unknown = sorted(set(options.names) - {workload.name for workload in workloads})
    if unknown:
        parser.error(f"there is no workload {', '.join(unknown)}; --list prints them, with --set those of the set")
    if options.list:
        width = max(len(workload.name) for workload in workloads)
        for workload in _chosen(workloads, options.names, True):
            print(f"{workload.name:<{width}}  {workload.what}{' (--large)' if workload.large else ''}")
        return 0
    kind: Measurement = options.kind
    chosen_set = f"-{options.set}" if options.set else ""
    path = options.json or default_path(f"{chosen_set}{kind.suffix}", options.quick)
    if options.read:
        found = load(path, kind.read)
    else:
        chosen = _chosen(workloads, options.names, options.large)
        found = _measured(kind, chosen, options, None if options.no_save else path)
    _print(kind, found, path, options)
    return 1 if any(getattr(one, "wrong", False) for one in found) else 0


def _measured(
    kind: Measurement, workloads: Sequence[Workload], options: argparse.Namespace, path: Path | None
) -> list[Any]:
    """Measure the chosen workloads. Each is saved when it is done, so that an interrupted run keeps its results."""
    comparable()
    effort = QUICK if options.quick else BRIEF if options.brief else FULL
    if options.repeat:
        effort = replace(effort, rounds=options.repeat)
    others = OTHERS if (not options.quick if options.others is None else options.others) else ()
    found = []
    for workload in workloads:
        if kind is GROWTH and not workload.grows_to:
            continue
        print(f"{workload.name} ...", file=sys.stderr, flush=True)
        found.append(kind.measure(workload, Scale(options.quick), effort, others))
        if path is not None:
            save(found[-1:], path)
    return found


def _print(kind: Measurement, found: Sequence[Any], path: Path, options: argparse.Namespace) -> None:
    layout = markdown if options.markdown else aligned
    sections = [f"{label()}{', quick sizes' if options.quick else ''}; {kind.what}"] if not options.read else []
    sections.append(kind.report(found, layout))
    if kind is CONTENDERS and not options.quick:
        every = load(path, kind.read) if path.exists() else found
        grown = load(path.with_name(path.name.replace(".json", f"{GROWTH.suffix}.json")), GROWTH.read)
        sections.append(figures.report_set(every, layout) if options.set else figures.report(every, grown, layout))
    text = "\n\n".join(sections)
    if options.markdown:
        options.markdown.write_text(f"{text}\n")
    print(text)
    if not options.no_save:
        print(f"\nsaved in {path}")
    if kind is GROWTH and options.plot:
        growth.plot(found, options.plot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="workload", help="which; all but the large ones unless given")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--ablation",
        dest="kind",
        action="store_const",
        const=ABLATION,
        help="LoopJAX alone, with each rewrite left out in turn",
    )
    kind.add_argument(
        "--growth", dest="kind", action="store_const", const=GROWTH, help="1e2 to 1e6 steps, where memory allows"
    )
    parser.set_defaults(kind=CONTENDERS)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="small sizes and few repetitions: a test, not a measurement")
    size.add_argument(
        "--brief", action="store_true", help="some seconds for each workload, for a machine that is there for minutes"
    )
    parser.add_argument("--large", action="store_true", help="the large workloads too")
    parser.add_argument(
        "--set", choices=SETS, help="these applications instead; the names first-look and final are halves of held-out"
    )
    parser.add_argument("--list", action="store_true", help="print the workloads and stop")
    parser.add_argument(
        "--others",
        action=argparse.BooleanOptionalAction,
        help="PyTensor and Aesara beside, where benchmarks.setup made environments; as a rule, but not with --quick",
    )
    parser.add_argument("--repeat", type=_positive, metavar="N", help="samples of each contender, where time allows")
    parser.add_argument("--read", action="store_true", help="measure nothing: print what the file holds")
    parser.add_argument("--markdown", type=Path, metavar="PATH", help="write what is printed there, as a page's tables")
    parser.add_argument("--plot", type=Path, metavar="PATH", help="with --growth, draw there; needs loopjax[bench]")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--json", type=Path, metavar="PATH", help="the file; one under benchmarks/results unless given")
    where.add_argument("--no-save", action="store_true", help="print only")
    return parser


def _half(name: str) -> list[str]:
    """Names of the workloads of a half, or the name itself."""
    return [workload.name for workload in HALVES[name]] if name in HALVES else [name]


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("a positive number")
    return number


def _chosen(workloads: Sequence[Workload], names: Sequence[str], large: bool) -> list[Workload]:
    """The named workloads; by default all but the large ones."""
    return [workload for workload in workloads if (workload.name in names if names else large or not workload.large)]


if __name__ == "__main__":
    sys.exit(main())
