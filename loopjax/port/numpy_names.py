"""Names of NumPy and of the standard library that newer versions no longer have, and what to write instead."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from loopjax.port.report import Finding
from loopjax.port.source import Source, dotted

NUMPY = {
    "float": "float64", "int": "int64", "bool": "bool_", "object": "object_", "str": "str_", "complex": "complex128",
    "long": "int64", "unicode": "str_", "float_": "float64", "complex_": "complex128", "unicode_": "str_",
    "string_": "bytes_", "Inf": "inf", "Infinity": "inf", "infty": "inf", "NaN": "nan", "NAN": "nan", "PINF": "inf",
    "product": "prod", "cumproduct": "cumprod", "alltrue": "all", "sometrue": "any", "round_": "round",
    "row_stack": "vstack",
    "bool8": "bool_", "int0": "intp", "mat": "asmatrix", "longfloat": "longdouble",
    "in1d": "isin", "trapz": "trapezoid", "rank": "ndim", "msort": "sort",
}  # fmt: skip
"""Names that NumPy no longer has, and its names of the same."""

LIBRARY = {
    "time.clock": "time.perf_counter",
    "inspect.getargspec": "inspect.getfullargspec",
    "string.letters": "string.ascii_letters",
    "string.lowercase": "string.ascii_lowercase",
    "string.uppercase": "string.ascii_uppercase",
    "string.maketrans": "str.maketrans",
    "string.atoi": "int",
    "string.atol": "int",
    "string.atof": "float",
    "operator.isCallable": "callable",
    "operator.sequenceIncludes": "operator.contains",
    "sys.maxint": "sys.maxsize",
    "base64.encodestring": "base64.encodebytes",
    "base64.decodestring": "base64.decodebytes",
    **{
        f"collections.{name}": f"collections.abc.{name}"
        for name in [
            "Callable",
            "Container",
            "Hashable",
            "Iterable",
            "Iterator",
            "ItemsView",
            "KeysView",
            "Mapping",
            "MappingView",
            "MutableMapping",
            "MutableSequence",
            "MutableSet",
            "Sequence",
            "Set",
            "Sized",
            "ValuesView",
        ]
    },
}
"""Names that the standard library no longer has."""


def change_names(source: Source) -> Iterator[Finding]:
    """Edit names that are gone, and yield a finding for each."""
    modules = {
        alias.asname or alias.name: alias.name
        for node in source.nodes
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    for node in source.nodes:
        if isinstance(node, ast.Call) and _is_cast(node.func, modules):
            yield _cast(source, node)
        path = dotted(node) if isinstance(node, ast.Attribute) else None
        if path is None or len(path) != 2 or path[0] not in modules:
            continue
        assert isinstance(node, ast.Attribute)
        module, (local, name) = modules[path[0]], path
        if module == "numpy" and name in NUMPY:
            new = f"{local}.{NUMPY[name]}"
        elif f"{module}.{name}" in LIBRARY:
            new = LIBRARY[f"{module}.{name}"].replace(module, local, 1)
        else:
            continue
        source.edit(source.span(node), source.segment(node), new)
        yield Finding("changed", node.lineno, f"{local}.{name}", f"since {local}.{name} is gone")


def _is_cast(node: ast.expr, modules: dict[str, str]) -> bool:
    """Test for ``numpy.cast[dtype]``."""
    path = dotted(node.value) if isinstance(node, ast.Subscript) else None
    return path is not None and len(path) == 2 and modules.get(path[0]) == "numpy" and path[1] == "cast"


def _cast(source: Source, node: ast.Call) -> Finding:
    """Edit ``numpy.cast[dtype](x)`` around its two expressions."""
    assert isinstance(node.func, ast.Subscript)
    assert isinstance(node.func.value, ast.Attribute)
    old = source.segment(node)
    source.edit(source.between(node.func.value.value, node.func.slice), "cast[", "dtype(")
    after = source.span(node.func.slice)[1]
    source.edit((after, source.span(node)[1]), "]", ").type")
    return Finding("changed", node.lineno, old, "since numpy.cast is gone")
