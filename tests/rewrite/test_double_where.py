"""Gradients of functions that a switch selects away where they have none: zero, not NaN."""

import math
import operator

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.differentiate import FormDifferentiatedRegions
from loopjax.rewrite.double_where import DoubleWhere
from loopjax.rewrite.target import Target
from tests.rewrite.sized import lines, symbolically

X, W, M, A, B = at.dvector("x"), at.dvector("w"), at.dmatrix("m"), at.dscalar("a"), at.dscalar("b")
LOG = at.log(X)
POINTS = np.array([0.0, 1.0, 4.0])
ROWS = np.array([[0.0, 0.0], [3.0, 4.0]])


def test_before_and_after():
    cost = at.switch(X > 0, at.log(X), 0.0).sum()
    passes = [FormDifferentiatedRegions(), DoubleWhere()]
    assert symbolically(passes[:1], [X], [loopjax.grad(cost, X)]) == lines("""
        input x : float64(?,)
        %0 = linearize[wrt=1, costs=1](x) : float64(), residual()
            input 0.x : float64(?,)
            %0.0 = gt(0.x, 0.) : bool(?,)
            %0.1 = log(0.x) : float64(?,)
            %0.2 = switch(%0.0, %0.1, 0.) : float64(?,)
            %0.3 = sum[axis=(0,), dtype=float64, keepdims=False](%0.2) : float64()
            return %0.3
        %1 = pullback(%0:1, 1.) : float64(?,)
        return %1""")
    assert symbolically(passes, [X], [loopjax.grad(cost, X)]) == lines("""
        input x : float64(?,)
        %0 = linearize[wrt=1, costs=1](x) : float64(), residual()
            input 0.x : float64(?,)
            %0.0 = gt(0.x, 0.) : bool(?,)
            %0.1 = switch(%0.0, 0.x, 1.) : float64(?,)
            %0.2 = log(%0.1) : float64(?,)
            %0.3 = switch(%0.0, %0.2, 0.) : float64(?,)
            %0.4 = sum[axis=(0,), dtype=float64, keepdims=False](%0.3) : float64()
            return %0.4
        %1 = pullback(%0:1, 1.) : float64(?,)
        return %1""")


def counts(cost, wrt=X, inputs=(X, W, M, A), outputs=()):
    """How many switches the pass adds to the region of a gradient."""
    passes = [FormDifferentiatedRegions(), DoubleWhere()]
    texts = [symbolically(some, inputs, [loopjax.grad(cost, wrt), *outputs]) for some in (passes[:1], passes)]
    return texts[1].count(" switch(") - texts[0].count(" switch(")


@pytest.mark.parametrize(
    ("cost", "added"),
    [
        (at.switch(X > 0, X, 0.0), 0),  # nothing is singular
        (at.log(at.switch(X > 0, X, 1.0)), 0),
        (at.switch(X > 0, at.log(at.switch(X > 0, X, 1.0)), 0.0), 0),  # the user's own
        (at.switch(at.eq(X, 0), 0.0, at.log(at.switch(at.eq(X, 0), 1.0, X))), 0),
        (at.switch(X > 0, LOG, 0.0) + LOG, 0),  # taken everywhere
        ((X > 0) * at.log(X), 0),  # a product with a mask selects nothing
        (at.switch(X > 0, 2 * X + W[0], 0.0), 0),
        (at.switch(X > 0, at.tanh(X), 0.0), 1),
        (at.switch(X > 0, at.tanh(X) * at.sqrt(X), 0.0), 2),
        (at.switch(A > 0, LOG, 2 * LOG), 0),  # one of the branches is always taken
    ],
    ids=lambda value: str(value) if isinstance(value, int) else loopjax.pp(value),
)
def test_what_is_replaced(cost, added):
    assert counts(cost.sum()) == added


@pytest.mark.parametrize(
    ("cost", "reductions"),
    [
        (at.switch(X > 9, at.log(A), 0.0), 1),
        (at.switch(A > 0, at.switch(X > 9, at.log(A), 0.0), 0.0), 0),
        (at.switch(at.and_(X > 9, A > 0), at.log(A), 0.0), 0),
        (at.switch(at.or_(X > 9, A > 0), at.log(A), 0.0), 1),
        (at.switch(A > 0, at.switch(X > 9, at.log(A), 0.0), at.switch(X > 5, at.log(A), 1.0)), 0),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else loopjax.pp(value),
)
def test_conditions_of_fewer_elements_cover_those_of_more(cost, reductions):
    passes = [FormDifferentiatedRegions(), DoubleWhere()]
    assert symbolically(passes, [X, A], [loopjax.grad(cost.sum(), A)]).count(" any[") == reductions


def test_only_what_is_differentiated():
    y = at.switch(X > 0, at.log(X), 0.0)
    text = symbolically([DoubleWhere()], [X], [y])
    assert text.count("switch") == 1
    assert symbolically([DoubleWhere(Target(derivative="any"))], [X], [y]).count("switch") == 2
    assert symbolically([DoubleWhere(Target(derivative="forward"))], [X], [y]) == text


NORM = at.sqrt((M**2).sum(axis=1, keepdims=True))
SQUARES = (M**2).sum(axis=1)
ROW = at.switch(X > 0, at.log(A), 0.0)
ZEROS = np.zeros((2, 2))
NAN = np.array([np.nan, 1.0, 2.0])

SELECTED = [
    (at.switch(X > 0, at.log(X), 0.0), X, POINTS, [0, 1, 0.25]),
    (at.switch(at.eq(X, 0), 0.0, at.sqrt(X)), X, POINTS, [0, 0.5, 0.25]),
    (at.where(X > 0, 1 / X, X), X, POINTS, [1, -1, -1 / 16]),
    (at.switch(X > 0, X**0.5, 0.0), X, POINTS, [0, 0.5, 0.25]),
    (at.switch(X > 0, X**-2, 0.0), X, POINTS, [0, -2, -1 / 32]),
    (at.switch(X > 0, X * at.log(X), 0.0), X, POINTS, [0, 1, 1 + np.log(4)]),
    (at.switch(at.gt(X, 0) * 1.0, at.log(X), 0.0), X, POINTS, [0, 1, 0.25]),
    (at.switch(X < 2, at.arcsin(X / 2), 0.0), X, POINTS, [0.5, 1 / np.sqrt(3), 0]),
    (at.switch(X < 0.5, at.exp(X * 1000), 0.0), X, POINTS, [1000, 0, 0]),
    (at.switch(LOG > -5, LOG, -5.0), X, POINTS, [0, 1, 0.25]),
    (at.switch(X > 0, at.switch(X > 2, LOG, at.sqrt(X)), 0.0), X, POINTS, [0, 0.5, 0.25]),
    (at.switch(X > 0, LOG, 0.0) + at.switch(X > 2, LOG, 0.0), X, POINTS, [0, 1, 0.5]),
    (at.switch(at.isnan(X), 0.0, (X - A) ** 2), A, NAN, -2 * (1 - 0.5) - 2 * (2 - 0.5)),
    (at.switch(at.isnan(X), 0.0, at.tanh(X * A)), A, NAN, (np.array([1, 2]) / np.cosh([0.5, 1]) ** 2).sum()),
    (at.switch(NORM > 0, M / NORM, 0.0), M, ROWS, [[0, 0], [0.032, -0.024]]),
    (at.switch(M.norm(2) > 9, M.norm(2), 0.0), M, ZEROS, ZEROS),
    (at.switch(SQUARES > 0, at.sqrt(SQUARES), 0.0), M, ROWS, [[0, 0], [0.6, 0.8]]),
    (at.switch((SQUARES > 0)[:, None], M / at.sqrt(SQUARES)[:, None], 0.0), M, ROWS, [[0, 0], [0.032, -0.024]]),
    (at.switch(SQUARES > 0, at.log(M).sum(axis=1), 0.0), M, ROWS, [[0, 0], [1 / 3, 1 / 4]]),
    (at.switch((SQUARES > 0)[:, None], at.log(M.T).T, 0.0), M, ROWS, [[0, 0], [1 / 3, 1 / 4]]),
    (at.switch(X > 9, at.log(A - 0.5), 0.0), A, POINTS, 0),
]
"""Expressions of ``x`` or ``m`` and of ``a`` = 0.5, each with a variable, values, and the gradient of the sum."""


def groups():
    """The rows with equal inputs, which make one function."""
    for values in (POINTS, NAN, ROWS, ZEROS):
        rows = [row for row in SELECTED if row[2] is values]
        yield [M if values.ndim == 2 else X, A], [values, np.float64(0.5)], rows


def test_gradients_are_those_of_the_branch_that_is_taken():
    for inputs, values, rows in groups():
        gradients = [loopjax.grad(expression.sum(), wrt) for expression, wrt, *_ in rows]
        found = loopjax.function(inputs, gradients, on_unused_input="ignore")(*values)
        for (expression, *_, expected), gradient in zip(rows, found, strict=True):
            np.testing.assert_allclose(gradient, expected, rtol=1e-14, atol=1e-17, err_msg=loopjax.pp(expression))


def test_second_derivatives():
    with jax.enable_x64(True):
        f = loopjax.to_jax([X], [at.switch(X > 0, at.log(X) + X**1.5, at.exp(-1000 * X)).sum()])
        second = jax.jacrev(jax.grad(lambda x: f(x)[0]))
        np.testing.assert_allclose(second(POINTS), np.diag([1e6, -0.25, -1 / 16 + 3 / 8]))


def test_derivatives_that_jax_takes():
    with jax.enable_x64(True):
        for inputs, values, rows in groups():
            f = loopjax.to_jax(inputs, [expression.sum() for expression, *_ in rows], on_unused_input="ignore")
            for (expression, wrt, _, expected), gradient in zip(rows, jax.jacrev(f, (0, 1))(*values), strict=True):
                found = gradient[inputs.index(wrt)]
                np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-17, err_msg=loopjax.pp(expression))


def test_second_derivatives_and_rows():
    y = at.switch(X > 0, LOG, 0.0)
    hessian, rows = loopjax.function([X], [loopjax.hessian(y.sum(), X), loopjax.jacobian(y, X)])(POINTS)
    np.testing.assert_allclose(hessian, np.diag([0, -1, -1 / 16]), atol=1e-17)
    np.testing.assert_allclose(rows, np.diag([0, 1, 0.25]), atol=1e-17)


def test_values_that_are_also_read_elsewhere_are_as_they_were():
    y = at.switch(X > 0, LOG, 0.0)
    cost = at.switch(at.isinf(LOG), 0.0, LOG).sum()
    gradient = loopjax.grad(y.sum() + cost, X)
    log, least, doubled, value, slope = loopjax.function([X], [LOG, LOG.argmin(), LOG * 2, y, gradient])(POINTS)
    np.testing.assert_allclose(log, [-np.inf, 0, np.log(4)])
    np.testing.assert_allclose(doubled, [-np.inf, 0, 2 * np.log(4)])
    np.testing.assert_allclose(value, [0, 0, np.log(4)])
    np.testing.assert_allclose(slope, [0, 2, 0.5])
    assert int(least) == 0


class TestLoops:
    def test_a_map_and_a_recurrence(self):
        each, _ = loopjax.scan(lambda x: at.switch(x > 0, at.log(x), 0.0), sequences=X)
        total, _ = loopjax.scan(lambda x, h: at.switch(x > 0, at.sqrt(x) * h, h), X, at.constant(1.0, dtype="float64"))
        found = loopjax.function([X], [loopjax.grad(each.sum(), X), loopjax.grad(total[-1], X)])(POINTS)
        np.testing.assert_allclose(found, [[0, 1, 0.25], [0, 1, 0.5 * 0.25 * 2]])

    def test_a_gradient_inside_of_the_body(self):
        slopes, _ = loopjax.scan(lambda x: loopjax.grad(at.switch(x > 0, at.log(x), 0.0), x), sequences=X)
        np.testing.assert_allclose(slopes.eval({X: POINTS}), [0, 1, 0.25])

    def test_lengths_that_vary(self):
        each, _ = loopjax.scan(lambda x: at.switch(x > 0, at.log(x), 0.0), sequences=X)
        f = loopjax.function([X], loopjax.grad(each.sum(), X))
        for count in (3, 4, 5, 6, 7, 2):
            x = np.arange(count) * 1.0
            np.testing.assert_allclose(f(x), np.append(0, 1 / x[1:]))

    def test_masked_rows(self):
        """A batch with missing rows, whose weights get the gradient of the others."""
        x = at.dtensor3("x")

        def step(x, h, w):
            seen = at.isfinite(x).all(axis=1, keepdims=True)
            return at.switch(
                seen, at.tanh(at.switch(seen, x, 0.0) * w + h) / at.sqrt((x**2).sum(axis=1, keepdims=True)), h
            )

        h, _ = loopjax.scan(step, x, at.zeros((2, 2), dtype="float64"), W)
        values = np.array([[[1.0, 2.0], [np.nan, np.nan]], [[0.5, 1.0], [3.0, 1.0]]])
        w = np.array([0.5, -0.5])
        f = loopjax.function([x, W], [h[-1].sum(), loopjax.grad(h[-1].sum(), W)])
        _, gradient = f(values, w)
        numeric = [(float(f(values, w + d)[0]) - float(f(values, w - d)[0])) / 2e-6 for d in np.eye(2) * 1e-6]
        np.testing.assert_allclose(gradient, numeric, rtol=1e-8)


FUNCTIONS = {
    "log": (math.log, lambda v: 1 / v),
    "log1p": (math.log1p, lambda v: 1 / (1 + v)),
    "sqrt": (math.sqrt, lambda v: 0.5 / math.sqrt(v)),
    "inv": (lambda v: 1 / v, lambda v: -1 / v**2),
    "exp": (math.exp, math.exp),
    "arcsin": (math.asin, lambda v: 1 / math.sqrt(1 - v**2)),
    "tanh": (math.tanh, lambda v: 1 / math.cosh(v) ** 2),
}
"""Functions with their derivatives, which raise where a value or a derivative is not finite."""

BINARY = {
    "add": lambda x, dx, y, dy: (x + y, dx + dy),
    "mul": lambda x, dx, y, dy: (x * y, dx * y + dy * x),
    "true_div": lambda x, dx, y, dy: (x / y, dx / y - x * dy / y**2),
}
TESTS = {"gt": operator.gt, "lt": operator.lt, "eq": operator.eq, "neq": operator.ne}


def a_tree(rng, depth):
    """A random elementwise expression of ``x``, with switches, as nested tuples."""
    if not depth:
        return ("x",)
    kind = rng.choice(["function", "binary", "switch"])
    first, second = a_tree(rng, depth - 1), a_tree(rng, depth - 1)
    if kind == "switch":
        return ("switch", rng.choice(list(TESTS)), rng.choice([0.0, 1.0]), a_tree(rng, depth // 2), first, second)
    return (rng.choice(list(BINARY)), first, second) if kind == "binary" else (rng.choice(list(FUNCTIONS)), first)


def recorded(tree, x):
    if tree == ("x",):
        return x
    if tree[0] == "switch":
        _, test, bound, *rest = tree
        value, first, second = (recorded(one, x) for one in rest)
        return at.switch(getattr(at, test)(value, bound), first, second)
    return getattr(at, tree[0])(*(recorded(one, x) for one in tree[1:]))


def by_forward_mode(tree, x):
    """Value and derivative, computed by nothing but the branches that are taken."""
    if tree == ("x",):
        return x, 1.0
    if tree[0] == "switch":
        _, test, bound, value, *branches = tree
        return by_forward_mode(branches[not TESTS[test](by_forward_mode(value, x)[0], bound)], x)
    operands = [by_forward_mode(one, x) for one in tree[1:]]
    if tree[0] in BINARY:
        return BINARY[tree[0]](*operands[0], *operands[1])
    ((value, slope),) = operands
    function, derivative = FUNCTIONS[tree[0]]
    return function(value), derivative(value) * slope


def test_random_expressions():
    """Outside and inside of a loop, at points where some branches have no value; terms of up to 1e6 may cancel."""
    rng = np.random.default_rng(15)
    points = np.array([0.0, -1.0, 1.0, -2.5, 0.75, 800.0])
    trees = [("switch", "gt", 0.0, ("x",), a_tree(rng, 4), a_tree(rng, 4)) for _ in range(12)]
    xs = [at.dvector(f"x{number}") for number in range(len(trees))]
    made = [recorded(tree, x) for tree, x in zip(trees, xs, strict=True)]
    made += [loopjax.scan(lambda v, t=tree: recorded(t, v), sequences=x)[0] for tree, x in zip(trees, xs, strict=True)]
    gradients = [loopjax.grad(one.sum(), x) for one, x in zip(made, xs * 2, strict=True)]
    found = loopjax.function(xs, gradients)(*[points] * len(xs))
    compared = 0
    for tree, gradient in zip(trees * 2, found, strict=True):
        for position, point in enumerate(points):
            try:
                _, expected = by_forward_mode(tree, float(point))
            except (ValueError, ZeroDivisionError, OverflowError):
                continue
            compared += 1
            np.testing.assert_allclose(
                np.asarray(gradient)[position], expected, rtol=1e-9, atol=1e-9, err_msg=str(tree)
            )
    assert compared > 40


def test_it_can_be_left_out():
    cost = at.switch(X > 0, LOG, 0.0).sum()
    mode = loopjax.Mode().excluding("double_where")
    assert np.isnan(loopjax.function([X], loopjax.grad(cost, X), mode=mode)(POINTS)).tolist() == [True, False, False]
    quick = loopjax.function([X], loopjax.grad(cost, X), mode="FAST_COMPILE")(POINTS)
    np.testing.assert_allclose(quick, [0, 1, 0.25])


def test_a_scalar_condition_keeps_the_singularity_of_a_loop_away():
    start = at.constant(0.0, dtype="float64")
    total = loopjax.scan(lambda t, s: s + at.log(t) / t, sequences=X, outputs_info=start)[0][-1]
    y = at.switch(A > 0, total, A) * 2
    f = loopjax.function([A, X], [y, *loopjax.grad(y, [A, X])])
    for x in (POINTS, np.zeros(4), np.zeros(5)):  # of the third length on, lengths are padded
        value, *slopes = f(-1.0, x)
        assert value == -2.0
        assert slopes[0] == 2.0
        np.testing.assert_array_equal(slopes[1], np.zeros_like(x))
    np.testing.assert_allclose(f(1.0, [1.0, 2.0])[2], [2.0, (1 - math.log(2)) / 2], rtol=1e-14)


def test_such_a_loop_in_a_loop_and_under_jax():
    inner = lambda t: loopjax.scan(lambda s: at.sqrt(s) + at.log(t), outputs_info=t, n_steps=3)[0][-1]  # noqa: E731
    cost = loopjax.scan(lambda t: at.switch(t > 0, inner(t), t), sequences=X)[0].sum()
    expected = loopjax.function([A], loopjax.grad(inner(A), A))(2.0)
    x = np.array([2.0, 0.0, -1.0])
    np.testing.assert_allclose(loopjax.function([X], loopjax.grad(cost, X))(x), [expected, 1, 1], rtol=1e-14)
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.grad(loopjax.to_jax([X], cost))(x), [expected, 1, 1], rtol=1e-14)


def test_a_scalar_condition_keeps_the_singularity_of_a_decomposition_away():
    y = at.switch(A > 0, at.linalg.inv(M).sum(), 0.0)
    f = loopjax.function([A, M], loopjax.grad(y, M))
    np.testing.assert_array_equal(f(-1.0, np.zeros((2, 2))), np.zeros((2, 2)))
    np.testing.assert_allclose(f(1.0, 2 * np.eye(2)), -np.full((2, 2), 0.25), rtol=1e-14)


INNER = {
    "function": lambda h, a: at.log(a) * h,
    "decomposition": lambda h, a: at.linalg.inv(a * at.eye(2)).sum() * h,
    "loop": lambda h, a: loopjax.scan(lambda k: k * h + at.log(a), outputs_info=h, n_steps=3)[0][-1] * h,
}


@pytest.mark.parametrize("choose", [at.switch, loopjax.ifelse], ids=["switch", "ifelse"])
@pytest.mark.parametrize("kind", INNER)
@pytest.mark.parametrize("n_steps", [4, "value"])
def test_a_singularity_that_no_step_depends_on_is_guarded_in_its_branch(choose, kind, n_steps):
    """It is the same at every step, so that it could be computed before the loop, where no condition guards it."""
    n = at.iscalar("n")
    step = lambda h: choose(h > B, INNER[kind](h, A), h + A)  # noqa: E731
    steps = n if n_steps == "value" else n_steps
    y = loopjax.scan(step, outputs_info=np.float64(1.0), n_steps=steps)[0][-1]
    f = loopjax.function([A, B, n], [y, loopjax.grad(y, A)], on_unused_input="ignore")
    assert f(0.0, 9.0, 4) == [1.0, 4.0]
    value, slope = f(1.5, 2.0, 4)
    higher, lower = (f(1.5 + d, 2.0, 4)[0] for d in (1e-6, -1e-6))
    np.testing.assert_allclose(slope, (higher - lower) / 2e-6, rtol=1e-6)
    assert np.isfinite(value)


@pytest.mark.parametrize(
    ("branch", "slope"),
    [
        (lambda a, x: a * at.log(x), np.log(2.0)),
        (lambda a, x: (a - 1) * at.log(x) - x**a, np.log(2.0) - 4 * np.log(2.0)),
        (lambda a, x: at.log(x) / a, -np.log(2.0) / 4),
        (lambda a, x: a * (1 / x), 1.5),
        (lambda a, x: (a + x) * at.log(x), np.log(2.0)),
    ],
)
def test_what_an_infinite_value_multiplies(branch, slope):
    """A parameter of one element is read everywhere: its derivative is 0 times what a branch not taken has there."""
    a, x = at.dscalar("a"), at.dvector("x")
    f = loopjax.function([a, x], loopjax.grad(at.switch(x > 0, branch(a, x), 0.0).sum(), a))
    np.testing.assert_allclose(f(2.0, [0.0, 1.0, 2.0]), slope)


def test_conditions_that_are_taken_everywhere():
    x, r = at.dmatrix("x"), at.TensorType("float64", (None, 1))("r")
    c = r > 1
    either = at.or_(at.and_(x > 0, c), at.and_(x < -1, at.invert(c)))
    cost = at.switch(r > 0, at.switch(either, at.log(r) * x, 0.0), 0.0).sum()
    f = loopjax.function([x, r], loopjax.grad(cost, [x, r]))
    values, rates = np.array([[2.0, -2.0], [2.0, -2.0]]), np.array([[2.0], [0.5]])
    by_x, by_r = f(values, rates)
    np.testing.assert_allclose(by_x, np.log(rates) * [[1, 0], [0, 1]])
    np.testing.assert_allclose(by_r, [[1.0], [-4.0]])
