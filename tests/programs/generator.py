"""Hypothesis strategies of random programs, and a command that runs many of them.

    python -m tests.programs.generator --programs 5000 --seed 1
    python -m tests.programs.generator --gradients --programs 1000 --seed 1
    python -m tests.programs.generator --seconds 60

from the root of the repository. A program that fails is made as small as possible and printed as a script that runs by
itself, with the seed that finds it again; ``--keep-going`` counts and continues, ``--as-found`` prints
it as it was found. ``--rewrites`` leaves some out: ``alone`` all but one, ``none`` all, ``some`` any. ``--backend gpu``
plans loops as on a GPU, where there is none too.

``--gradients`` compares gradients with finite differences, which say nothing where a run nearby takes another branch:
such programs are counted, as are those that rounding decides. Inner loops for a number of steps that differs from step
to step have no gradient, and of inner loops that stop by until nothing but parts is read.

``--varying`` makes programs whose sizes differ from step to step (see ``varying``). Those that a ``LengthError``
refuses are counted.

Left out, since it is not settled what they mean: expressions made outside of a loop from a shared variable that the
loop updates; inner loops that both read sequences and run for a number of steps that differs from step to step.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import jax
from hypothesis import strategies as st

import loopjax
from loopjax.errors import LengthError
from loopjax.rewrite.target import REWRITES
from loopjax.runtime import buckets
from tests.planned import planned_for
from tests.programs.gradients import gradient_source, in_double
from tests.programs.maker import Maker
from tests.programs.program import Program
from tests.programs.reference import Undecided
from tests.programs.running import Failed, run
from tests.programs.script import source
from tests.programs.varying import VaryingMaker

CHUNK = 50
"""Programs that one run of Hypothesis makes; each chunk has a seed of its own."""


@st.composite
def programs(draw: Any, gradients: bool = False, varying: bool = False) -> Program:
    """Random programs; with ``gradients``, programs to differentiate; with ``varying``, sizes differ between steps."""
    return (VaryingMaker if varying else Maker)(draw, gradients).program()


@dataclass
class Tally:
    """How many programs ran, and how many were left out, by the reason."""

    ran: int = 0
    failed: int = 0
    refused: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        reasons = ", ".join(f"{count} ({reason})" for reason, count in self.left_out.most_common())
        refused = f", {self.refused} were refused" if self.refused else ""
        return f"{self.ran} programs ran, {self.failed} failed{refused}; left out: {reasons or 'none'}"


NONE = frozenset(REWRITES)
LEFT_OUT: dict[str, st.SearchStrategy[frozenset[str]]] = {
    "all": st.just(frozenset()),
    "none": st.just(NONE),
    "alone": st.sampled_from(sorted(NONE)).map(lambda name: NONE - {name}),
    "some": st.frozensets(st.sampled_from(sorted(NONE))),
}
LEFT_OUT["any"] = st.one_of(LEFT_OUT["none"], LEFT_OUT["alone"], LEFT_OUT["some"])
"""The rewrites that programs run without."""


@contextlib.contextmanager
def without(rewrites: frozenset[str]) -> Iterator[None]:
    """``config.mode`` without these rewrites."""
    before = loopjax.config.mode
    loopjax.config.mode = loopjax.Mode(rewrites)
    try:
        yield
    finally:
        loopjax.config.mode = before


class OutOfTime(BaseException):
    """Ends a run of Hypothesis, which keeps what is an ``Exception`` as a failure."""


UNRAISED = "expected IndexError"
"""A position of an axis whose size only a step knows reads NaN (the least integer), and raises nothing."""


def search(
    seed: int,
    gradients: bool = False,
    rewrites: str = "all",
    examples: int = CHUNK,
    tally: Tally | None = None,
    stop: float | None = None,
    shrink: bool = True,
    varying: bool = False,
) -> Tally:
    """Runs a chunk of programs, and raises ``Failed`` with the smallest that fails.

    After ``stop`` no further one starts; one runs in any case. ``rewrites``: which they run with, of ``LEFT_OUT``.
    Without ``shrink`` it is the first that fails, as large as it is. With ``varying``, a program that a ``LengthError``
    refuses does not fail; the tally counts it.
    """
    tally = Tally() if tally is None else tally
    seen: set[tuple[Program, frozenset[str]]] = set()
    failures: list[Failed] = []
    written = gradient_source if gradients else source

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=(hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if shrink else [])),
        report_multiple_bugs=False,
    )
    @hypothesis.given(programs(gradients, varying), LEFT_OUT[rewrites])
    def one(program: Program, left_out: frozenset[str]) -> None:
        if stop is not None and time.monotonic() > stop and tally.ran and not failures:
            raise OutOfTime
        if (program, left_out) in seen and not failures:
            tally.left_out["came before"] += 1
            return
        seen.add((program, left_out))
        try:
            with without(left_out):
                script = written(program)
                tally.ran += not failures
                run(script)
        except Undecided as undecided:
            if not failures:
                tally.left_out[str(undecided)] += 1
        except Failed as failed:
            if varying and isinstance(failed.__cause__, LengthError):
                tally.refused += not failures
                return
            if varying and str(failed.__cause__) == UNRAISED:
                tally.left_out[UNRAISED] += not failures
                return
            failures.append(failed)
            raise

    try:
        with in_double() if gradients else contextlib.nullcontext():
            one()
    except OutOfTime:
        pass
    except Failed as failed:
        tally.failed += 1
        raise Failed(f"seed {seed}: {failed}") from None
    finally:
        jax.clear_caches()
    return tally


def set_lengths(policy: str) -> None:
    """What functions do about lengths; ``all`` pads every length and axis from the first call, with NaN past them."""
    buckets.AT_ONCE = loopjax.config.poison = policy == "all"
    loopjax.config.lengths = "padded" if policy == "all" else policy


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Runs random programs against a plain Python loop.")
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gradients", action="store_true")
    parser.add_argument("--varying", action="store_true")
    parser.add_argument("--keep-going", action="store_true")
    parser.add_argument("--as-found", action="store_true", help="print failures as large as they are, at once")
    parser.add_argument("--lengths", choices=("exact", "padded", "auto", "all"), default="auto")
    parser.add_argument("--rewrites", choices=LEFT_OUT, default="all")
    parser.add_argument("--save", type=pathlib.Path, help="a folder for the programs that fail, as scripts")
    parser.add_argument("--backend", choices=("cpu", "gpu"), help="plan as on that one, wherever it runs")
    options = parser.parse_args()
    set_lengths(options.lengths)
    with planned_for(options.backend) if options.backend else contextlib.nullcontext():
        return _searched(options)


def _searched(options: argparse.Namespace) -> int:
    tally, begin, seed = Tally(), time.monotonic(), options.seed
    stop = None if options.seconds is None else begin + options.seconds
    while (tally.ran < options.programs) if stop is None else (time.monotonic() < stop):
        try:
            shrink = not options.as_found
            search(
                seed,
                options.gradients,
                options.rewrites,
                tally=tally,
                stop=stop,
                shrink=shrink,
                varying=options.varying,
            )
        except Failed as failed:
            print(failed, flush=True)
            if options.save:
                message, _, script = str(failed).partition("\n\n")
                options.save.mkdir(parents=True, exist_ok=True)
                (options.save / f"seed_{seed}.py").write_text(textwrap.indent(message, "# ") + f"\n{script}")
            if not options.keep_going:
                break
        seed += 1
    print(f"seeds {options.seed} to {seed}, {time.monotonic() - begin:.0f} s: {tally}")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
