"""``Finding`` and ``PortReport``: what was found in a file, line by line, and the summary of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["exists", "renamed", "changed", "change", "missing", "note"]
"""A name that exists, one that is elsewhere, a line that is changed, one to change by hand, a name that is missing, and
a remark on what differs."""

TITLES: dict[Kind, str] = {
    "renamed": "renamed",
    "changed": "changed by --write",
    "change": "to change by hand",
    "missing": "missing",
    "note": "to know",
}


class Finding(NamedTuple):
    """A line of a file, a name or a change, and what to do."""

    kind: Kind
    line: int
    subject: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.line:5}  {self.subject}{': ' if self.text else ''}{self.text}"


class PortReport(NamedTuple):
    """The findings in one file, and its source after the mechanical changes.

    ``python2`` is true for a source of Python 2. ``error`` says why a file could not be read.
    """

    file: str
    library: str
    source: str
    ported: str
    findings: tuple[Finding, ...]
    python2: bool = False
    error: str = ""

    def of(self, *kinds: Kind) -> list[Finding]:
        """The findings of these kinds, by line."""
        return sorted((one for one in self.findings if one.kind in kinds), key=lambda one: one.line)

    @property
    def counts(self) -> Counter[str]:
        """Different names of the library, by kind, and numbers of lines."""
        found = Counter({"exists": len({one.subject for one in self.of("exists")})})
        found.update(one.kind for one in self.findings if one.kind != "exists")
        return found

    @property
    def needs_hands(self) -> bool:
        """True where something is left that ``--write`` does not do."""
        return bool(self.error or self.of("change", "missing"))

    def __str__(self) -> str:
        if self.error:
            return f"{self.file}: {self.error}"
        if not self.library and not self.findings:
            return f"{self.file}: no name of Theano, Aesara or PyTensor"
        language = ", Python 2" if self.python2 else ""
        lines = [f"{self.file}: {self.library or 'no import of a library'}{language}, {_counted(self.counts)}"]
        for kind, title in TITLES.items():
            if found := self.of(kind):
                lines += [f"  {title}:", *(f"  {one}" for one in found)]
        return "\n".join(lines)


def _counted(counts: Counter[str]) -> str:
    return (
        f"{counts['exists']} names exist, {counts['renamed']} renamed, {counts['missing']} missing; "
        f"{counts['changed']} lines changed, {counts['change']} to change by hand"
    )


def summary(reports: Sequence[PortReport]) -> str:
    """The totals of a folder, and the names that are missing most often."""
    used = [one for one in reports if one.library or one.error]
    ready = sum(not one.needs_hands for one in used)
    total: Counter[str] = Counter()
    for one in used:
        total.update(one.counts)
    lines = [
        f"{len(reports)} files, {len(used)} of them to port: {ready} need nothing more, {len(used) - ready} a hand"
    ]
    lines.append(f"in all {_counted(total)}")
    missing = Counter(found.subject for one in used for found in one.of("missing"))
    lines += [f"  missing in {count} places: {name}" for name, count in missing.most_common(20)]
    return "\n".join(lines)
