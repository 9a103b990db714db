"""Runs scripts of programs."""

from __future__ import annotations

from typing import Any


class Failed(AssertionError):
    """A program on which LoopJAX and the reference differ; the message holds it as a script."""


def run(script: str) -> dict[str, Any]:
    """Runs a script in a namespace of its own, which it returns; ``Failed`` with the script where it fails."""
    names: dict[str, Any] = {"__name__": "program"}
    try:
        exec(compile(script, "program.py", "exec"), names)
    except Exception as error:
        raise Failed(f"{type(error).__name__}: {error}\n\n{script}") from error
    return names
