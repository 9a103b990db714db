"""``python -m benchmarks.setup``: environments for PyTensor and Aesara, under ``benchmarks/environments``.

They need a C++ compiler. Other environments are named by ``LOOPJAX_BENCHMARKS_PYTENSOR`` and
``LOOPJAX_BENCHMARKS_AESARA``, the paths of their Pythons.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.outside import FOLDER, OTHERS

NEEDED = {
    "pytensor": ("pytensor==3.*",),
    # Aesara imports numpy.distutils and setuptools' copy of distutils, and links the given BLAS.
    "aesara": ("aesara==2.9.*", "numpy<2", "setuptools<70", "scipy-openblas32"),
}
PYTHONS = ("python3.11", "python3.12")
"""Packages that Aesara needs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the environments afresh."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.setup", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="library", help=f"which of {', '.join(OTHERS)}; both unless given")
    parser.add_argument("--python", default=_python(), help="the Python to make them of (default: %(default)s)")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(OTHERS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; known are {', '.join(OTHERS)}")
    for name in options.names or OTHERS:
        _make(name, options.python)
    return 0


def _make(name: str, python: str) -> None:
    folder = FOLDER / name
    own = folder / "bin" / "python"
    subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    subprocess.run([own, "-m", "pip", "install", "--quiet", *NEEDED[name]], check=True)
    subprocess.run([own, "-m", "benchmarks.worker", name, "--prepare"], check=True, cwd=Path(__file__).parent.parent)
    print(f"{name}: {folder}")


def _python() -> str:
    """First interpreter that starts; else the present one."""
    for name in PYTHONS:
        found = shutil.which(name)
        if found and not subprocess.run([found, "-c", "import venv, ensurepip"], capture_output=True).returncode:
            return found
    return sys.executable


if __name__ == "__main__":
    sys.exit(main())
