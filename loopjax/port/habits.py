"""Habits of programs of the time that do something else here: found by the syntax tree, each with what to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from loopjax.port.report import Finding
from loopjax.port.source import Source

STREAMS = {"RandomStreams", "MRG_RandomStreams", "RandomStream", "RandomVariable", "default_rng"}


def habits(source: Source, uses_library: bool) -> Iterator[Finding]:
    """Findings for what needs a change or a look."""
    if not uses_library:
        return
    streams = True
    for node in source.nodes:
        match node:
            case ast.ClassDef():
                yield from _op_in_c(node)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in STREAMS and streams:
                streams = False  # said once
                yield Finding("note", node.lineno, name, "draws other numbers for the same seed")
            case ast.Call(func=ast.Attribute(attr="load" | "loads", value=ast.Name(id="pickle")), keywords=[]):
                text = "a pickle of Python 2 needs encoding='latin1'; one with Theano's objects cannot be read"
                yield Finding("note", node.lineno, source.segment(node), text)
            case ast.Attribute(attr="fgraph"):
                text = "the graph and its ops are LoopJAX's: loopjax.explain(f) says how loops are compiled"
                yield Finding("note", node.lineno, source.segment(node), text)


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
