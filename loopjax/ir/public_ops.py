"""Registry of the public ops: the functions by which users, methods of variables and rewrites record nodes.

``@public_op`` registers a function under its name, ``ops.<name>(...)`` calls it. Nothing below ``loopjax.tensor`` in
the order of imports needs to import it, since the names are looked up when they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from loopjax.errors import reported

F = TypeVar("F", bound=Callable[..., Any])


class PublicOps:
    """Namespace of the registered functions, one attribute each.

    ``ops[name]`` is the same function, for a name that is computed.
    """

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return getattr(self, name)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise AttributeError(f"no op is registered under {name!r}")

    def register(self, function: Callable[..., Any]) -> None:
        """Add a function under its own name; raises ``ValueError`` where the name is taken."""
        name = function.__name__
        if name in vars(self):
            raise ValueError(f"an op {name!r} is registered already")
        setattr(self, name, function)


ops = PublicOps()
"""The registry of the process."""


def public_op(function: F) -> F:
    """Register a function under its own name; a decorator, whose errors name the function and the user's line."""
    checked = reported(function)
    ops.register(checked)
    return checked
