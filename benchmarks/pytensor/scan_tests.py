"""PyTensor's own tests of ``scan`` in LoopJAX's mode: ``python -m benchmarks.pytensor.scan_tests CHECKOUT``.

``CHECKOUT`` is a copy of PyTensor's repository (its ``tests`` folder is enough) at the version that is installed. The
files are those that state behaviour: others test PyTensor's rewrites and how it prints. A test that takes longer than
the limit fails.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from pytensor.configdefaults import config

import loopjax.pytensor

FILES = ("test_basic.py", "test_views.py", "test_checkpoints.py", "test_utils.py")


class Limited:
    """A plugin of pytest: a limit of time for each test."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    @pytest.fixture
    def benchmark(self) -> Callable[..., Any]:
        """In place of the plugin that times functions: call them once."""
        return lambda function, *args, **kwargs: function(*args, **kwargs)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        """End a test that takes too long."""
        signal.signal(signal.SIGALRM, self._stop)
        signal.alarm(self._limit)
        try:
            yield
        finally:
            signal.alarm(0)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no result within {self._limit} s")


def main() -> None:
    """Run the tests and exit as pytest does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--limit", type=int, default=300, help="seconds for a test")
    parser.add_argument("options", nargs="*", help="of pytest, after --")
    options = parser.parse_args()
    files = [str(options.checkout.resolve() / "tests" / "scan" / name) for name in FILES]
    quiet = ["-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", "-p", "no:warnings", "--tb=short", "-v"]
    with contextlib.chdir(options.checkout), config.change_flags(mode=loopjax.pytensor.mode()):
        sys.exit(pytest.main([*quiet, *files, *options.options], plugins=[Limited(options.limit)]))


if __name__ == "__main__":
    main()
