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
    """A line of a file, a name or a change, and what to do; a line that is changed has its ``new`` text."""

    kind: Kind
    line: int
    subject: str
    text: str = ""
    new: str | None = None

    def __str__(self) -> str:
        if self.new is None:
            return f"{self.line:5}  {self.subject}{': ' if self.text else ''}{self.text}"
        pair = [f"{self.line:5}  {self.subject}"] if self.subject else []
        pair += [f"{'' if pair else self.line:>5}  -> {line}" for line in self.new.splitlines() or ["(no line)"]]
        return "\n".join([*pair, *([f"       ({self.text})"] if self.text else [])])


class PortReport(NamedTuple):
    """The findings in one file, and its source after the mechanical changes.

    ``python2`` is true for a source of Python 2, ``already`` for one that imports ``loopjax.compat`` and needs no
    mechanical change. ``error`` says why a file could not be read.
    """

    file: str
    library: str
    source: str
    ported: str
    findings: tuple[Finding, ...]
    python2: bool = False
    error: str = ""
    already: bool = False

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
        return self.as_text()

    def as_text(self, is_written: bool = False) -> str:
        """The report in lines; after ``--write`` it says that what is mechanical is done."""
        if self.error:
            return f"{self.file}: {self.error}"
        if not self.library and not self.findings:
            return f"{self.file}: no name of Theano, Aesara or PyTensor"
        state = ", already ported" if self.already else ", Python 2" if self.python2 else ""
        lines = [f"{self.file}: {self.library or 'no import of a library'}{state}, {_counted(self.counts)}"]
        for kind, title in TITLES.items():
            if found := self.of(kind):
                lines.append("  written:" if is_written and kind == "changed" else f"  {title}:")
                lines += [f"  {line}" for one in found for line in str(one).splitlines()]
        return "\n".join(lines)


def _counted(counts: Counter[str]) -> str:
    return (
        f"{counts['exists']} names exist, {counts['renamed']} renamed, {counts['missing']} missing; "
        f"{counts['changed']} lines changed, {counts['change']} to change by hand"
    )


def summary(reports: Sequence[PortReport]) -> str:
    """The totals of a folder, and the names that are missing most often."""
    used = [one for one in reports if (one.library or one.error) and not (one.already and not one.needs_hands)]
    done = sum(one.already for one in reports if one not in used)
    ready = sum(not one.needs_hands for one in used)
    total: Counter[str] = Counter()
    for one in used:
        total.update(one.counts)
    already = f", {done} already ported" if done else ""
    lines = [
        f"{len(reports)} files{already}, {len(used)} of them to port: "
        f"{ready} need nothing more, {len(used) - ready} a hand"
    ]
    lines.append(f"in all {_counted(total)}")
    missing = Counter(found.subject for one in used for found in one.of("missing"))
    lines += [f"  missing in {count} places: {name}" for name, count in missing.most_common(20)]
    return "\n".join(lines)
