"""Codes of errors, ``LJ101`` and so on: each is a kind of wrong program, with a section in ``docs/errors.md``.

``errors.coded`` gives an error its code where it is raised. A code is a note of the error (PEP 678), which a traceback
shows below the message: the title of the section, and the command that prints it. A code keeps its meaning; new kinds
get new codes.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path


def add_code(error: BaseException, code: str) -> None:
    """Give an error the note with its code, unless it has one."""
    if code_of(error) is None:
        title = sections()[code].partition("\n")[0]
        error.add_note(f"{title}; python -m loopjax {code} shows the wrong and the right program")


def code_of(error: BaseException) -> str | None:
    """The code of an error, ``"LJ105"``, if it has one."""
    return next((note[:5] for note in getattr(error, "__notes__", ()) if note.startswith("LJ")), None)


def shipped(file: str) -> Path:
    """The path of a file that a wheel holds in the package and a checkout beside it."""
    package = Path(__file__).parent
    return next(path for place in (package, package.parent) if (path := place / file).exists())


def page() -> str:
    """The page of errors."""
    return shipped("docs/errors.md").read_text(encoding="utf-8")


@cache
def sections() -> dict[str, str]:
    """The sections of the page by their codes, in its order; each begins with its code and its title."""
    _, *found = re.split(r"^\(lj\d+\)=\n\n## ", page(), flags=re.MULTILINE)
    return {section[:5]: section.rstrip() for section in found}
