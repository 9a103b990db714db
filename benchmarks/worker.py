"""Worker process of ``benchmarks.outside``: runs programs in PyTensor or Aesara, in that library's environment.

Requests and answers are lines of JSON on standard input and output; arrays travel in files. Nothing here imports JAX.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import sysconfig
import tempfile
import warnings
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.resident import most_resident

PREPARED = Path(sys.prefix) / "prepared"
"""Cache of modules that the library compiles once for an installation; each worker starts from a copy."""

_ROUTINES = "gemm gemv ger dot axpy scal copy nrm2 asum swap trsm trsv symv syr syr2 symm syrk syr2k trmm trmv"


class Worker:
    """A library and the program that was built last."""

    def __init__(self, name: str, compiled: Path) -> None:
        os.environ[f"{name.upper()}_FLAGS"] = ",".join((f"base_compiledir={compiled}", *_settings(name)))
        self.library: Any = import_module(name)
        import_module(f"{name}.tensor")
        self._function: Any = None
        self._calls: list[list[Any]] = []
        self._small()

    def _small(self) -> None:
        """Warm up one-time costs of a process, which are not part of a program's first result."""
        x, y = self.library.tensor.dvector(), self.library.tensor.dmatrix()
        self.library.function([x, y], self.library.tensor.dot(y, x + 1))(np.ones(2), np.ones((2, 2)))

    def build(self, program: str, arrays: str, calls: Sequence[int], options: dict[str, Any], results: str) -> Any:
        """Build afresh and call; returns the seconds and the growth of the process's peak in bytes.

        ``arrays`` holds the shared values, then the arguments of each call; ``calls`` has the number for each.
        """
        module, _, name = program.partition(":")
        given = list(np.load(arrays).values())
        starts = np.cumsum([len(given) - sum(calls), *calls])
        shared = given[: starts[0]]
        self._calls = [given[start:end] for start, end in pairwise(starts)]
        source = getattr(import_module(module), name)
        before = most_resident()
        start = perf_counter()
        self._function = source(self.library, *shared, **options)
        found = [self._function(*arguments) for arguments in self._calls]
        seconds = perf_counter() - start
        peak = most_resident() - before
        np.savez(results, *_leaves(found))
        return {"seconds": seconds, "peak": peak}

    def repeat(self, times: int) -> Any:
        """Seconds to make all calls this number of times."""
        function, calls = self._function, self._calls
        gc.disable()
        start = perf_counter()
        for _ in range(times):
            for arguments in calls:
                function(*arguments)
        seconds = perf_counter() - start
        gc.enable()
        return {"seconds": seconds}


def _settings(name: str) -> tuple[str, ...]:
    """Settings: Numba for PyTensor; for Aesara, which does not find BLAS itself, the OpenBLAS of its environment."""
    if name == "pytensor":
        return ("mode=NUMBA",)
    blas = Path(sysconfig.get_path("purelib")) / "scipy_openblas32" / "lib"
    if not blas.exists():
        return ()
    renamed = " ".join(f"-D{kind}{one}_=scipy_{kind}{one}_" for kind in "sd" for one in _ROUTINES.split())
    return (f"blas__ldflags=-L{blas} -lscipy_openblas", f"gcc__cxxflags={renamed}")


def _leaves(found: Any) -> list[Any]:
    if isinstance(found, (list, tuple)):
        return [leaf for one in found for leaf in _leaves(one)]
    return [np.asarray(found)]


def main(name: str, prepare: bool = False) -> None:
    """Answer requests until there are no more; ``prepare`` compiles the modules that every worker starts from."""
    warnings.simplefilter("ignore")
    if prepare:
        Worker(name, PREPARED)
        return
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output printed by a library is not an answer
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "compiled"
        if PREPARED.exists():
            shutil.copytree(PREPARED, compiled)
        worker = Worker(name, compiled)
        for line in sys.stdin:
            request = json.loads(line)
            try:
                answer = getattr(worker, request.pop("do"))(**request)
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], "--prepare" in sys.argv)
