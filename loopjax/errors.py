"""Errors of LoopJAX, and the user's line that each names."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_EXAMPLES = os.path.join(_PACKAGE, "examples") + os.sep


@cache
def _is_own(file: str) -> bool:
    """Test if a file is LoopJAX's own; the examples in its wheel count as a user's."""
    return file.startswith(_PACKAGE) and not file.startswith(_EXAMPLES)


class Source(NamedTuple):
    """A line of the user's program."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


def user_source() -> Source | None:
    """Return the line of the innermost stack frame outside of LoopJAX."""
    frame = sys._getframe(1)
    while _is_own(frame.f_code.co_filename):
        back = frame.f_back
        if back is None:
            return None
        frame = back
    return Source(frame.f_code.co_filename, frame.f_lineno)


def source_of(fn: Any) -> str:
    """Return ``' [model.py:12]'``, the line on which a Python function is defined, if it has one."""
    code = getattr(inspect.unwrap(fn), "__code__", None)
    return f" [{Source(code.co_filename, code.co_firstlineno)}]" if code is not None else ""


class LoopJaxError(Exception):
    """Base class of LoopJAX's own errors."""


class MissingInputError(LoopJaxError):
    """A graph needs a variable that was not passed."""


class UnusedInputError(LoopJaxError):
    """A function has an input that none of its outputs needs."""


class DisconnectedInputError(LoopJaxError, ValueError):
    """A gradient with respect to a variable that the cost does not depend on."""


class GradientError(LoopJaxError):
    """A gradient that differs from finite differences, raised by ``verify_grad``.

    ``argument`` is the number of the argument, ``place`` the index in it where they differ most, ``analytic`` and
    ``numeric`` the elements there by ``grad`` and by finite differences.
    """

    def __init__(self, message: str, argument: int, place: tuple[int, ...], analytic: float, numeric: float) -> None:
        super().__init__(message)
        self.argument = argument
        self.place = place
        self.analytic = analytic
        self.numeric = numeric


class LengthError(LoopJaxError, ValueError):
    """A length that is needed before it can be known, or does not fit."""


class StateLost(LoopJaxError, RuntimeError):
    """A shared variable whose value a failed call has overwritten; set it again."""


class UnsupportedError(LoopJaxError, NotImplementedError):
    """A meaningful program that this version of LoopJAX cannot run."""


_LINES = re.compile(r"\[[^\[\]]+:\d+(, [^\[\]]+:\d+)*\]$")


def located(error: Exception, message: str, sources: Iterable[Source]) -> Exception:
    """Return the error with ``message`` and the user's lines, unless it ends with lines already or there are none."""
    lines = where(sources)
    if not lines or _LINES.search(str(error)):
        return error
    return type(error)(message + lines)


@contextmanager
def about(subject: str, source: Source | None) -> Iterator[None]:
    """Context in which errors get the prefix ``subject`` and the user's line, where they do not have them already.

    ``source`` is ``None`` where errors raised inside have lines of their own.
    """
    try:
        yield
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        text = str(error)
        message = text if text.startswith(subject) else f"{subject}: {text}"
        lines = "" if source is None or _LINES.search(text) else where([source])
        if message + lines == text:
            raise
        raise type(error)(message + lines) from error


def check_choice(argument: str, value: str, choices: Sequence[str]) -> None:
    """Raise ``ValueError`` where an option is none of its choices."""
    if value not in choices:
        raise ValueError(f"{argument} is {', '.join(map(repr, choices[:-1]))} or {choices[-1]!r}, not {value!r}")


def here() -> str:
    """Return ``' [model.py:12]'``, the user's line that is being recorded, for errors before there is a node.

    Not for an op's ``infer``, which runs again when a program is called: there the node knows its line.
    """
    source = user_source()
    return where([source] if source is not None else [])


def where(sources: Iterable[Source]) -> str:
    """Return ``' [model.py:12]'`` for the user's lines, or nothing where none is known."""
    lines = ", ".join(dict.fromkeys(str(source) for source in sources))
    return f" [{lines}]" if lines else ""
