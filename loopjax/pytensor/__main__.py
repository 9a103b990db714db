"""``python -m loopjax.pytensor model.py``: reports for the PyMC models and PyTensor functions that a file makes."""

from __future__ import annotations

import argparse
import runpy
import sys
from typing import Any

from loopjax.pytensor.report import report


def main(arguments: list[str] | None = None) -> int:
    """Run the file, and print a report for each model and function among its global names."""
    parser = argparse.ArgumentParser(prog="python -m loopjax.pytensor", description=__doc__)
    parser.add_argument("file", help="a Python file, which is run")
    parser.add_argument("names", nargs="*", help="global names in it; all models and functions by default")
    options = parser.parse_args(arguments)
    made: dict[str, Any] = runpy.run_path(options.file, run_name="model")
    missing = [name for name in options.names if name not in made]
    if missing:
        parser.error(f"{options.file} defines no {', '.join(missing)}; it has {', '.join(sorted(made))}")
    names = options.names or [name for name, value in made.items() if _is_subject(value)]
    if not names:
        parser.error(f"{options.file} has no PyMC model and no PyTensor function among its global names")
    reports = {name: report(made[name]) for name in names}
    for name, found in reports.items():
        print(f"{name} = {found}")
    return int(any(found.refused for found in reports.values()))


def _is_subject(value: Any) -> bool:
    return hasattr(value, "value_vars") or hasattr(getattr(value, "maker", None), "fgraph")


if __name__ == "__main__":
    sys.exit(main())
