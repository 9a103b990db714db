"""Division of Python 2: ``/`` of two integers becomes ``//``.

``kinds`` infers what is an integer and what is a float. Where neither operand is a float and the result is used as a
size or an index, both must be integers. A quotient is reported where an operand is
unknown and none is a float.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from loopjax.port.kinds import FLOAT, INT, Kinds
from loopjax.port.report import Finding
from loopjax.port.source import Source, called

SIZE_KEYWORDS = {
    "size",
    "shape",
    "n_steps",
    "image_shape",
    "filter_shape",
    "n_in",
    "n_out",
    "length",
    "bins",
}


def divide(source: Source) -> Iterator[Finding]:
    """Edit the divisions of a source; yield a finding for each changed line and for each quotient to look at."""
    kinds = Kinds(source)
    for node in source.nodes:
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            yield from _divided(source, node, kinds)


def _divided(source: Source, node: ast.BinOp | ast.AugAssign, kinds: Kinds) -> Iterator[Finding]:
    left, right = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
    sides = {kinds.of(left), kinds.of(right)}
    text = source.segment(node)
    sized = isinstance(node, ast.BinOp) and _is_size(source, node)
    if sides == {INT} or (sized and FLOAT not in sides):
        source.edit(source.between(left, right), "/", "//")
        yield Finding("changed", node.lineno, text, "/ of integers is // in Python 3")
    elif sized:
        source.edit(source.span(node), text, f"int({text})")
        yield Finding("changed", node.lineno, text, "a size is an int")
    elif FLOAT not in sides:
        yield Finding("note", node.lineno, text, "of two integers Python 2 gave the floor, which is // in Python 3")


def _is_size(source: Source, node: ast.expr) -> bool:
    """Test if a value is used as an index, a size or a count of steps."""
    inner: ast.AST = node
    outer = source.parents.get(inner)
    while isinstance(outer, (ast.BinOp, ast.UnaryOp, ast.Tuple, ast.List, ast.Slice)):
        if isinstance(outer, ast.BinOp) and not isinstance(outer.op, (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv)):
            return False
        inner, outer = outer, source.parents.get(outer)
    if isinstance(outer, ast.Subscript):
        return outer.slice is inner and not isinstance(outer.value, ast.Dict)
    if isinstance(outer, ast.keyword):
        is_drawn = outer.arg in ("low", "high") and called(source.parents[outer]) in ("randint", "random_integers")
        return outer.arg in SIZE_KEYWORDS or is_drawn
    if isinstance(outer, ast.Call) and inner in outer.args:
        name = called(outer)
        return name in ("range", "zeros", "ones", "eye", "empty", "reshape", "alloc") and _takes_size(
            name, outer, inner
        )
    return False


def _takes_size(name: str, call: ast.Call, argument: ast.AST) -> bool:
    """Test if a positional argument of a function is a size; ``alloc`` begins with a value."""
    return name != "alloc" or call.args.index(argument) > 0  # type: ignore[arg-type]
