"""Stabilizing rewrites: expressions that overflow, underflow or cancel become equal ones that do not.

A positive expression is known by its logarithm: ``exp(x)`` by ``x``, ``sigmoid(x)`` by ``-softplus(-x)``, a product by
a sum, a sum by ``logsumexp`` or ``logaddexp``. `LOGARITHMS` has a row for each op, so that any nesting of them is
found, also through indices and transpositions. The patterns, where ``p`` and ``q`` are positive by their form and ``u``
is any expression:

| pattern | replacement | source |
|---|---|---|
| ``log(p)`` | the logarithm of ``p`` | Theano: logsigm_to_softplus, local_log_add, local_logsoftmax |
| ``log(p - q)`` | ``log p + log1mexp(log q - log p)`` | Maechler 2012, Accurately computing log(1 - exp(-abs(a))) |
| ``log(p * u)``, ``log(u / p)`` | ``log p + log u``, ``log u - log p`` | the first row |
| ``log(1 + u)``, ``log(u**n)`` | ``log1p(u)``, ``n log(abs(u))`` | Theano: local_log1p |
| ``log(abs(det(u)))`` | the second result of ``slogdet`` | PyTensor: slogdet_specialization |
| ``exp(u) - 1``, ``1 - erf(u)``, ... | `COMPLEMENTS`: ``expm1(u)``, ``erfc(u)`` | Theano: local_one_minus_erf |
| ``exp(u) / sum(exp(u))``, also of ``u - max(u)`` | ``softmax(u)`` | Theano: softmax_simplifier |
| ``p / (p + q)``, ``u / (1 + q)`` | ``sigmoid(log p - log q)``, ``u sigmoid(-log q)`` | Theano: local_inv_1_plus_exp |
| ``(p - q) / (p + q)`` | ``tanh((log p - log q) / 2)`` | the definition of tanh |
| ``u / p``, ``p / q``, ``p * q``, ``sqrt(p)`` | an exponential, if one overflows | Theano: local_sigm_times_exp |
| ``exp(log(u))``, ``sqrt(u)**2``, ... | `INVERSES`: ``u`` | Theano: local_exp_log, local_sqrt_sqr |

A sum of ``exp(u - max(u))`` stays, since it is between 1 and the number of its terms. So does an average by weights,
``(exp(u) * v).sum() / exp(u).sum()``: a weight that overflows does so above and below.
Where the plain form is accurate, values change by rounding only. The pass runs before gradients are taken, which
therefore follow. A variable that a recorded gradient is taken by stays, as an ``identity`` that ends patterns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from itertools import permutations
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from loopjax.ir.autodiff import derivatives
from loopjax.ir.equality import computed_alike
from loopjax.ir.graph import Apply, Constant, Graph, Op, Variable, apply, copy_node
from loopjax.ir.index import view_axes
from loopjax.ir.op import table_op
from loopjax.ir.public_ops import ops
from loopjax.rewrite.driver import Context, Pass, Replacement

DEPTH = 16
"""Nodes that a positive expression is followed down to."""

TERMS = 8
"""Terms of a sum, or factors of a product, up to which it is taken apart."""


class Log(NamedTuple):
    """The logarithm of a positive expression, and if the expression may overflow to infinity or underflow to 0."""

    value: Variable
    overflows: bool = False
    underflows: bool = True


class Term(NamedTuple):
    """A term of a sum: a sign and a variable."""

    sign: int
    value: Variable


class Stabilize(Pass):
    """Replaces real floating-point expressions, in regions too."""

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        matcher = Matcher(graph)
        distinct = {variable for _, parts in derivatives(graph.applies) for variable in parts.wrt}

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
            is_distinct = not distinct.isdisjoint(node.outputs)
            if node.op.name not in RULES and not is_distinct:
                return None
            outputs = matcher.stable(node, node if inputs is node.inputs else copy_node(node, inputs))
            pairs = zip(node.outputs, outputs, strict=True)
            return [ops.identity(new) if old in distinct else new for old, new in pairs] if is_distinct else outputs

        return graph.rebuilt(transform=transform)


class Matcher:
    """The logarithms found in one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._old: dict[Variable, Variable] = {}
        self._logs: dict[Variable, Log | None] = {}

    def stable(self, old: Apply, node: Apply) -> tuple[Variable, ...]:
        """Return the stable form of a node, its own outputs where there is none of the same type."""
        output, rule = node.outputs[0], RULES.get(node.op.name)
        if rule is None or not jnp.issubdtype(output.dtype, jnp.floating):
            return node.outputs
        self._old = dict(zip(node.inputs, old.inputs, strict=True))
        new = rule(self, node)
        if new is None or (new.type.shape, new.type.weak) != (output.type.shape, output.type.weak):
            return node.outputs
        return (ops.cast(new, output.dtype),)

    def is_read_once(self, x: Variable) -> bool:
        """Return whether an operand of the node has no other reader."""
        return len(self._graph.readers.get(self._old.get(x, x), ())) < 2

    def positive(self, x: Variable, depth: int = DEPTH) -> Log | None:
        """Return the logarithm of an expression that is positive by its form."""
        if isinstance(x, Constant):
            is_positive = x.data.dtype.kind != "c" and bool((x.data > 0).all())
            return Log(_constant(np.log(x.data), x), underflows=False) if is_positive else None
        node = x.owner
        if node is None or not depth or node.op.name not in LOGARITHMS or not jnp.issubdtype(x.dtype, jnp.floating):
            return None
        if x not in self._logs:
            self._logs[x] = LOGARITHMS[node.op.name](node, lambda one: self.positive(one, depth - 1))
        return self._logs[x]


def _owner(x: Variable, *names: str) -> Apply | None:
    """Return the node that computes ``x``, if it is one of these ops."""
    return x.owner if x.owner is not None and x.owner.op.named(*names) else None


def _number(x: Variable) -> float | None:
    """Return the number that every element of ``x`` is, where that is known."""
    while (node := _owner(x, "alloc", "broadcast_to", "dimshuffle", "cast", "as_float")) is not None:
        x = node.inputs[0]
    return float(x.data.real.item()) if isinstance(x, Constant) and x.data.size == 1 else None


def _terms(x: Variable) -> list[Term]:
    """Return the terms of nested sums and differences."""
    found: list[Term] = []
    stack = [(1, x)]
    while stack:
        sign, x = stack.pop()
        node = _owner(x, "add", "sub", "neg", "expm1") if len(stack) + len(found) < TERMS else None
        if node is None:
            if isinstance(x, Constant) and x.data.dtype.kind in "if" and (x.data < 0).all():
                sign, x = -sign, _constant(-x.data, x)
            found.append(Term(sign, x))
        elif node.op.named("expm1"):
            stack += [(-sign, _one(x)), (sign, ops.exp(node.inputs[0]))]
        else:
            last = sign if node.op.named("add") else -sign
            stack += [(last, node.inputs[-1]), *((sign, one) for one in node.inputs[:-1])]
    return found


# Logarithms of positive expressions, of a node and a function that finds those of its operands.

Find = Callable[[Variable], Log | None]

Rule = Callable[[Apply, Find], Log | None]


def _of(log: Callable[[Variable], Variable], overflows: bool = False) -> Rule:
    """The logarithm of a function of any real number."""
    return lambda node, _: Log(log(node.inputs[0]), overflows)


def _of_all(log: Callable[..., Variable], operands: slice = slice(None), inverts: bool = False) -> Rule:
    """The logarithm of an op, from those of its operands; one that ``inverts`` may overflow where they underflow."""

    def rule(node: Apply, find: Find) -> Log | None:
        found = [one for one in map(find, node.inputs[operands]) if one is not None]
        if len(found) < len(node.inputs[operands]):
            return None
        overflows, underflows = any(one.overflows for one in found), any(one.underflows for one in found)
        if inverts:
            overflows = underflows = overflows or underflows
        if node.op.named("add", "maximum"):
            underflows = all(one.underflows for one in found)
        return Log(log(node, *(one.value for one in found)), overflows, underflows)

    return rule


def _same_op(node: Apply, *logs: Variable) -> Variable:
    """The op itself, on logarithms of its first operands: of ops that only move elements or compare them."""
    first = 1 if node.op.named("switch") else 0
    inputs = (*node.inputs[:first], *logs, *node.inputs[first + len(logs) :])
    return copy_node(node, inputs).outputs[0]


def _renamed(name: str) -> Callable[..., Variable]:
    return lambda node, log: apply(table_op(name, **node.op.arguments), log)[0]


def _mean(node: Apply, log: Variable) -> Variable:
    sizes = [log.shape[axis] for axis in node.op.arguments["axis"]]
    count = ops.cast(reduce(ops.mul, sizes), node.op.arguments["dtype"]) if sizes else 1.0
    return _renamed("logsumexp")(node, log) - ops.log(count)


def _log_of_sum(node: Apply, find: Find) -> Log | None:
    log = _of_all(_renamed("logsumexp"))(node, find)
    return Log(log.value, underflows=False) if log is not None and _is_shifted(node.outputs[0]) else log


def _complement_of_sigmoid(node: Apply, find: Find) -> Log | None:
    terms = _terms(node.outputs[0])
    for one, other in permutations(terms) if len(terms) == 2 else ():
        sigmoid = _owner(other.value, "sigmoid")
        if sigmoid is not None and one.sign > 0 > other.sign and _number(one.value) == 1:
            return Log(-ops.softplus(sigmoid.inputs[0]))
    return None


def _sum_of_logs(node: Apply, find: Find) -> Log | None:
    return _of_all(lambda node, p, q: _log_sum(p, q))(node, find) or _complement_of_sigmoid(node, find)


EXPONENTIALS = ("exp", "exp2", "cosh")
"""Ops that overflow."""

FIRST = slice(1)
"""The operand of an op whose other inputs are positions or sizes."""

LOGARITHMS: dict[str, Rule] = {
    "exp": _of(lambda x: x, overflows=True),
    "exp2": _of(lambda x: x * math.log(2), overflows=True),
    "cosh": _of(lambda x: ops.logaddexp(x, -x) - math.log(2), overflows=True),
    "sigmoid": _of(lambda x: -ops.softplus(_negative(x))),
    "softmax": lambda node, _: Log(_renamed("log_softmax")(node, node.inputs[0])),
    "erfc": _of(lambda x: ops.log_erfc(x)),
    "sub": _complement_of_sigmoid,
    "add": _sum_of_logs,
    "mul": _of_all(lambda node, p, q: p + q),
    "true_div": _of_all(lambda node, p, q: _difference(p, q), inverts=True),
    "reciprocal": _of_all(lambda node, p: _negative(p), inverts=True),
    "sqr": _of_all(lambda node, p: 2 * p),
    "sqrt": _of_all(lambda node, p: p / 2),
    "integer_pow": _of_all(lambda node, p: node.op.arguments["exponent"] * p, inverts=True),
    "power": _of_all(lambda node, p: node.inputs[1] * p, FIRST, inverts=True),
    "sum": _log_of_sum,
    "mean": _of_all(_mean),
    "prod": _of_all(_renamed("sum")),
    "cumprod": _of_all(_renamed("cumsum")),
    "switch": _of_all(_same_op, slice(1, None)),
    **dict.fromkeys(("max", "min", "maximum", "minimum", "join", "cast", "transpose", "dimshuffle"), _of_all(_same_op)),
    **dict.fromkeys(("index", "reshape", "alloc", "broadcast_to", "repeat", "tile"), _of_all(_same_op, FIRST)),
}
"""The logarithm of an op that is positive where its operands are, or always."""


def _constant(value: Any, like: Variable) -> Constant:
    return Constant(np.asarray(value), weak=like.type.weak)


def _one(like: Variable) -> Constant:
    return _constant(np.ones((), like.dtype), like)


def _is_number(x: Variable, number: float) -> bool:
    return isinstance(x, Constant) and x.ndim == 0 and x.data.item() == number


def _negative(x: Variable) -> Variable:
    node = _owner(x, "neg")
    return -x if node is None else node.inputs[0]


def _difference(x: Variable, y: Variable) -> Variable:
    if _is_number(x, 0):
        return _negative(y)
    return x if _is_number(y, 0) else x - y


def _log_sum(p: Variable, q: Variable) -> Variable:
    """Return ``log(exp(p) + exp(q))``."""
    if _is_number(p, 0):
        return ops.softplus(q)
    return ops.softplus(p) if _is_number(q, 0) else ops.logaddexp(p, q)


def _signed(sign: int, x: Variable) -> Variable:
    return x if sign > 0 else _negative(x)


def _total(terms: list[Term]) -> Variable:
    first, *rest = terms
    total = _signed(first.sign, first.value)
    for term in rest:
        total = total + term.value if term.sign > 0 else total - term.value
    return total


# Patterns, by the op of the node that is replaced.


def _log(matcher: Matcher, x: Variable, depth: int = DEPTH) -> Variable | None:
    """Return the logarithm of an expression in a stable form, ``None`` where the plain form is one."""
    found = matcher.positive(x)
    if found is not None:
        return found.value if found.overflows or found.underflows else None
    node = x.owner
    if node is None or not depth:
        return None
    if node.op.named("mul", "true_div"):
        for one, other in permutations(node.inputs):
            part = matcher.positive(one)
            log = _log(matcher, other, depth - 1)
            if part is not None and (log is not None or part.overflows or part.underflows):
                log = ops.log(other) if log is None else log
                if node.op.named("mul"):
                    return part.value + log
                return part.value - log if one is node.inputs[0] else log - part.value
    if node.op.named("sqr", "integer_pow") and node.op.arguments.get("exponent") != 0:
        exponent, base = node.op.arguments.get("exponent", 2), node.inputs[0]
        return exponent * ops.log(base if exponent % 2 else ops.abs(base))
    inner = _owner(node.inputs[0], "det") if node.op.named("abs") else _owner(x, "det")
    if inner is not None:
        sign, log = apply(table_op("slogdet"), inner.inputs[0])
        return ops.switch(sign < 0, math.nan, log) if inner is node else log
    return _log_of_terms(matcher, _terms(x)) if node.op.named("add", "sub", "neg", "expm1") else None


def _log_of_terms(matcher: Matcher, terms: list[Term]) -> Variable | None:
    """Return the logarithm of a difference of two positive expressions, or of 1 and others."""
    if len(terms) == 2 and {term.sign for term in terms} == {1, -1}:
        p, q = [matcher.positive(term.value) for term in sorted(terms, key=lambda term: -term.sign)]
        if p is not None and q is not None:
            log = ops.log1mexp(_difference(q.value, p.value))
            return log if _is_number(p.value, 0) else p.value + log
    one = next((term for term in terms if term.sign > 0 and _is_number(term.value, 1)), None)
    return None if one is None else ops.log1p(_total([term for term in terms if term is not one]))


def _log1p(matcher: Matcher, node: Apply) -> Variable | None:
    (x,) = node.inputs
    if (inverse := _inverse(matcher, node)) is not None:
        return inverse
    found = _log(matcher, _total([Term(1, _one(x)), *_terms(x)]))
    is_plain = found is None or (found.owner is not None and found.owner.op.named("log1p"))
    return None if is_plain else found


def _sum(matcher: Matcher, node: Apply) -> Variable | None:
    """Replace a constant and a function that the constant cancels with, such as ``exp(x) - 1``."""
    terms = _terms(node.outputs[0])
    for one, other in permutations(terms, 2):
        number = _number(one.value)
        scale, x = _scaled(other)
        inner = _owner(x, *COMPLEMENTS)
        if number is None or inner is None or abs(scale) != number:
            continue
        complement = COMPLEMENTS[inner.op.name][scale * one.sign > 0]
        if complement is None or (inner.op.named("sigmoid") and not matcher.is_read_once(x)):
            continue
        rest = [term for term in terms if term is not one and term is not other]
        value = complement(inner.inputs[0])
        return _total([Term(one.sign, _times(one.value, value)), *rest])
    return None


def _scaled(term: Term) -> tuple[float, Variable]:
    """Return a term as a number times a variable."""
    node = _owner(term.value, "mul")
    for one, other in permutations(node.inputs) if node is not None else ():
        if (number := _number(one)) is not None:
            return term.sign * number, other
    return term.sign, term.value


def _quotient(matcher: Matcher, x: Variable, y: Variable) -> Variable | None:
    """Replace a quotient whose denominator is positive and may overflow, or underflow as ``erfc`` does."""
    below = matcher.positive(y)
    is_shifted = _is_shifted(y)
    if below is None or not (below.overflows or is_shifted or _owner(y, "erfc")):
        return None
    if (found := _logistic(matcher, x, y)) is not None:
        return found
    (sign, value), *others = _terms(x)
    above = None if others else matcher.positive(value)
    if is_shifted and _owner(value, "exp") is None:
        return None
    if above is None or not above.underflows:
        # What overflows in the denominator overflows in a numerator that is made of it, as in an average by weights.
        return None if _shares_exponential(x, y) else _times(x, ops.exp(_negative(below.value)))
    exponential, axes = _owner(value, "exp"), _reduced_axes(value, y, "sum")
    if exponential is not None and axes is not None:
        softmax, (logits,) = table_op("softmax", axis=axes, dtype=y.dtype), exponential.inputs
        if (shifted := _owner(logits, "sub")) is not None:
            unshifted, shift = shifted.inputs
            # softmax subtracts the maximum itself
            logits = unshifted if _reduced_axes(unshifted, _unguarded(shift), "max") == axes else logits
        return _signed(sign, apply(softmax, logits)[0])
    return None if is_shifted else _signed(sign, ops.exp(above.value - below.value))


def _shares_exponential(x: Variable, y: Variable) -> bool:
    """Return whether an exponential that the positive ``y`` is made of makes ``x`` infinite where it overflows."""
    below = _exponentials(y, lambda op: True)
    return any(computed_alike(one, other) for one in _exponentials(x, _is_linear) for other in below)


def _is_linear(op: Op) -> bool:
    return op.has("contraction", "view", "reduce") or op.named("add", "sub", "mul", "neg")


def _exponentials(x: Variable, passes: Callable[[Op], bool]) -> set[Variable]:
    """Return the exponentials that a variable is computed from by ops that ``passes`` holds for, ``DEPTH`` nodes up."""
    seen, level = {x}, {x}
    for _ in range(DEPTH):
        owners = [v.owner for v in level if v.owner is not None and not v.owner.op.named(*EXPONENTIALS)]
        level = {v for owner in owners if passes(owner.op) for v in owner.inputs} - seen
        seen |= level
    return {v for v in seen if _owner(v, *EXPONENTIALS) is not None}


def _logistic(matcher: Matcher, x: Variable, y: Variable) -> Variable | None:
    """Return a quotient by a sum of two positive terms: of one of them, of their difference, or by 1 and the other."""
    above, below = [sorted(_terms(one), key=lambda term: -term.sign) for one in (x, y)]
    logs = [log for term in below if (log := matcher.positive(term.value)) is not None]
    if len(below) != 2 or len(logs) != 2:
        return None
    for p, q in permutations((0, 1)):
        same = [computed_alike(term.value, below[i].value) for term, i in zip(above, (p, q), strict=False)]
        odds = _difference(logs[p].value, logs[q].value)
        if all(same) and [term.sign for term in above] == [1, -1]:
            return ops.tanh(odds / 2)
        if all(same) and len(above) == 1:
            return _signed(above[0].sign, ops.sigmoid(odds))
    ones = [position for position, term in enumerate(below) if _number(term.value) == 1]
    return _times(x, ops.sigmoid(_negative(logs[1 - ones[0]].value))) if ones else None


def _times(x: Variable, y: Variable) -> Variable:
    return y if _number(x) == 1 else x * y


def _reduced_axes(x: Variable, total: Variable, reduction: str) -> tuple[int, ...] | None:
    """Return the axes that ``total`` reduces ``x`` over, where it broadcasts along the same axes again."""
    views: list[tuple[int | None, ...]] = []
    while total.owner is not None and (axes := view_axes(total.owner)) is not None:
        views.append(axes)
        total = total.owner.inputs[0]
    node = _owner(total, reduction)
    if node is None or not computed_alike(node.inputs[0], x):
        return None
    summed: tuple[int, ...] = node.op.arguments["axis"]
    keeps = node.op.arguments["keepdims"]
    sources = [None if axis in summed else axis for axis in range(x.ndim) if keeps or axis not in summed]
    for axes in reversed(views):
        sources = [None if axis is None else sources[axis] for axis in axes]
    aligned = [None] * (x.ndim - len(sources)) + sources
    return summed if aligned == [None if axis in summed else axis for axis in range(x.ndim)] else None


def _is_shifted(total: Variable) -> bool:
    """Test if an expression sums ``exp(u - max(u))`` over the axes of the maximum, perhaps to be broadcast again."""
    while total.owner is not None and view_axes(total.owner) is not None:
        total = total.owner.inputs[0]
    node = _owner(total, "sum")
    exponential = None if node is None else _owner(node.inputs[0], "exp")
    difference = None if exponential is None else _owner(exponential.inputs[0], "sub")
    if node is None or difference is None:
        return False
    x, shift = difference.inputs
    axes: tuple[int, ...] = node.op.arguments["axis"]
    return _reduced_axes(x, _unguarded(shift), "max") == axes


def _unguarded(x: Variable) -> Variable:
    """Return ``x`` of ``switch(isinf(x), ..., x)``."""
    node = _owner(x, "switch")
    condition = None if node is None else _owner(node.inputs[0], "isinf")
    is_guard = node is not None and condition is not None and computed_alike(condition.inputs[0], node.inputs[2])
    return node.inputs[2] if node is not None and is_guard else x


def _product(matcher: Matcher, node: Apply) -> Variable | None:
    """Replace a product of a factor that may overflow and one that may underflow."""
    found = [matcher.positive(x) for x in node.inputs]
    logs = [log for log in found if log is not None and log.underflows]
    return ops.exp(logs[0].value + logs[1].value) if len(logs) == 2 and any(log.overflows for log in logs) else None


def _square_root(matcher: Matcher, node: Apply) -> Variable | None:
    log = matcher.positive(node.inputs[0])
    return ops.exp(log.value / 2) if log is not None and log.overflows else _inverse(matcher, node)


def _power(matcher: Matcher, node: Apply) -> Variable | None:
    (x,), exponent = node.inputs, node.op.arguments["exponent"]
    if exponent >= 0:
        return _inverse(matcher, node) if exponent == 2 else None
    found = _quotient(matcher, _one(x), x)
    return None if found is None else ops.pow(found, -exponent)


def _inverse(matcher: Matcher, node: Apply) -> Variable | None:
    """Replace a function of its inverse."""
    x = node.inputs[0]
    inverse = None if x.owner is None else INVERSES.get((_name(node), _name(x.owner)))
    return None if inverse is None or x.owner is None else inverse(x.owner.inputs[0])


def _name(node: Apply) -> str:
    return "sqr" if node.op.arguments.get("exponent") == 2 else node.op.name


def _from(least: float, value: Callable[[Variable], Variable]) -> Callable[[Variable], Variable]:
    """A function that is NaN below ``least``."""
    return lambda x: ops.switch(ops.ge(x, least), value(x), math.nan)


COMPLEMENTS: dict[str, tuple[Callable[[Variable], Variable], Callable[[Variable], Variable] | None]] = {
    "exp": (lambda x: -ops.expm1(x), None),
    "sigmoid": (lambda x: ops.sigmoid(_negative(x)), None),
    "erf": (lambda x: ops.erfc(x), lambda x: ops.erfc(_negative(x))),
    "erfc": (lambda x: ops.erf(x), None),
}
"""``1 - f(x)`` and, where terms of ``1 + f(x)`` may cancel, that."""

INVERSES: dict[tuple[str, str], Callable[[Variable], Variable]] = {
    ("exp", "log"): _from(0, lambda x: x),
    ("exp", "log1p"): _from(-1, lambda x: 1 + x),
    ("expm1", "log1p"): _from(-1, lambda x: x),
    ("log1p", "expm1"): lambda x: x,
    ("sqr", "sqrt"): _from(0, lambda x: x),
    ("sqrt", "sqr"): lambda x: ops.abs(x),
    ("logit", "sigmoid"): lambda x: x,
    ("sigmoid", "logit"): lambda x: ops.switch(ops.and_(ops.ge(x, 0), ops.le(x, 1)), x, math.nan),
    ("log1mexp", "log1mexp"): lambda x: x,
    ("arctanh", "tanh"): lambda x: x,
    ("arcsinh", "sinh"): lambda x: x,
    ("arccosh", "cosh"): lambda x: ops.abs(x),
}
"""Functions of inverse functions, on the domain of the inner one."""


def _log_to_base(base: float) -> Callable[[Matcher, Apply], Variable | None]:
    def rule(matcher: Matcher, node: Apply) -> Variable | None:
        log = _log(matcher, node.inputs[0])
        return None if log is None else log / math.log(base)

    return rule


RULES: dict[str, Callable[[Matcher, Apply], Variable | None]] = {
    "log": lambda matcher, node: _log(matcher, node.inputs[0]),
    "log2": _log_to_base(2),
    "log10": _log_to_base(10),
    "log1p": _log1p,
    "add": _sum,
    "sub": _sum,
    "mul": _product,
    "true_div": lambda matcher, node: _quotient(matcher, *node.inputs),
    "reciprocal": lambda matcher, node: _quotient(matcher, _one(node.outputs[0]), node.inputs[0]),
    "integer_pow": _power,
    "sqrt": _square_root,
    **dict.fromkeys(("exp", "expm1", "sqr", "sigmoid", "logit", "log1mexp", "arctanh", "arcsinh", "arccosh"), _inverse),
}
"""Patterns by the op of the node that is replaced."""
