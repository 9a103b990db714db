"""Habits of programs of the time that do something else here: found by the syntax tree, each with what to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from loopjax.port.report import Finding
from loopjax.port.source import Source, scopes

STREAMS = {"RandomStreams", "MRG_RandomStreams", "RandomStream", "RandomVariable", "default_rng"}
IN_PLACE = {"fill", "sort", "resize", "put", "itemset", "partition"}
"""Methods of arrays that write into them."""


def habits(source: Source, uses_library: bool) -> Iterator[Finding]:
    """Findings for what needs a change or a look; what writes into a shared variable's value is edited."""
    if not uses_library:
        return
    streams = True
    for node in source.nodes:
        match node:
            case ast.ClassDef():
                yield from _op_in_c(node)
            case ast.Assign(targets=[ast.Subscript(value=value)]) | ast.AugAssign(target=ast.Subscript(value=value)):
                yield from _written(source, node, value)
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name, value=value))) if name in IN_PLACE:
                yield from _written(source, node, value)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in STREAMS and streams:
                streams = False  # said once
                yield Finding("note", node.lineno, name, "draws other numbers for the same seed")
            case ast.Call(func=ast.Attribute(attr="load" | "loads", value=ast.Name(id="pickle")), keywords=[]):
                text = "a pickle of Python 2 needs encoding='latin1'; one with Theano's objects cannot be read"
                yield Finding("note", node.lineno, source.segment(node), text)
            case ast.Attribute(attr="fgraph"):
                text = "the graph and its ops are LoopJAX's: loopjax.explain(f) says how loops are compiled"
                yield Finding("note", node.lineno, source.segment(node), text)
    for _, own in scopes(source.tree):
        yield from _kept(source, own)


def _op_in_c(node: ast.ClassDef) -> Iterator[Finding]:
    methods = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
    if "c_code" in methods:
        if methods & {"perform", "impl"}:
            yield Finding(
                "note", node.lineno, f"class {node.name}", "its C code is not compiled: perform runs in Python"
            )
        else:
            text = "its C code is not compiled: write perform, or use loopjax.wrap_jax(fn) for a function of JAX"
            yield Finding("change", node.lineno, f"class {node.name}", text)


def _is_get_value(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get_value"


def _written(source: Source, node: ast.stmt, value: ast.expr) -> Iterator[Finding]:
    """Edit ``w.get_value(borrow=True)[0] = x``, which changes a copy, so that it sets the value."""
    if not _is_get_value(value):
        return
    assert isinstance(value, ast.Call)
    assert isinstance(value.func, ast.Attribute)
    old, got, owner = source.segment(node), source.segment(value), source.segment(value.func.value)
    new = f"_value = {got}; {old.replace(got, '_value', 1)}; {owner}.set_value(_value)"
    source.edit(source.span(node), old, new)
    yield Finding("changed", node.lineno, old, f"{new}, since get_value(borrow=True) is a copy")


def _kept(source: Source, own: list[ast.AST]) -> Iterator[Finding]:
    """Findings for names of borrowed values that a scope writes into and does not set."""
    held = {
        target.id: node.value
        for node in own
        if isinstance(node, ast.Assign) and _is_get_value(node.value)
        for target in node.targets
        if isinstance(target, ast.Name) and any(word.arg == "borrow" for word in getattr(node.value, "keywords", ()))
    }
    given = {
        inner.id
        for node in own
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "set_value"
        for argument in node.args
        for inner in ast.walk(argument)
        if isinstance(inner, ast.Name)
    }
    for target in (target for node in own for target in _written_into(node)):
        if isinstance(target.value, ast.Name) and target.value.id in held.keys() - given:
            name, got = target.value.id, source.segment(held[target.value.id])
            text = f"{name} is a copy of {got}: call set_value({name}) after it"
            yield Finding("change", target.lineno, source.segment(target), text)


def _written_into(node: ast.AST) -> Iterator[ast.Subscript]:
    """The elements that a statement assigns."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    yield from (target for target in targets if isinstance(target, ast.Subscript))
