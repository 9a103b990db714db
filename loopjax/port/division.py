"""Division of Python 2: ``/`` of two integers becomes ``//``.

What is an integer is inferred in each scope: literals, lengths and sizes, loop counters, parameters with integer
defaults, and names that are assigned nothing else. Where only one operand is known to be one and the result is used as
a size or an index, so must the other be. A quotient that has one integer operand and neither is reported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from loopjax.port.report import Finding
from loopjax.port.source import Source, dotted, scopes

INTEGER_VARIABLES = re.compile(r"[bilw](scalar|vector|matrix|row|col|tensor[3-7])")
"""Constructors of variables of integers, whose quotients Theano rounded down too."""

REDUCTIONS = ("max", "min", "sum", "abs")
INTEGER_CALLS = {"int", "len", "ord", "round_", "argmax", "argmin"}
RANGES = {"range", "arange", "xrange"}
SIZE_KEYWORDS = {
    "size",
    "shape",
    "n_steps",
    "low",
    "high",
    "image_shape",
    "filter_shape",
    "n_in",
    "n_out",
    "length",
    "bins",
}


def divide(source: Source) -> Iterator[Finding]:
    """Edit the divisions of a source; yield a finding for each changed line and for each quotient to look at."""
    attributes = _integers_of_objects(source)
    known: dict[ast.AST, set[str]] = {}
    for scope, own in scopes(source.tree):
        outer = next((known[one] for one in _enclosing(source, scope) if one in known), set())
        known[scope] = names = _integers(scope, own, outer, attributes)
        for node in own:
            if isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.Div):
                yield from _divided(source, node, names, attributes)


def _divided(
    source: Source, node: ast.BinOp | ast.AugAssign, names: set[str], attributes: set[str]
) -> Iterator[Finding]:
    left, right = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
    sides = [_is_integer(side, names, attributes) for side in (left, right)]
    floats = any(_is_float(side) for side in (left, right))
    text = source.segment(node)
    sized = isinstance(node, ast.BinOp) and _is_size(source, node)
    if all(sides) or (sized and not floats):
        spaces = source.between(left, right)
        source.edit(spaces, "/", "//")
        yield Finding("changed", node.lineno, text, "/ of integers is // in Python 3")
    elif sized:
        source.edit(source.span(node), text, f"int({text})")
        yield Finding("changed", node.lineno, text, "a size is an int")
    elif any(sides) and not floats and not _is_call(left) and not isinstance(right, ast.Constant):
        yield Finding("note", node.lineno, text, "of two integers Python 2 gave the floor, which is // in Python 3")


def _is_call(node: ast.expr) -> bool:
    return isinstance(node, (ast.Call, ast.BinOp))


def _enclosing(source: Source, scope: ast.AST) -> Iterator[ast.AST]:
    while scope in source.parents:
        scope = source.parents[scope]
        yield scope


def _integers(scope: ast.AST, own: list[ast.AST], outer: set[str], attributes: set[str]) -> set[str]:
    """The names of a scope that are integers wherever they are assigned."""
    names, others = set(outer), set[str]()
    if isinstance(scope, (ast.FunctionDef, ast.Lambda)):
        plain = [*scope.args.posonlyargs, *scope.args.args]
        names -= {one.arg for one in [*plain, *scope.args.kwonlyargs]}
        defaults = scope.args.defaults
        pairs = zip(plain[len(plain) - len(defaults) :], defaults, strict=True)
        names |= {one.arg for one, value in pairs if _is_integer(value, set(), set())}
    changed = True
    while changed:
        before = (len(names), len(others))
        for node in own:
            for target, value in _assigned(node):
                (names if value is True or (value and _is_integer(value, names, attributes)) else others).add(target)
        changed = (len(names), len(others)) != before
    certain = {name for name in names if name not in others}
    # A name that depended on one that is also something else.
    for node in own:
        for target, value in _assigned(node):
            if target in certain and not (value is True or (value and _is_integer(value, certain, attributes))):
                certain.discard(target)
    return certain


def _assigned(node: ast.AST) -> Iterator[tuple[str, ast.expr | bool | None]]:
    """The names that a node assigns, each with its value, ``True`` for an integer and ``None`` for anything."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _paired(target, node.value)
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield node.target.id, node.value
    elif isinstance(node, (ast.For, ast.comprehension)):
        yield from _counted(node.target, node.iter)
    elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
        yield node.optional_vars.id, None


def _paired(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr | bool | None]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, (ast.Tuple, ast.List)):
        if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
            for one, other in zip(target.elts, value.elts, strict=True):
                yield from _paired(one, other)
        else:
            is_shape = isinstance(value, ast.Attribute) and value.attr == "shape"
            yield from ((one.id, True if is_shape else None) for one in target.elts if isinstance(one, ast.Name))


def _counted(target: ast.expr, over: ast.expr) -> Iterator[tuple[str, bool | None]]:
    called = _called(over)
    if called == "enumerate" and isinstance(target, ast.Tuple) and isinstance(target.elts[0], ast.Name):
        yield target.elts[0].id, True
        target = target.elts[1]
        called = ""
    for one in ast.walk(target):
        if isinstance(one, ast.Name):
            yield one.id, True if called in RANGES else None


def _called(node: ast.AST) -> str:
    """The last name of the function that is called."""
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "list" and node.args:
        node = node.args[0]
    names = dotted(node.func) if isinstance(node, ast.Call) else None
    if names is None and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr
    return names[-1] if names else ""


def _integers_of_objects(source: Source) -> set[str]:
    """Names of attributes such as ``self.n_hidden`` that are assigned integers only."""
    integers, others = set[str](), set[str]()
    for scope, own in scopes(source.tree):
        names = _integers(scope, own, set(), set())
        for node in own:
            if not isinstance(node, ast.Assign):
                continue
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    (integers if _is_integer(node.value, names, set()) else others).add(target.attr)
    return integers - others


def _is_integer(node: ast.expr, names: set[str], attributes: set[str]) -> bool:
    """Test if an expression is certainly a Python or NumPy integer."""
    match node:
        case ast.Constant(value=value):
            return type(value) is int
        case ast.Name(id=name):
            return name in names
        case ast.Attribute(attr=name):
            return name in attributes or name in ("ndim", "size")
        case ast.Subscript(value=ast.Attribute(attr="shape")):
            return not isinstance(node.slice, ast.Slice)
        case ast.Call():
            return _is_integer_call(node, names, attributes)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return _is_integer(operand, names, attributes)
        case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() | ast.FloorDiv() | ast.Mod() | ast.Div() | ast.Pow()):
            return all(_is_integer(side, names, attributes) for side in (node.left, node.right))
        case ast.IfExp():
            return all(_is_integer(side, names, attributes) for side in (node.body, node.orelse))
    return False


def _is_integer_call(node: ast.Call, names: set[str], attributes: set[str]) -> bool:
    """Test if a call returns integers: Python's functions, counters, methods of integers, variables of Theano."""
    called = _called(node)
    if INTEGER_VARIABLES.fullmatch(called):
        return True
    arguments = all(_is_integer(one, names, attributes) for one in node.args)
    if isinstance(node.func, ast.Attribute) and called in REDUCTIONS:
        return _is_integer(node.func.value, names, attributes)
    if called in REDUCTIONS:
        return isinstance(node.func, ast.Name) and arguments
    return (called in INTEGER_CALLS and isinstance(node.func, ast.Name)) or (called == "arange" and arguments)


def _is_float(node: ast.expr) -> bool:
    return any(
        (isinstance(one, ast.Constant) and isinstance(one.value, float)) or _called(one) in ("float", "float32", "sqrt")
        for one in ast.walk(node)
    )


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
        return outer.arg in SIZE_KEYWORDS
    if isinstance(outer, ast.Call) and inner in outer.args:
        called = _called(outer)
        return called in ("range", "zeros", "ones", "eye", "empty", "reshape", "alloc") and _takes_size(
            called, outer, inner
        )
    return False


def _takes_size(called: str, call: ast.Call, argument: ast.AST) -> bool:
    """Test if a positional argument of a function is a size; ``alloc`` begins with a value."""
    return called != "alloc" or call.args.index(argument) > 0  # type: ignore[arg-type]
