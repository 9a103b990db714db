"""A program in the Theano way, with the arrays that it is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import loopjax
import loopjax.tensor
from benchmarks.program import Program, symbolic


@dataclass(frozen=True)
class Symbolic:
    """One source for LoopJAX, which it runs in when it is called, and for PyTensor and Aesara.

    ``source``: a function of ``benchmarks.programs``, of the library, the values ``shared`` and the options.
    ``arguments``: those of a call. Where ``calls`` are given, a call here is one pass through all of them.
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
        """The arguments of every call."""
        return self.calls or (self.arguments,)
