"""Docstrings and pages are in plain terms: words that hide the subject of a sentence stay out."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[2]
MODULES = sorted((ROOT / "loopjax").rglob("*.py"))
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
]

FIRST_WORDS = {"What", "Whether", "How", "Those"}
"""First words of a docstring that names no class, value or action."""

PHRASES = re.compile(r"\b(of which|so many|behind the)\b", flags=re.IGNORECASE)


def docstrings(source):
    """Lines and texts of the strings that document a module, class, function or the assignment before them."""
    for node in ast.walk(ast.parse(source)):
        for statement in getattr(node, "body", ()) if isinstance(getattr(node, "body", ()), list) else ():
            value = getattr(statement, "value", None) if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield statement.lineno, value.value


def unclear(source):
    """Lines of docstrings that begin with one of ``FIRST_WORDS``."""
    firsts = ((line, re.match(r"\W*(\w+)", text)) for line, text in docstrings(source))
    return [line for line, first in firsts if first and first[1] in FIRST_WORDS]


def phrases(text):
    """The phrases in a text, also where one is broken over two lines."""
    return [match[0] for match in PHRASES.finditer(re.sub(r"[\s#]+", " ", text))]


def name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_docstrings_begin_with_their_subject(path):
    lines = unclear(path.read_text())
    assert not lines


@pytest.mark.parametrize("path", [*MODULES, *PAGES], ids=name)
def test_phrases(path):
    found = phrases(path.read_text())
    assert not found


def test_the_checks_see_what_they_name():
    source = (
        'def f():\n    """Whether it is.\n\n    A value of\n    which nothing is read."""\n\n\nX = 1\n"""Howard."""\n'
    )
    assert unclear(source) == [2]
    assert phrases(source) == ["of which"]
    assert not phrases("of what; behind them; many")
