"""``Source``: a text with its syntax tree, and edits of ranges of it that leave all else as it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property


class Source:
    """A source of Python 3. Edits are collected and applied together.

    Positions of the syntax tree are lines and bytes, so the text is edited as bytes.
    """

    def __init__(self, text: str, file: str = "<source>") -> None:
        self.text = text
        self.tree = ast.parse(text, file)
        self._data = text.encode()
        self._starts = [0]
        for line in self._data.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._edits: dict[tuple[int, int], bytes] = {}

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All nodes of the tree."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parent of each node."""
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def span(self, node: ast.expr | ast.stmt | ast.alias) -> tuple[int, int]:
        """The range of a node in bytes."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        return start, self._starts[node.end_lineno - 1] + node.end_col_offset

    def segment(self, node: ast.expr | ast.stmt | ast.alias) -> str:
        """The text of a node."""
        start, stop = self.span(node)
        return self._data[start:stop].decode()

    def between(self, first: ast.expr, second: ast.expr) -> tuple[int, int]:
        """The range between two nodes."""
        return self.span(first)[1], self.span(second)[0]

    def edit(self, span: tuple[int, int], old: str, new: str) -> None:
        """Replace the first ``old`` in a range by ``new``; parts of an edited range are not edited again."""
        start = self._data.index(old.encode(), *span)
        stop = start + len(old.encode())
        if not any(first < stop and start < last for first, last in self._edits):
            self._edits[start, stop] = new.encode()

    def edited(self) -> str:
        """The text after all edits."""
        data = self._data
        for (start, stop), text in sorted(self._edits.items(), reverse=True):
            data = data[:start] + text + data[stop:]
        return data.decode()

    @property
    def is_edited(self) -> bool:
        return bool(self._edits)


def dotted(node: ast.AST) -> list[str] | None:
    """The names of ``a.b.c``, or ``None`` for another expression."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *reversed(names)] if isinstance(node, ast.Name) else None


def called(node: ast.AST) -> str:
    """The last name of the function that is called, or an empty text."""
    function = node.func if isinstance(node, ast.Call) else None
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def scopes(tree: ast.AST) -> Iterator[tuple[ast.AST, list[ast.AST]]]:
    """The module and each function, with the nodes of its own."""
    waiting = [tree]
    while waiting:
        scope = waiting.pop()
        own, level = [], list(ast.iter_child_nodes(scope))
        while level:
            node = level.pop()
            own.append(node)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                waiting.append(node)
            else:
                level.extend(ast.iter_child_nodes(node))
        yield scope, own
