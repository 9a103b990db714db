"""Notes: what an accepted argument of a peer does here, said once."""

from __future__ import annotations

import warnings


class CompatNote(UserWarning):
    """A setting of a peer library that was accepted and does something else here, or nothing."""


_said: set[str] = set()


def note(subject: str, text: str) -> None:
    """Warn about a subject, the first time only."""
    if subject in _said:
        return
    _said.add(subject)
    warnings.warn(f"{subject}: {text}", CompatNote, stacklevel=4)
