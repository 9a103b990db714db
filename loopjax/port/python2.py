"""Python 2 to Python 3, by ``fissix``: the fixers of ``lib2to3``, which Python 3.13 no longer has.

``ast`` cannot read Python 2, and ``libcst`` and ``parso`` cannot either; ``fissix`` is the kept copy of the one parser
that reads both, with fixers that keep comments and formatting. Division is left to ``division``, which needs types.
"""

from __future__ import annotations

import ast
import re
import warnings
from functools import cache
from typing import Any

from loopjax.port.removed import BUILTINS, gone_names, made_names

LEFT_OUT = ("buffer", "callable", "idioms", "import", "isinstance", "metaclass", "operator", "set_literal", "ws_comma")
"""Fixers of what is right as it is, of style, and of imports between files, which scripts import by name."""

ATTRIBUTES = frozenset(
    ["has_key", "iteritems", "iterkeys", "itervalues", "viewitems", "viewkeys", "viewvalues", "getcwdu"]
)
"""Methods that only Python 2 has."""

IMPORTS = frozenset(
    [
        "cPickle",
        "cStringIO",
        "urllib2",
        "urlparse",
        "StringIO",
        "ConfigParser",
        "Queue",
        "sets",
        "md5",
        "sha",
        "__builtin__",
    ]
)
"""Modules that only Python 2 has."""

SPECIAL = frozenset(["__cmp__", "__getslice__", "__setslice__", "__delslice__"])
"""Methods that only Python 2 calls."""


def is_python2(text: str) -> bool:
    """Test if a source is of Python 2: Python 3 cannot read it, or it uses names that only Python 2 has."""
    try:
        tree = _parsed(text)
    except SyntaxError:
        return True
    if re.search(r"^\s*(from|import) loopjax\.compat\b", text, flags=re.MULTILINE):
        return False  # it is ported already
    made = made_names(tree)
    if any(module in ("string", "sys", "os", "os.path", "itertools", "operator") for _, module, _ in gone_names(tree)):
        return True
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in BUILTINS.keys() - made:
                return True
            case ast.Attribute(attr=name) if name in ATTRIBUTES:
                return True
            case ast.Import(names=aliases) if any(alias.name.partition(".")[0] in IMPORTS for alias in aliases):
                return True
            case ast.ImportFrom(module=str(module), level=0) if module.partition(".")[0] in IMPORTS:
                return True
            case ast.FunctionDef(name=name) if name in SPECIAL:
                return True
    return False


def has_true_division(text: str) -> bool:
    """Test if a source asks for the division of Python 3."""
    return bool(re.search(r"^from __future__ import [^#\n]*\bdivision\b", text, flags=re.MULTILINE))


def to_python3(text: str, file: str) -> str:
    """Return a source of Python 3.

    Raises
    ------
    SyntaxError
        It is neither Python 2 nor Python 3.
    ImportError
        ``fissix`` is not installed.
    """
    try:
        from fissix.pgen2.parse import ParseError
        from fissix.pgen2.tokenize import TokenError
    except ImportError:
        raise ImportError("Python 2 is read by fissix: pip install 'loopjax[port]'") from None
    whole = text if text.endswith("\n") else text + "\n"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fixed = str(_tool(has_print_function=_is_read(text)).refactor_string(whole, file))
    except (ParseError, TokenError) as error:
        raise SyntaxError(f"neither Python 2 nor Python 3: {error}") from None
    return fixed


@cache
def _tool(has_print_function: bool) -> Any:
    """The fixers; ``print`` stays where it is a function already."""
    from fissix import refactor

    left_out = {f"fissix.fixes.fix_{name}" for name in (*LEFT_OUT, *(["print"] * has_print_function))}
    names = refactor.get_fixers_from_package("fissix.fixes")
    return refactor.RefactoringTool(
        [name for name in names if name not in left_out], {"print_function": has_print_function}
    )


def _is_read(text: str) -> bool:
    try:
        _parsed(text)
    except SyntaxError:
        return False
    return True


def _parsed(text: str) -> ast.AST:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as "\d" in a string
        return ast.parse(text)
