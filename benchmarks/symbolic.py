"""Theano program with the arrays of its calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import loopjax
import loopjax.tensor
from benchmarks.program import Program, symbolic


@dataclass(frozen=True)
class Symbolic:
    """One source for LoopJAX, PyTensor and Aesara; calling it builds the LoopJAX program.

    ``source`` is a function in ``benchmarks.programs`` that takes the library, the values ``shared`` and the options.
    ``arguments`` are those of a call. With ``calls``, a measured call is one pass through all of them.
    """

    source: Callable[..., Any]
    arguments: Sequence[Any] = ()
    shared: Sequence[Any] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    calls: Sequence[Sequence[Any]] = ()

    def __call__(self) -> Program:
        function = self.source(loopjax, *self.shared, **self.options)
        if not self.calls:
            return symbolic(function, *self.arguments)
        return Program(lambda: [function(*arguments) for arguments in self.calls])

    @property
    def passes(self) -> Sequence[Sequence[Any]]:
        """Arguments of every call."""
        return self.calls or (self.arguments,)
