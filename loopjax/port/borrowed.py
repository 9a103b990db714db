"""Borrowed values: arrays that a shared variable of Theano holds itself, and that a program writes into.

Here ``get_value(borrow=True)`` is a copy. A statement that writes into it is edited so that it sets the changed copy; a
name of it is followed through views, lists, loops and calls of functions in the file, and each write by way of such a
name is reported, unless ``set_value`` of that name follows. So are writes into an array that ``shared(x, borrow=True)``
was made of. Names in other files are not followed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from loopjax.port.report import Finding
from loopjax.port.source import Source, called, dotted, scopes

METHODS = {"fill", "sort", "resize", "put", "itemset", "partition", "setfield", "__setitem__", "__iadd__", "__imul__"}
"""Methods of arrays that write into them."""

FIRST = {"copyto", "fill_diagonal", "put", "place", "putmask", "put_along_axis", "shuffle", "at"}
"""Functions that write into their first argument."""

VIEWS = {"reshape", "ravel", "view", "transpose", "swapaxes", "squeeze", "diagonal", "values", "items", "iteritems"}
WRAPPERS = {"asarray", "asanyarray", "atleast_1d", "atleast_2d", "rollaxis", "moveaxis", "list", "reversed", "tuple"}
WRAPPERS |= {"ravel", "reshape", "transpose", "swapaxes", "squeeze", "enumerate", "zip", "izip", "dict", "iter", "next"}

OUT = {
    **dict.fromkeys(
        [
            "add",
            "subtract",
            "multiply",
            "divide",
            "true_divide",
            "floor_divide",
            "power",
            "maximum",
            "minimum",
            "mod",
            "remainder",
            "fmod",
            "dot",
            "logical_and",
            "logical_or",
            "arctan2",
        ],
        2,
    ),
    **dict.fromkeys(
        [
            "exp",
            "log",
            "sqrt",
            "tanh",
            "sin",
            "cos",
            "negative",
            "abs",
            "absolute",
            "square",
            "sign",
            "floor",
            "ceil",
            "log1p",
            "expm1",
            "reciprocal",
            "rint",
        ],
        1,
    ),
    "clip": 3,
}
"""Positions of ``out`` in functions of NumPy."""


INNER = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
"""Expressions with names of their own, which the statement around them does not have."""

FILLED = {"dict", "list", "OrderedDict", "defaultdict"}
"""Functions that make containers."""


class Loan(NamedTuple):
    """An array that a shared variable holds in Theano.

    ``owner`` is the text of the shared variable, ``name`` the name of the array, ``text`` and ``place`` are those of
    the expression that borrows; ``depth`` counts the containers around the array; ``is_sure`` is false after an index
    that may have made a copy.
    """

    owner: str
    text: str
    place: tuple[int, int]
    depth: int = 0
    is_sure: bool = True
    name: str = ""


class _Bound(NamedTuple):
    """A statement that gives a name a value, borrowed or not."""

    node: ast.AST
    loan: Loan | None


def borrowed(source: Source, uses_library: bool) -> Iterator[Finding]:
    """Edit statements that write into a borrowed value; yield findings for these and for writes by way of a name."""
    if uses_library:
        yield from _Loans(source).findings()


def is_borrowed(node: ast.AST) -> bool:
    """Test for ``w.get_value(borrow=True)``."""
    if not (isinstance(node, ast.Call) and called(node) == "get_value" and isinstance(node.func, ast.Attribute)):
        return False
    said = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "borrow")]
    return bool(said) and not (isinstance(said[0], ast.Constant) and not said[0].value)


class _Loans:
    """The borrowed values of a source by scope and name, and the functions that write into what they are given."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._scopes = list(scopes(source.tree))
        self._bound: dict[ast.AST, dict[str, list[_Bound]]] = {scope: {} for scope, _ in self._scopes}
        self._attributes: dict[str, list[_Bound]] = {}
        self._returns: dict[str, Loan] = {}
        self._writers: dict[str, set[int | str]] = {}
        self._edited: set[ast.AST] = set()
        self._find_writers()
        for _ in range(3):  # a function may return what another one does, a name stand for a later one
            self._attributes.clear()
            for scope, own in self._scopes:
                self._bound[scope].clear()
                self._bind(scope, own)

    def findings(self) -> Iterator[Finding]:
        for scope, own in self._scopes:
            for node in own:
                for target in self._written(node):
                    yield from self._finding(scope, own, node, target)

    def _finding(self, scope: ast.AST, own: list[ast.AST], node: ast.AST, target: ast.expr) -> Iterator[Finding]:
        direct = next((one for one in _bases(target) if is_borrowed(one)), None)
        statement = self._statement(node)
        if direct is not None and isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr):
            assert isinstance(direct, ast.Call)
            assert isinstance(direct.func, ast.Attribute)
            yield self._set(statement, direct, self._source.segment(direct.func.value))
            return
        loan = self._loan(target, scope, node)
        if loan is None or loan.depth or self._is_set(own, target, node, loan):
            return
        shown = statement if isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr) else node
        assert isinstance(shown, ast.stmt | ast.expr)
        call = f"{loan.owner or 'shared_variable'}.set_value({loan.name or 'array'})"
        text = f"{loan.text} is a copy here: call {call} after it"
        is_view = loan.is_sure or not (isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name))
        subject = self._source.segment(shown).splitlines()[0]
        yield Finding("change" if is_view else "note", shown.lineno, subject, text if is_view else f"if a view, {text}")

    def _set(self, statement: ast.stmt, direct: ast.expr, owner: str) -> Finding:
        """Edit a statement that writes into a value without a name, so that it sets the changed copy."""
        old, got = self._source.segment(statement), self._source.segment(direct)
        start, stop = self._source.span(statement)
        between = [one for one in self._outer(direct) if isinstance(one, INNER) and statement in self._outer(one)]
        if statement in self._edited or between:
            return Finding("change", statement.lineno, old, f"{got} is a copy here: call {owner}.set_value after it")
        self._edited.add(statement)
        self._source.edit((start, start), "", f"_value = {got}; ")
        self._source.edit(self._source.span(direct), got, "_value")
        self._source.edit((stop, stop), "", f"; {owner}.set_value(_value)")
        return Finding("changed", statement.lineno, old, "since get_value(borrow=True) is a copy")

    def _statement(self, node: ast.AST) -> ast.AST:
        while not isinstance(node, ast.stmt) and node in self._source.parents:
            node = self._source.parents[node]
        return node

    def _find_writers(self) -> None:
        """Find the parameters that functions write into, by way of other functions too."""
        changed = True
        while changed:
            changed = False
            for scope, own in self._scopes:
                if not isinstance(scope, ast.FunctionDef):
                    continue
                names = [one.arg for one in scope.args.args]
                shift = bool(names) and names[0] in ("self", "cls")
                views: dict[str, str] = {name: name for name in names}
                for node in sorted((one for one in own if isinstance(one, ast.Assign)), key=lambda one: one.lineno):
                    sources = [views[name] for name in _names(node.value) if name in views]
                    for target in node.targets:
                        if isinstance(target, ast.Name):
                            views.pop(target.id, None)
                            if sources and not isinstance(node.value, ast.List | ast.Tuple):
                                views[target.id] = sources[0]
                found: set[int | str] = set()
                for name in (name for node in own for target in self._written(node) for name in _names(target)):
                    if name in views:
                        found |= {views[name], names.index(views[name]) - shift}
                if not found <= self._writers.setdefault(scope.name, set()):
                    self._writers[scope.name] |= found
                    changed = True

    def _written(self, node: ast.AST) -> Iterator[ast.expr]:
        """The arrays that a node writes into, if they are arrays."""
        match node:
            case ast.Assign(targets=targets):
                for target in targets:
                    for one in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                        if isinstance(one, ast.Subscript) or (isinstance(one, ast.Attribute) and one.attr == "flat"):
                            yield one.value
            case ast.AugAssign(target=target):
                yield target
            case ast.Call(func=function, args=arguments, keywords=words):
                name = called(node)
                for word in words:
                    if word.arg == "out":
                        yield from word.value.elts if isinstance(word.value, ast.Tuple) else [word.value]
                if isinstance(function, ast.Attribute) and name in METHODS:
                    yield function.value
                if name in FIRST and (arguments and (isinstance(function, ast.Name) or not self._is_view(function))):
                    yield arguments[0]
                if name in FIRST and not arguments:
                    yield from (word.value for word in words if word.arg in ("dst", "a", "arr"))
                if name in OUT and len(arguments) > OUT[name] and isinstance(function, ast.Attribute):
                    yield arguments[OUT[name]]
                for which in self._writers.get(name, ()):
                    if isinstance(which, int) and 0 <= which < len(arguments):
                        yield arguments[which]
                    yield from (word.value for word in words if word.arg == which)

    def _is_view(self, function: ast.expr) -> bool:
        """Test if a method is one of a borrowed value itself, such as ``v.put``."""
        return isinstance(function, ast.Attribute) and any(is_borrowed(one) for one in _bases(function.value))

    def _bind(self, scope: ast.AST, own: list[ast.AST]) -> None:
        for node in sorted(own, key=lambda one: (getattr(one, "lineno", 0), getattr(one, "col_offset", 0))):
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self._pair(scope, node, target, value, 0)
                    self._lend(scope, node, value)
                case ast.For(target=target, iter=over):
                    self._loop(scope, node, target, over)
                case ast.comprehension(target=target, iter=over):
                    self._loop(scope, node, target, over)
                case ast.Expr(value=value):
                    self._lend(scope, node, value)
                    if called(value) in ("append", "insert") and isinstance(value, ast.Call) and value.args:
                        assert isinstance(value.func, ast.Attribute)
                        self._fill(scope, node, value.func.value, value.args[-1])
                case ast.Return(value=ast.expr() as value) if isinstance(scope, ast.FunctionDef):
                    if loan := self._loan(value, scope, node):
                        self._returns[scope.name] = loan

    def _pair(self, scope: ast.AST, node: ast.AST, target: ast.expr, value: ast.expr, out: int) -> None:
        """Bind a target to the value of a statement, taken out of ``out`` containers."""
        if isinstance(target, ast.Tuple | ast.List):
            if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts) and not out:
                for one, other in zip(target.elts, value.elts, strict=True):
                    self._pair(scope, node, one, other, 0)
            else:
                for one in target.elts:
                    self._pair(scope, node, one, value, out + 1)
            return
        path = dotted(target)
        if isinstance(target, ast.Subscript):
            self._fill(scope, node, target.value, value)
        if path is None:
            return
        loan = self._loan(value, scope, node)
        if loan is not None:
            name = ".".join(path) if is_borrowed(value) and not out else loan.name
            loan = loan._replace(depth=max(loan.depth - out, 0), name=name)
        self._places(scope, path).append(_Bound(node, loan))

    def _fill(self, scope: ast.AST, node: ast.AST, container: ast.expr, value: ast.expr) -> None:
        """Bind a container to what is put into it."""
        path, loan = dotted(container), self._loan(value, scope, node)
        if path is None or loan is None:
            return
        made = [one.node.value for one in self._places(scope, path) if isinstance(one.node, ast.Assign)]
        if any(isinstance(one, ast.List | ast.Dict) or called(one) in FILLED for one in made):
            self._places(scope, path).append(_Bound(node, loan._replace(depth=loan.depth + 1, owner="", name="")))

    def _loop(self, scope: ast.AST, node: ast.AST, target: ast.expr, over: ast.expr) -> None:
        """Bind the targets of a loop to elements of what it is over."""
        name = called(over)
        arguments = over.args if isinstance(over, ast.Call) else []
        elements = target.elts if isinstance(target, ast.Tuple) else []
        if name == "list" and arguments:
            self._loop(scope, node, target, arguments[0])
        elif name == "enumerate" and len(elements) == 2 and arguments:
            self._loop(scope, node, elements[1], arguments[0])
        elif name in ("zip", "izip") and len(elements) == len(arguments) and elements:
            for one, argument in zip(elements, arguments, strict=True):
                self._loop(scope, node, one, argument)
        elif name in ("items", "iteritems") and len(elements) == 2:
            assert isinstance(over, ast.Call)
            assert isinstance(over.func, ast.Attribute)
            self._loop(scope, node, elements[1], over.func.value)
        else:
            self._pair(scope, node, target, over, 1)

    def _lend(self, scope: ast.AST, node: ast.Assign | ast.Expr, value: ast.expr) -> None:
        """Bind the name of an array that ``shared(x, borrow=True)`` or ``set_value(x, borrow=True)`` is given."""
        is_lent = isinstance(value, ast.Call) and any(
            word.arg == "borrow" and isinstance(word.value, ast.Constant) and word.value.value
            for word in value.keywords
        )
        if not is_lent or called(value) not in ("shared", "set_value"):
            return
        assert isinstance(value, ast.Call)
        arguments = [*value.args[:1], *(word.value for word in value.keywords if word.arg in ("value", "new_value"))]
        path = dotted(arguments[0]) if arguments else None
        if path is None:
            return
        owner = dotted(node.targets[0]) if isinstance(node, ast.Assign) else None
        if owner == path:  # the name is the variable's from here on
            return
        if called(value) == "set_value" and isinstance(value.func, ast.Attribute):
            owner = dotted(value.func.value)
        loan = Loan(
            ".".join(owner or []), f"what {called(value)}(..., borrow=True) holds", _place(value), name=".".join(path)
        )
        self._places(scope, path).append(_Bound(node, loan))

    def _places(self, scope: ast.AST, path: list[str]) -> list[_Bound]:
        if len(path) > 1:
            return self._attributes.setdefault(".".join(path), [])
        return self._bound[scope].setdefault(path[0], [])

    def _loan(self, node: ast.expr, scope: ast.AST, place: ast.AST) -> Loan | None:
        """The borrowed value that an expression is, or is a view of."""
        if is_borrowed(node):
            assert isinstance(node, ast.Call)
            assert isinstance(node.func, ast.Attribute)
            return Loan(self._source.segment(node.func.value), self._source.segment(node), _place(node))
        path = dotted(node)
        if path is not None and (found := self._of_name(path, scope, place)):
            return found
        if isinstance(node, ast.Call) and called(node) in self._returns:
            return self._returns[called(node)]._replace(owner="", name="")
        inner = [loan for one in _steps(node) if (loan := self._loan(one, scope, place))]
        if not inner:
            return None
        loan = inner[0]
        match node:
            case ast.Subscript(slice=index) if loan.depth:
                return loan._replace(depth=loan.depth - 1)
            case ast.Subscript(slice=index):
                is_view = any(isinstance(one, ast.Slice) or _is_all(one) for one in ast.walk(index))
                return loan if is_view else loan._replace(is_sure=False)
            case ast.ListComp() | ast.GeneratorExp() | ast.DictComp():
                return loan._replace(depth=loan.depth + 1, owner="", name="")
            case ast.Call(func=ast.Name(id="dict")):
                return loan._replace(depth=max(loan.depth - 1, 1))
            case ast.List() | ast.Tuple() | ast.Dict():
                return loan._replace(depth=loan.depth + 1)
        return loan

    def _of_name(self, path: list[str], scope: ast.AST, place: ast.AST) -> Loan | None:
        """The loan that a name has at a place: by an assignment before it, and not taken by one in between."""
        inner: ast.AST | None = scope
        bound = self._attributes.get(".".join(path), []) if len(path) > 1 else []
        while len(path) == 1 and inner is not None and not bound:
            if (
                isinstance(inner, ast.FunctionDef | ast.Lambda)
                and path[0] in _parameters(inner)
                and inner not in (one for one, names in self._bound.items() if path[0] in names)
            ):
                return None
            bound = self._bound.get(inner, {}).get(path[0], [])
            if bound and inner is not scope:
                return next((one.loan for one in bound if one.loan), None)
            inner = self._source.parents.get(inner)
        for one in reversed(bound):
            if one.loan is None:
                if one.node is not place and self._dominates(one.node, place):
                    return None
            elif len(path) > 1 or self._may_follow(one.node, place):
                return one.loan
        return None

    def _dominates(self, first: ast.AST, second: ast.AST) -> bool:
        """Test if a statement is run whenever, and before, another one is."""
        outer, child = self._source.parents.get(first), second
        inner = self._source.parents.get(second)
        while inner is not None and inner is not outer:
            child, inner = inner, self._source.parents.get(inner)
        if inner is None or _place(first) >= _place(second):
            return False
        suites = [getattr(inner, name, None) for name in ("body", "orelse", "finalbody")]
        return any(isinstance(suite, list) and first in suite and child in suite for suite in suites)

    def _may_follow(self, first: ast.AST, second: ast.AST) -> bool:
        """Test if a node may be run after another: it stands below it, or in a loop with it."""
        if isinstance(first, ast.comprehension) or _place(first) < _place(second):
            return True
        loops = [one for one in self._outer(first) if isinstance(one, ast.For | ast.While)]
        return any(one in loops for one in self._outer(second))

    def _outer(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self._source.parents:
            node = self._source.parents[node]
            yield node

    def _is_set(self, own: list[ast.AST], target: ast.expr, node: ast.AST, loan: Loan) -> bool:
        """Test if ``set_value`` of the owner is called below a write with what is written into."""
        names = {tuple(path) for one in _bases(target) if (path := dotted(one))}
        for call in own:
            if not (
                isinstance(call, ast.Call) and called(call) == "set_value" and isinstance(call.func, ast.Attribute)
            ):
                continue
            if _place(call) < _place(node):
                continue
            if loan.owner and self._source.segment(call.func.value) != loan.owner:
                continue
            for argument in call.args:
                for one in ast.walk(argument):
                    path = dotted(one)
                    if path is None:
                        continue
                    again = self._loan(one, self._scope_of(call), call)  # type: ignore[arg-type]
                    if tuple(path) in names or (again is not None and again.place == loan.place):
                        return True
        return False

    def _scope_of(self, node: ast.AST) -> ast.AST:
        while node not in self._bound:
            node = self._source.parents[node]
        return node


def _place(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _names(node: ast.expr) -> list[str]:
    """The names that an expression may be a view of."""
    return [base.id for base in _bases(node) if isinstance(base, ast.Name)]


def _is_all(node: ast.AST) -> bool:
    """Test for an ellipsis or a new axis."""
    return isinstance(node, ast.Constant) and (node.value is Ellipsis or node.value is None)


def _parameters(scope: ast.FunctionDef | ast.Lambda) -> set[str]:
    return {one.arg for one in ast.walk(scope.args) if isinstance(one, ast.arg)}


def _steps(node: ast.expr) -> list[ast.expr]:
    """The expressions that an expression may be a view or a container of."""
    match node:
        case ast.Subscript(value=value) | ast.Attribute(attr="T" | "flat" | "real" | "imag" | "data", value=value):
            return [value]
        case ast.Call(func=ast.Attribute(attr=name, value=value), args=arguments):
            return (
                [value]
                if name in VIEWS and not (name in WRAPPERS and arguments and _is_module(value))
                else (arguments if name in WRAPPERS else [])
            )
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in WRAPPERS:
            return arguments
        case ast.ListComp(elt=element) | ast.GeneratorExp(elt=element) | ast.DictComp(value=element):
            return [element]
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return elements
        case ast.Dict(values=values):
            return values
        case ast.IfExp(body=body, orelse=orelse):
            return [body, orelse]
    return []


def _is_module(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("numpy", "np", "N")


def _bases(node: ast.expr) -> Iterator[ast.expr]:
    """An expression and those that it may be a view of, down to names and calls."""
    yield node
    for one in _steps(node):
        yield from _bases(one)
