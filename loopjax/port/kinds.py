"""Kinds of numbers: an expression of Python 2 is an integer, a float, or unknown, inferred over a whole file.

Abstract interpretation of assignments, without regard to their order: each name of a scope and each attribute begins
with no kind, takes the kinds of all values that are assigned to it, and is ``UNKNOWN`` where they differ. An array or a
variable has the kind of its elements. Parameters have the kinds of their defaults, unless a call passes the other kind.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import reduce
from typing import Literal

from loopjax.port.source import Source, called, dotted, scopes

Kind = Literal["none", "int", "float", "unknown"]
NONE: Kind = "none"
INT: Kind = "int"
FLOAT: Kind = "float"
UNKNOWN: Kind = "unknown"

_VARIABLE = re.compile(r"([bilwfdcz]?)(scalars?|vectors?|matrix|matrices|rows?|cols?|tensor[3-7]s?)")
"""Constructors of variables; the quotient of two of integers Theano rounded down too."""

_DTYPE = re.compile(r"(u?int|long|[ui][1248]$)|(float|complex|double|f[248]$)")

_INTS = {"int", "len", "ord", "long", "atoi", "atol"}
_INT_METHODS = {"argmax", "argmin", "argsort", "randint", "random_integers", "searchsorted"}
_FLOATS = {
    "arctan", "arctan2", "atof", "binary_crossentropy", "categorical_crossentropy", "clock", "cos", "cosh", "det",
    "erf", "erfc", "exp", "exp2", "expm1", "float", "gamma", "gammaln", "hard_sigmoid", "inv", "linspace", "log",
    "log10", "log1p", "log2", "logspace", "mean", "norm", "sigmoid", "sin", "sinh", "softmax", "softplus", "sqrt",
    "std", "tan", "tanh", "time", "true_div", "ultra_fast_sigmoid", "var",
}  # fmt: skip
_FLOAT_METHODS = {
    "mean", "std", "var", "norm", "uniform", "normal", "rand", "randn", "random_sample", "standard_normal", "laplace",
    "random", "exponential",
}  # fmt: skip
_FILLED = {"zeros", "ones", "empty", "eye", "identity"}
_SAME = {
    "sum", "max", "min", "abs", "abs_", "absolute", "prod", "product", "cumsum", "cumprod", "sqr", "square", "neg",
    "copy", "reshape", "flatten", "ravel", "transpose", "dimshuffle", "repeat", "tile", "take", "diag", "item", "sort",
    "get_value", "eval", "shared", "constant", "array", "asarray", "as_tensor_variable", "zeros_like", "ones_like",
    "clip", "squeeze", "roll", "patternbroadcast", "addbroadcast", "shape_padleft", "shape_padright",
    "disconnected_grad",
}  # fmt: skip
"""Functions and methods whose result has the kind of what they are given first."""
_JOINED = {
    "maximum", "minimum", "dot", "outer", "concatenate", "stack", "vstack", "hstack", "arange", "add", "subtract",
    "multiply", "mul", "sub", "mod",
}  # fmt: skip
"""Functions whose result has the common kind of all they are given."""
_OF_FLOATS = {"round", "floor", "ceil", "round_", "around", "iround", "trunc"}


def arithmetic(*kinds: Kind) -> Kind:
    """The kind of a sum or product: a float makes a float of integers, and of what is unknown."""
    if NONE in kinds:
        return NONE
    if FLOAT in kinds:
        return FLOAT
    return INT if kinds and set(kinds) == {INT} else UNKNOWN


def either(first: Kind, second: Kind) -> Kind:
    """The kind of a value that is one of two."""
    if NONE in (first, second):
        return second if first == NONE else first
    return first if first == second else UNKNOWN


class Kinds:
    """The kinds of the expressions of a source."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._attributes: dict[str, Kind] = {}
        self._names: dict[ast.AST, dict[str, Kind]] = {}
        self._scope: dict[ast.AST, ast.AST] = {}
        self._modules = {
            (alias.asname or alias.name).partition(".")[0]
            for node in source.nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        }
        self._functions = {node.name for node in source.nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        self._calls: dict[str, list[ast.Call]] = {}
        for node in source.nodes:
            if isinstance(node, ast.Call):
                self._calls.setdefault(called(node), []).append(node)
        self._infer()

    def of(self, node: ast.expr) -> Kind:
        """The kind of an expression."""
        kind = self._of(node, self._scope_of(node))
        return UNKNOWN if kind == NONE else kind

    def _scope_of(self, node: ast.AST) -> ast.AST:
        while node not in self._names:
            node = self._source.parents[node]
        return node

    def _infer(self) -> None:
        """Fixed point over all assignments; each kind only rises, from none to a number to unknown."""
        assigned: list[tuple[dict[str, Kind], str, ast.AST, ast.expr | Kind]] = []
        for scope, own in scopes(self._source.tree):
            names = self._names[scope] = {}
            shared = {name for node in own if isinstance(node, ast.Global) for name in node.names}
            for name, kind in self._parameters(scope):
                names[name] = kind
            for node in own:
                for target, value in _assigned(node):
                    if isinstance(target, ast.Attribute):
                        assigned.append((self._attributes, target.attr, scope, value))
                        continue
                    store = self._names[self._source.tree] if target.id in shared else names
                    assigned.append((store, target.id, scope, value))
                    if isinstance(self._source.parents.get(node), ast.ClassDef):
                        assigned.append((self._attributes, target.id, scope, value))
        for store, name, _, _ in assigned:
            store.setdefault(name, NONE)
        changed = True
        while changed:
            changed = False
            for store, name, scope, value in assigned:
                kind = either(store[name], value if isinstance(value, str) else self._of(value, scope))
                changed |= kind != store[name]
                store[name] = kind

    def _parameters(self, scope: ast.AST) -> Iterator[tuple[str, Kind]]:
        """The parameters of a function, each with the kind of its default where calls do not pass another."""
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return
        every = scope.args
        plain = [*every.posonlyargs, *every.args]
        defaults = dict(
            zip([one.arg for one in plain[len(plain) - len(every.defaults) :]], every.defaults, strict=True)
        )
        is_method = bool(plain) and plain[0].arg in ("self", "cls")
        name = getattr(scope, "name", "")
        if name == "__init__":
            name = getattr(self._source.parents[scope], "name", name)
        for place, one in enumerate(plain):
            kind = _literal(defaults[one.arg]) if one.arg in defaults else UNKNOWN
            for call in self._calls.get(name, ()):
                at = place - is_method
                passed = [word.value for word in call.keywords if word.arg == one.arg]
                passed += call.args[at : at + 1] if at >= 0 else []
                kind = reduce(either, map(_literal_or_none, passed), kind)
            yield one.arg, kind
        for extra in (*every.kwonlyargs, every.vararg, every.kwarg):
            if extra is not None:
                yield extra.arg, UNKNOWN

    def _name(self, name: str, scope: ast.AST) -> Kind:
        inner: ast.AST | None = scope
        while inner is not None:
            if name in self._names.get(inner, ()):
                return self._names[inner][name]
            inner = self._source.parents.get(inner)
        return UNKNOWN

    def _of(self, node: ast.expr, scope: ast.AST) -> Kind:
        match node:
            case ast.Constant():
                return _literal(node)
            case ast.Name(id=name):
                return self._name(name, scope)
            case ast.Attribute(attr=name, value=value):
                if name in self._attributes:
                    return self._attributes[name]
                if name in ("T", "real", "imag", "flat"):
                    return self._of(value, scope)
                return INT if name in ("ndim", "size", "shape") else FLOAT if name in ("pi", "inf", "nan") else UNKNOWN
            case ast.Subscript(value=value):
                return self._of(value, scope)
            case ast.Call():
                return self._of_call(node, scope)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Invert(), operand=operand):
                return self._of(operand, scope)
            case ast.BinOp(op=op, left=left, right=right):
                if isinstance(op, ast.Pow) and isinstance(right, ast.UnaryOp):
                    return FLOAT
                return arithmetic(self._of(left, scope), self._of(right, scope))
            case ast.IfExp(body=body, orelse=orelse):
                return either(self._of(body, scope), self._of(orelse, scope))
            case ast.BoolOp(values=values):
                return reduce(either, [self._of(one, scope) for one in values])
        return UNKNOWN

    def _given(self, node: ast.expr, scope: ast.AST) -> Kind:
        """The kind of an argument, which may be a list of numbers."""
        match node:
            case ast.List(elts=elements) | ast.Tuple(elts=elements) if elements:
                return arithmetic(*(self._given(one, scope) for one in elements))
            case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element):
                return self._given(element, scope)
        return self._of(node, scope)

    def _of_call(self, node: ast.Call, scope: ast.AST) -> Kind:
        """The kind of the result of a call: Python's functions, NumPy's and the library's, and their methods."""
        name, path = called(node), dotted(node.func)
        if path is not None and len(path) == 1 and name in self._functions:
            return UNKNOWN
        is_method = isinstance(node.func, ast.Attribute) and (path is None or path[0] not in self._modules)
        dtype = _dtype_argument(node, name)
        if dtype is not None:
            if isinstance(dtype, ast.Attribute) and dtype.attr == "dtype":
                return self._of(dtype.value, scope)
            return _dtype(dtype)
        variable = _VARIABLE.fullmatch(name)
        if variable and not (is_method and not variable[1]):
            return INT if variable[1] and variable[1] in "bilw" else FLOAT
        if name in _INT_METHODS or (name in _INTS and not is_method):
            return INT
        if name in _FLOAT_METHODS or (not is_method and (name in _FLOATS or name in _FILLED)):
            return FLOAT
        if not is_method and _DTYPE.fullmatch(name.rstrip("0123456789_")):
            return _dtype_of(name)
        arguments = [*node.args, *(word.value for word in node.keywords if word.arg in ("value", "x", "input"))]
        kinds = [self._given(one, scope) for one in arguments]
        if is_method and isinstance(node.func, ast.Attribute) and (name in _SAME or name == "dot"):
            own = self._of(node.func.value, scope)
            return arithmetic(own, *kinds) if name == "dot" else own
        if is_method:
            return UNKNOWN
        if name in ("range", "xrange"):
            return INT
        if name in ("list", "reversed", "sorted"):
            return kinds[0] if kinds else UNKNOWN
        if name in ("switch", "where", "ifelse"):
            return arithmetic(*kinds[1:])
        if name in _JOINED or (name in ("max", "min") and path is not None and len(path) == 1):
            return arithmetic(*kinds)
        if name in _SAME and kinds:
            return kinds[0]
        if name == "round" and isinstance(node.func, ast.Name):
            return FLOAT
        if name in _OF_FLOATS and kinds:
            return FLOAT if kinds[0] == FLOAT else NONE if kinds[0] == NONE else UNKNOWN
        return UNKNOWN


def _dtype_argument(node: ast.Call, name: str) -> ast.expr | None:
    """The expression of a call that says its dtype."""
    for word in node.keywords:
        if word.arg == "dtype":
            return word.value
    place = {"astype": 0, "cast": 1, "zeros": 1, "ones": 1, "empty": 1, "asarray": 1, "array": 1, "_asarray": 1}.get(
        name
    )
    return node.args[place] if place is not None and len(node.args) > place else None


def _dtype(node: ast.expr) -> Kind:
    """The kind of a dtype, as a string or as a name such as ``numpy.int32`` or ``floatX``."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _dtype_of(node.value)
    path = dotted(node)
    return _dtype_of(path[-1]) if path else UNKNOWN


def _dtype_of(name: str) -> Kind:
    found = _DTYPE.match(name.lstrip("<>=|"))
    return UNKNOWN if found is None else INT if found[1] else FLOAT


def _literal(node: ast.expr) -> Kind:
    """The kind of an expression of literals."""
    match node:
        case ast.Constant(value=value):
            return INT if type(value) is int else FLOAT if isinstance(value, float | complex) else UNKNOWN
        case ast.UnaryOp(operand=operand):
            return _literal(operand)
        case ast.BinOp(left=left, right=right):
            return arithmetic(_literal(left), _literal(right))
    return UNKNOWN


def _literal_or_none(node: ast.expr) -> Kind:
    kind = _literal(node)
    return NONE if kind == UNKNOWN else kind


Target = ast.Name | ast.Attribute


def _assigned(node: ast.AST) -> Iterator[tuple[Target, ast.expr | Kind]]:
    """The names and attributes that a node assigns, each with its value or its kind."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _paired(target, value)
        case ast.AugAssign(target=ast.Name() | ast.Attribute() as target, op=op, value=value):
            yield target, ast.BinOp(left=target, op=op, right=value)
        case ast.For(target=target, iter=over) | ast.comprehension(target=target, iter=over):
            yield from _counted(target, over)
        case ast.withitem(optional_vars=ast.expr() as target):
            yield from _paired(target, None)
        case ast.ExceptHandler(name=str(name)) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            yield ast.Name(id=name), UNKNOWN
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            for alias in aliases:
                yield ast.Name(id=(alias.asname or alias.name).partition(".")[0]), UNKNOWN


def _paired(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[Target, ast.expr | Kind]]:
    """The targets of an assignment, with an element of the value where it is written out, or all of it."""
    if isinstance(target, ast.Name | ast.Attribute):
        yield target, UNKNOWN if value is None else value
    elif isinstance(target, ast.Starred):
        yield from _paired(target.value, None)
    elif isinstance(target, ast.Tuple | ast.List):
        values: list[ast.expr | None] = [value] * len(target.elts)
        if isinstance(value, ast.Tuple | ast.List):
            same = len(value.elts) == len(target.elts)
            values = [*value.elts] if same else [None] * len(target.elts)
        for one, other in zip(target.elts, values, strict=True):
            yield from _paired(one, other)


def _counted(target: ast.expr, over: ast.expr) -> Iterator[tuple[Target, ast.expr | Kind]]:
    """The targets of a loop: counters, and elements of what the loop is over."""
    name = called(over)
    arguments = over.args if isinstance(over, ast.Call) else []
    if name == "list" and arguments:
        yield from _counted(target, arguments[0])
    elif isinstance(over, ast.Tuple | ast.List):
        for element in over.elts:
            yield from _paired(target, element)
    elif isinstance(target, ast.Tuple) and name == "enumerate" and len(target.elts) == 2 and arguments:
        yield from _paired(target.elts[0], ast.Constant(value=0))
        yield from _counted(target.elts[1], arguments[0])
    elif isinstance(target, ast.Tuple) and name in ("zip", "izip") and len(target.elts) == len(arguments):
        for one, argument in zip(target.elts, arguments, strict=True):
            yield from _counted(one, argument)
    else:
        yield from _paired(target, over)
