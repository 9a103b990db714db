"""Imports of Theano, Aesara and PyTensor become those of ``loopjax.compat``; local names stay."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from loopjax.compat import LIBRARIES
from loopjax.port.report import Finding
from loopjax.port.source import Source

PREFIX = "loopjax.compat."

BUILT_ON = {
    "theano": (
        "lasagne",
        "blocks",
        "fuel",
        "keras",
        "pymc3",
        "pylearn2",
        "nolearn",
        "theanets",
        "deepy",
        "sklearn_theano",
    ),
    "pytensor": ("pymc",),
}
"""Packages that import a library themselves."""


class Bound(NamedTuple):
    """A local name and the path in a library that it stands for, ``theano.tensor`` for ``T``."""

    name: str
    path: str
    line: int


def library_of(path: str) -> str | None:
    """The library of a dotted path, if it is one of the three."""
    first = path.partition(".")[0]
    return first if first in LIBRARIES else None


def change_imports(source: Source) -> Iterator[Finding]:
    """Edit the imports of a source, and yield a finding for each."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if library_of(alias.name):
                    new = _alias(alias)
                    source.edit(source.span(alias), source.segment(alias), new)
                    yield Finding("changed", alias.lineno, source.segment(alias))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level and library_of(node.module):
            text = source.segment(node)
            module = re.match(r"from\s+", text)
            assert module is not None
            start = source.span(node)[0] + module.end()
            source.edit((start, source.span(node)[1]), node.module, PREFIX + node.module)
            yield Finding("changed", node.lineno, f"from {node.module}")


def _alias(alias: ast.alias) -> str:
    """``import theano.tensor`` binds ``theano``, whose modules are all there once it is imported."""
    if alias.asname:
        return f"{PREFIX}{alias.name} as {alias.asname}"
    top = alias.name.partition(".")[0]
    return f"{PREFIX}{top} as {top}"


def bound_names(source: Source) -> Iterator[Bound]:
    """The local names that imports bind to a library or what stands for it, its modules and their names."""
    for node in source.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                path = alias.name.removeprefix(PREFIX)
                if library_of(path) and (alias.asname or path == alias.name):
                    path = path if alias.asname else path.partition(".")[0]
                    yield Bound(alias.asname or path, path, node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                path = f"{node.module}.{alias.name}".removeprefix(PREFIX)
                if library_of(path):
                    yield Bound(alias.asname or alias.name, path, node.lineno)


def other_packages(source: Source, own: Collection[str]) -> Iterator[Finding]:
    """A finding for each package that is built on a library, but for one's ``own``."""
    said = set(own)
    for node in source.nodes:
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or ""]
        else:
            continue
        for library, packages in BUILT_ON.items():
            for name in {module.partition(".")[0] for module in modules}.intersection(packages) - said:
                said.add(name)
                text = f'imports {library} itself: call loopjax.compat.install("{library}") before it is imported'
                yield Finding("change", node.lineno, f"import {name}", text)
