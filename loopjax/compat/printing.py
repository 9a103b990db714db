"""Printing of the peers: graphs as text or picture, and values while a program runs."""

from __future__ import annotations

import io
from typing import Any

from loopjax.compat.functions import Function
from loopjax.compat.notes import note
from loopjax.errors import here
from loopjax.ir import printing as core
from loopjax.ir.graph import Graph, Variable
from loopjax.report.explain import explain


def debugprint(graph_like: Any, depth: int = -1, print_type: bool = False, file: Any = None, **options: Any) -> Any:
    """Print a graph as text; return the text with ``file="str"``."""
    shown = graph_like.compiled if isinstance(graph_like, Function) else graph_like
    items = shown if isinstance(shown, (list, tuple)) else [shown]
    if not all(isinstance(item, (Variable, Graph)) or hasattr(item, "graph") for item in items):
        raise TypeError(f"debugprint() takes variables, graphs or functions, got {graph_like!r:.80}{here()}")
    text = io.StringIO()
    core.dprint(shown, text)
    if file == "str":
        return text.getvalue()
    print(text.getvalue(), end="", file=file)
    return file


def pydotprint(fct: Any, outfile: Any = None, **options: Any) -> None:
    """Write the picture of ``explain`` as an HTML page; print its text where no file is named."""
    compiled = getattr(fct, "compiled", fct)
    if outfile is None or not hasattr(compiled, "stages"):
        print(explain(compiled) if hasattr(compiled, "stages") else core.pp(compiled))
        return
    path = str(outfile)
    if not path.endswith(".html"):
        path += ".html"
        note("pydotprint", f"writes the picture of explain, {path}")
    with open(path, "w") as file:
        file.write(explain(compiled)._repr_html_())


def pp(variable: Any, *args: Any) -> str:
    """Return a variable as an expression."""
    return core.pp(variable)


class _PPrinter:
    """The printer of expressions: called with a variable, it returns text."""

    def __call__(self, *args: Any) -> str:
        return core.pp(args[0])

    process = __call__

    def assign(self, *args: Any) -> None:
        """Accepted for old programs."""


pprint = _PPrinter()


def min_informative_str(variable: Any, *args: Any) -> str:
    """Return a variable as an expression."""
    return core.pp(variable)


def var_descriptor(variable: Any, *args: Any) -> str:
    """Return a variable as an expression."""
    return core.pp(variable)


def hex_digest(x: Any) -> str:
    """Return a digest of an array."""
    import hashlib

    return hashlib.sha256(bytes(memoryview(x))).hexdigest()
