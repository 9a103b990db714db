"""Compilations that calls of a function cause, counted by JAX's own events."""

from typing import Any

from benchmarks.compilations import counted


class Counting:
    """A function, and the number of XLA programs that its calls have compiled."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.count = 0

    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        with counted() as compilations:
            result = self.function(*args)
        self.count += compilations.count
        return result
