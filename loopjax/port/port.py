"""``port``: the stages of porting one source, in order."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Sequence

from loopjax.port import python2
from loopjax.port.borrowed import borrowed
from loopjax.port.division import divide
from loopjax.port.habits import habits
from loopjax.port.imports import bound_names, change_imports, library_of, other_packages
from loopjax.port.names import names
from loopjax.port.numpy_names import change_names
from loopjax.port.removed import removed, replaced, rounded
from loopjax.port.report import Finding, PortReport
from loopjax.port.source import Source

LONGEST = 400
"""Lines in a row that are compared each with each; longer ranges of the same length are paired in order."""


def port(text: str, file: str = "<source>", own: Collection[str] = ()) -> PortReport:
    """Port a program of Theano, Aesara or PyTensor to ``loopjax.compat``.

    Parameters
    ----------
    text
        The source, of Python 2 or 3.
    file
        Its name in the report.
    own
        The packages that are ported with it, such as the one it is of.

    Returns
    -------
    PortReport
        Its ``ported`` is the new source; printed, it says what exists, is renamed, needs a change or is missing.

    Raises
    ------
    ImportError
        The source is of Python 2 and ``fissix`` is not installed.

    Examples
    --------
    >>> from loopjax.port import port
    >>> report = port("import theano.tensor as T\\nx = T.dvector()\\ny = T.no_such_name(x)\\n", "model.py")
    >>> print(report.ported.splitlines()[0])
    import loopjax.compat.theano.tensor as T
    >>> print(report.of("missing")[0])
        3  theano.tensor.no_such_name
    """
    is_old = python2.is_python2(text)
    try:
        modern = python2.to_python3(text, file) if is_old else text
        source = Source(modern, file)
    except SyntaxError as error:
        return PortReport(file, "", text, text, (), is_old, f"cannot be read: {error}")
    replacements: list[Finding] = []
    while found := list(replaced(source)):
        replacements += found
        source = Source(source.edited(), file)
    modern = source.text
    bound = list(bound_names(source))
    libraries = sorted({library for one in bound if (library := library_of(one.path))})
    imports = list(change_imports(source))
    findings = [*imports, *other_packages(source, own), *names(source, bound), *change_names(source)]
    findings += [*replacements, *removed(source), *habits(source, bool(libraries)), *borrowed(source, bool(libraries))]
    if is_old:
        findings += rounded(source)
    if is_old and not python2.has_true_division(text):
        findings += divide(source)
    ported = source.edited()
    by_line = _by_old_lines(findings, text, modern, ported)
    already = bool(libraries) and not imports and ported == text
    return PortReport(
        file, " and ".join(libraries), text, ported, tuple(dict.fromkeys(by_line)), is_old, already=already
    )


def _by_old_lines(findings: Sequence[Finding], text: str, modern: str, ported: str) -> Iterator[Finding]:
    """The findings of ``modern`` at the lines of ``text``, and a pair of lines for each change up to ``ported``.

    The edits that make ``ported`` of ``modern`` keep the number of lines, and a finding of one says why.
    """
    before, between, after = map(_lines, (text, modern, ported))
    pairs = list(_aligned(before, between))
    line, line_of = 0, {}
    for old, new in pairs:
        line = line if old is None else old
        if new is not None:
            line_of[new] = line + 1
    reasons: dict[int, list[str]] = {}
    for one in findings:
        if one.kind != "changed":
            yield one._replace(line=line_of[one.line - 1])
        elif one.text and one.text not in reasons.setdefault(one.line - 1, []):
            reasons[one.line - 1].append(one.text)
    kept: list[str] = []  # reasons of a statement whose changed line comes later
    for old, new in pairs:
        was, now = (None if at is None else lines[at].strip() for lines, at in ((before, old), (after, new)))
        kept += reasons.get(-1 if new is None else new, [])
        if was != now:
            line = (old + 1) if old is not None else line_of[new or 0]
            yield Finding("changed", line, was or "", "; ".join(kept), now or "")
            kept = []


def _lines(text: str) -> list[str]:
    """The lines of a text as the syntax tree counts them."""
    return re.split(r"\r\n?|\n", text.rstrip("\r\n"))


def _aligned(before: list[str], after: list[str]) -> Iterator[tuple[int | None, int | None]]:
    """Places of the same line in two texts; ``None`` stands for a line that one of them does not have."""
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, start, stop, first, last in matcher.get_opcodes():
        if stop - start == last - first and (kind == "equal" or stop - start > LONGEST):
            yield from zip(range(start, stop), range(first, last), strict=True)
        else:
            yield from _paired(before, after, range(start, stop), range(first, last))


def _paired(before: list[str], after: list[str], olds: range, news: range) -> Iterator[tuple[int | None, int | None]]:
    """Places in two ranges of lines, in the order that makes the paired lines most alike (edit distance)."""
    best = {(olds.stop, news.stop): 0.0}
    alike: dict[tuple[int, int], float] = {}
    for old in range(olds.stop, olds.start - 1, -1):
        for new in range(news.stop, news.start - 1, -1):
            choices = [best[place] for place in ((old + 1, new), (old, new + 1)) if place in best]
            if old < olds.stop and new < news.stop:
                alike[old, new] = _likeness(before[old], after[new])
                choices.append(best[old + 1, new + 1] + alike[old, new])
            best[old, new] = max(choices, default=0.0)
    old, new = olds.start, news.start
    while old < olds.stop or new < news.stop:
        if (old, new) in alike and best[old, new] == best[old + 1, new + 1] + alike[old, new]:
            yield old, new
            old, new = old + 1, new + 1
        elif new < news.stop and best[old, new] == best[old, new + 1]:
            yield None, new
            new += 1
        else:
            yield old, None
            old += 1


def _likeness(before: str, after: str) -> float:
    """The common part of the words of two lines; a line that is taken out may leave an empty one."""
    if not after.strip():
        return 0.1
    one, other = (set(re.findall(r"\w+", line)) - {"from", "import"} for line in (before, after))
    return 2 * len(one & other) / max(len(one) + len(other), 1)
