"""The user's file and line: where a node was recorded."""

from __future__ import annotations

import inspect
import os
import sys
from functools import cache
from typing import Any, NamedTuple

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@cache
def _is_own(file: str) -> bool:
    """Whether a file is LoopJAX's; the programs of its guide stand for a user's."""
    return file.startswith(_PACKAGE) and file != _PACKAGE + "guide.py"


class Source(NamedTuple):
    """A line of the user's program."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


def user_source() -> Source | None:
    """The innermost frame that is not LoopJAX's own."""
    frame = sys._getframe(1)
    while _is_own(frame.f_code.co_filename):
        back = frame.f_back
        if back is None:
            return None
        frame = back
    return Source(frame.f_code.co_filename, frame.f_lineno)


def source_of(fn: Any) -> str:
    """``' [model.py:12]'``, the line on which a Python function is defined, if it has one."""
    code = getattr(inspect.unwrap(fn), "__code__", None)
    return f" [{Source(code.co_filename, code.co_firstlineno)}]" if code is not None else ""
