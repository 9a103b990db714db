"""``port``: the stages of porting one source, in order."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from loopjax.port import python2
from loopjax.port.division import divide
from loopjax.port.habits import habits
from loopjax.port.imports import bound_names, change_imports, library_of, other_packages
from loopjax.port.names import names
from loopjax.port.numpy_names import change_names
from loopjax.port.report import Finding, PortReport
from loopjax.port.source import Source


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
    findings = list(_changed(text, modern))
    bound = list(bound_names(source))
    libraries = sorted({library for one in bound if (library := library_of(one.path))})
    findings += [*change_imports(source), *other_packages(source, own), *names(source, bound), *change_names(source)]
    findings += habits(source, bool(libraries))
    if is_old and not python2.has_true_division(text):
        findings += divide(source)
    ported = source.edited()
    return PortReport(file, " and ".join(libraries), text, ported, tuple(dict.fromkeys(findings)), is_old)


def _changed(old: str, new: str) -> Iterator[Finding]:
    """Findings for the lines that differ."""
    if old == new:
        return
    before, after = old.splitlines(), new.splitlines()
    for kind, start, stop, first, last in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        olds, news = before[start:stop], after[first:last]
        for place in range(max(len(olds), len(news))):
            was = olds[place].strip() if place < len(olds) else "a new line"
            yield Finding("changed", start + place + 1, was, news[place].strip() if place < len(news) else "no line")
