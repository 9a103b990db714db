"""Registry of the functions that users call: ``@public_op`` adds one, ``ops.<name>(...)`` calls it.

Operators and methods of ``Variable`` and the rewrites record nodes through this registry, so that nothing below
``loopjax.tensor`` imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class PublicOps:
    """Namespace of the registered functions, one attribute each.

    ``ops[name]`` is the same function, for names that are values and for results that are not variables.
    """

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self._functions[name]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        try:
            return self._functions[name]
        except KeyError:
            raise AttributeError(f"no op is registered under {name!r}") from None

    def register(self, function: Callable[..., Any]) -> None:
        """Adds a function under its own name; raises ``ValueError`` where the name is taken."""
        name = function.__name__
        if name in self._functions:
            raise ValueError(f"an op {name!r} is registered already")
        self._functions[name] = function
        setattr(self, name, function)


ops = PublicOps()
"""The registered functions of the process."""


def public_op(function: F) -> F:
    """Registers a function under its own name, as a decorator."""
    ops.register(function)
    return function
