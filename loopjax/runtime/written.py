"""A Python function in the making: its source, and what the names in it stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Source:
    """Lines of a function's body. ``globals`` are the names that it knows."""

    def __init__(self) -> None:
        self.globals: dict[str, Any] = {}
        self._lines: list[str] = []
        self._depth = 1
        self._names: dict[int, str] = {}
        self._temporaries = 0

    def line(self, text: str) -> None:
        """Adds a line."""
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Lines within are the block of this head; without a head they are as they are."""
        if head:
            self.line(head)
        self._depth += bool(head)
        yield
        self._depth -= bool(head)

    def name(self, value: Any) -> str:
        """The name of an object, which stays alive as long as the function."""
        name = self._names.setdefault(id(value), f"c{len(self._names)}")
        self.globals[name] = value
        return name

    def temporary(self, expression: str) -> str:
        """A line that gives the value of an expression a name."""
        self._temporaries += 1
        self.line(f"t{self._temporaries} = {expression}")
        return f"t{self._temporaries}"

    def function(self, name: str, *parameters: str) -> Callable[..., Any]:
        """The function."""
        text = "\n".join([f"def {name}({', '.join(parameters)}):", *self._lines])
        made: dict[str, Any] = {}
        exec(compile(text, f"<{name} written by loopjax>", "exec"), self.globals, made)
        function: Callable[..., Any] = made[name]
        return function
