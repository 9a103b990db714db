"""PyTensor and Aesara, each in its own environment: a process that builds programs and times calls on request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple

import numpy as np

from benchmarks.symbolic import Symbolic

OTHERS = ("pytensor", "aesara")
FOLDER = Path(__file__).parent / "environments"
PATIENCE = 900.0
"""Timeout of an answer in seconds."""


class OutsideError(RuntimeError):
    """Error message of a library, or exit of its process."""


class Built(NamedTuple):
    """Result of a program as arrays, seconds to the first result, and bytes by which the process grew."""

    result: list[np.ndarray[Any, Any]]
    seconds: float
    peak: int


def python(name: str) -> Path | None:
    """Python of a library's environment: ``LOOPJAX_BENCHMARKS_<NAME>``, else the one made by ``benchmarks.setup``."""
    chosen = os.environ.get(f"LOOPJAX_BENCHMARKS_{name.upper()}")
    path = Path(chosen) if chosen else FOLDER / name / "bin" / "python"
    return path if path.exists() else None


class Outside:
    """Process of a library for one program, without programs compiled earlier."""

    def __init__(self, name: str, executable: Path) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name) / "log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [executable, "-m", "benchmarks.worker", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=Path(__file__).parent.parent,
            )

    def build(self, program: Symbolic) -> Built:
        """Build and call; raises ``OutsideError`` if that fails."""
        arrays, results = (Path(self._folder.name) / name for name in ("arrays.npz", "results.npz"))
        passes = program.passes
        given = [*program.shared, *(argument for arguments in passes for argument in arguments)]
        np.savez(arrays, *(np.asarray(array) for array in given))
        source = program.source
        answer = self._ask(
            do="build",
            program=f"{source.__module__}:{source.__name__}",
            arrays=str(arrays),
            calls=[len(arguments) for arguments in passes],
            options=dict(program.options),
            results=str(results),
        )
        with np.load(results) as found:
            return Built(list(found.values()), answer["seconds"], answer["peak"])

    def repeat(self, times: int) -> float:
        """Seconds for this number of calls."""
        seconds: float = self._ask(do="repeat", times=times)["seconds"]
        return seconds

    def __enter__(self) -> Outside:
        return self

    def __exit__(self, *error: object) -> None:
        """End the process."""
        with suppress(OSError, subprocess.TimeoutExpired):
            self._process.communicate(timeout=10)
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def _ask(self, **request: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        timer = Timer(PATIENCE, self._process.kill)
        timer.start()
        try:
            print(json.dumps(request), file=stdin, flush=True)
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            said = self._log.read_text().strip().splitlines() or ["no answer"]
            raise OutsideError(f"the process ended: {said[-1]}")
        answer = json.loads(line)
        if "error" in answer:
            raise OutsideError(answer["error"])
        return answer


def missing(name: str) -> str:
    """Instructions for a library without an environment."""
    return f"not installed; {Path(sys.executable).name} -m benchmarks.setup {name}"
