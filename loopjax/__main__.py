"""``python -m loopjax``: runs the guide's programs and shows what each computed beside what was expected."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from loopjax.guide.programs import PROGRAMS, Program, Result, Value
from loopjax.report.explain import explain


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the programs named in ``argv``, all of them where it names none.

    Returns 0, or 1 where a value is not what was expected. An unknown name exits with 2 and the names there are.
    """
    parser = argparse.ArgumentParser(
        prog="python -m loopjax",
        description="Runs the guide's programs and shows what each computed beside what was expected.",
    )
    parser.add_argument("names", nargs="*", metavar="name", help="a program to run; all unless given")
    parser.add_argument("--list", action="store_true", help="list the programs and run none")
    arguments = parser.parse_args(argv)
    programs = {program.name: program for program in PROGRAMS}
    unknown = [name for name in arguments.names if name not in programs]
    if unknown:
        parser.error(f"no program is called {', '.join(unknown)}; there are {', '.join(programs)}")
    if arguments.list:
        width = max(map(len, programs))
        print("\n".join(f"{name:{width}}  {program.title}" for name, program in programs.items()))
        return 0
    chosen = [programs[name] for name in dict.fromkeys(arguments.names)] or list(PROGRAMS)
    off = [program.name for program in chosen if not _show(program, program.run())]
    print(f"{len(chosen) - len(off)} of {len(chosen)} programs as expected" + f"; off: {', '.join(off)}" * bool(off))
    return 1 if off else 0


def _show(program: Program, result: Result) -> bool:
    """Prints a result; whether it is as expected."""
    print(f"{program.name}: {program.title}")
    for value in result.values:
        print(_line(value))
    for function in result.functions:
        print(textwrap.indent(str(explain(function)), "  "))
    print(f"  first result after {_time(result.first)}, a later one after {_time(result.later)}\n", flush=True)
    return result.ok


def _line(value: Value) -> str:
    """A value's label, what was computed and what was expected; on one line where that is short."""
    computed, expected = _text(value.computed), _text(value.expected) + _allowance(value.within)
    short = len(value.label) + len(computed) + len(expected) < 80
    gap = "   " if short else "\n    "
    off = "" if value.ok else "   <-- NOT AS EXPECTED"
    return f"  {value.label}:{gap if not short else ' '}computed {computed}{gap}expected {expected}{off}"


def _text(value: Any) -> str:
    """A value on one line."""
    array = np.asarray(value)
    if array.dtype.kind in "US":
        return str(value)
    formatter: Any = {"float_kind": "{:.4g}".format, "int_kind": str}
    shown = np.array2string(array, formatter=formatter, max_line_width=10_000)
    return " ".join(shown.split())


def _allowance(within: Any) -> str:
    most = float(np.max(within))
    return f"  (within {most:.1g})" if most else ""


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


if __name__ == "__main__":
    sys.exit(main())
