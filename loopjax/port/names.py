"""Names of a library, looked up in ``loopjax.compat`` itself: those that exist, are elsewhere, or are missing."""

from __future__ import annotations

import ast
import builtins
import difflib
import importlib
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any

from loopjax.compat.flags import Flags, Section
from loopjax.compat.stubs import Unavailable
from loopjax.port.imports import PREFIX, Bound, library_of
from loopjax.port.report import Finding
from loopjax.port.source import Source, dotted

PLACES = (
    "", "tensor", "tensor.nnet", "tensor.signal.pool", "gradient", "tensor.random", "tensor.special", "tensor.linalg",
    "tensor.nlinalg", "tensor.slinalg", "sparse", "ifelse", "compile", "gof", "graph", "printing", "sandbox.rng_mrg",
)  # fmt: skip
"""Modules in which a name that is not where it was is looked for."""

_MISSING = object()


def names(source: Source, bound: Sequence[Bound]) -> Iterator[Finding]:
    """Findings for each use of a name of a library; names that are elsewhere are edited where a module is at hand."""
    local = {one.name: one.path for one in bound if not one.path.endswith(".*")}
    for one in bound:
        if not one.path.endswith(".*") and look_up(one.path) is _MISSING:
            yield _elsewhere(source, None, one.path, one.line, local)
    inner = {node.value for node in source.nodes if isinstance(node, ast.Attribute)}
    for node in source.nodes:
        if isinstance(node, (ast.Attribute, ast.Name)) and node not in inner and isinstance(node.ctx, ast.Load):
            path = dotted(node)
            while path is None and isinstance(node, ast.Attribute):
                node = node.value
                path = dotted(node)
            if path and path[0] in local:
                yield from _found(source, node, ".".join([local[path[0]], *path[1:]]), local)
    yield from _starred(source, bound)


def _starred(source: Source, bound: Sequence[Bound]) -> Iterator[Finding]:
    """Findings for names that ``from theano.tensor import *`` may have brought."""
    modules = [one.path.removesuffix(".*") for one in bound if one.path.endswith(".*")]
    if not modules:
        return
    made = {node.id for node in source.nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    made |= {node.arg for node in source.nodes if isinstance(node, ast.arg)}
    made |= {node.name for node in source.nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    made |= {
        (a.asname or a.name).partition(".")[0]
        for node in source.nodes
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for a in node.names
    }
    made |= set(dir(builtins))
    for node in source.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in made:
            for module in modules:
                if look_up(f"{module}.{node.id}") is not _MISSING:
                    yield Finding("exists", node.lineno, f"{module}.{node.id}")


def _found(source: Source, node: ast.expr, path: str, local: dict[str, str]) -> Iterator[Finding]:
    value, outer = look_up(path), source.parents.get(node)
    is_used = (isinstance(outer, ast.Call) and outer.func is node) or isinstance(outer, ast.ClassDef)
    if value is _MISSING:
        if isinstance(node, ast.Attribute):  # another's import is a finding of its own
            yield _elsewhere(source, node, path, node.lineno, local)
    elif is_used and isinstance(value, type) and issubclass(value, Unavailable):
        yield Finding("missing", node.lineno, path, "can be imported, and raises UnsupportedError when it is used")
    else:
        yield Finding("exists", node.lineno, path)


@cache
def look_up(path: str) -> Any:
    """The value of a path in ``loopjax.compat``, or ``_MISSING``; attributes of values are not checked."""
    first, *rest = path.split(".")
    value: Any = importlib.import_module(PREFIX + first)
    for name in rest:
        if not isinstance(value, (ModuleType, Flags, Section)):
            return value
        try:
            value = getattr(value, name)
        except AttributeError:
            return _MISSING
    return value


def _public(module: str) -> dict[str, Any]:
    """The names of a module in ``loopjax.compat``."""
    found = sys.modules.get(PREFIX + module)
    return {name: value for name, value in vars(found).items() if name[0] != "_"} if found else {}


def _elsewhere(source: Source, node: ast.Attribute | None, path: str, line: int, local: dict[str, str]) -> Finding:
    """The finding for a name that is not at its path."""
    library, name = library_of(path), path.rpartition(".")[2]
    for place in PLACES:
        module = ".".join(part for part in (library, place) if part)
        value = _public(module).get(name)
        if value is None or (isinstance(value, type) and issubclass(value, Unavailable)):
            continue
        at_hand = [one for one, bound in local.items() if bound == module]
        if node is not None and at_hand:
            new = f"{at_hand[0]}.{name}"
            source.edit(source.span(node), source.segment(node), new)
            return Finding("renamed", line, path, f"written as {new}")
        return Finding("change", line, path, f"write {PREFIX}{module}.{name}")
    known = [name for place in PLACES for name in _public(".".join(filter(None, (library, place))))]
    near = difflib.get_close_matches(name, known, 1)
    return Finding("missing", line, path, f"the nearest name is {near[0]}" if near else "")
