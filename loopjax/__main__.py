"""``python -m loopjax``: runs the programs of ``examples/guide.py`` and shows computed values beside expected ones."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from loopjax.report.explain import explain


@cache
def guide() -> Any:
    """The module ``examples/guide.py``: a wheel holds it in the package, a checkout beside the package."""
    package = Path(__file__).parent
    file = next(path for place in (package, package.parent) if (path := place / "examples" / "guide.py").exists())
    spec = importlib.util.spec_from_file_location("loopjax_guide", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module
    spec.loader.exec_module(module)
    return module


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
    programs: dict[str, Any] = {program.name: program for program in guide().PROGRAMS}
    unknown = [name for name in arguments.names if name not in programs]
    if unknown:
        parser.error(f"no program is called {', '.join(unknown)}; there are {', '.join(programs)}")
    if arguments.list:
        width = max(map(len, programs))
        print("\n".join(f"{name:{width}}  {program.title}" for name, program in programs.items()))
        return 0
    chosen = [programs[name] for name in dict.fromkeys(arguments.names)] or list(programs.values())
    off = [program.name for program in chosen if not _show(program, program.run())]
    print(f"{len(chosen) - len(off)} of {len(chosen)} programs as expected" + f"; off: {', '.join(off)}" * bool(off))
    return 1 if off else 0


def _show(program: Any, result: Any) -> bool:
    """Prints a result; true where it is as expected."""
    print(f"{program.name}: {program.title}")
    for value in result.values:
        print(_line(value))
    for function in result.functions:
        print(textwrap.indent(str(explain(function)), "  "))
    print(f"  first result after {_time(result.first)}, a later one after {_time(result.later)}\n", flush=True)
    return result.ok


def _line(value: Any) -> str:
    """A value's label, the computed and the expected value; on one line where that is short."""
    computed, expected, within = _text(value.computed), _text(value.expected), float(np.max(value.within))
    expected += f"  (within {within:.1g})" if within else ""
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


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms"


if __name__ == "__main__":
    sys.exit(main())
