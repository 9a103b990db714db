"""Jacobians and Hessians, and products with vectors from either side, through loops of every kind."""

import re

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from tests.compilations import Counting
from tests.differences import differences

RNG = np.random.default_rng(23)


def taps():
    u, x0, W = at.dmatrix("u"), at.dmatrix("x0"), at.dmatrix("W")

    def step(old, now, first, last, W):
        return at.tanh(at.dot(last, W) + now) * at.cos(first + old)

    out, _ = loopjax.scan(
        step,
        sequences={"input": u, "taps": [-2, 0]},
        outputs_info={"initial": x0, "taps": [-3, -1]},
        non_sequences=W,
    )
    return out, [u, x0, W], [RNG.normal(size=shape) / 2 for shape in ((6, 2), (3, 2), (2, 2))]


def deep_taps():
    start, c = at.dvector("start"), at.dscalar("c")
    out, _ = loopjax.scan(lambda a, b: at.sin(a * c) + b, outputs_info={"initial": start, "taps": [-7, -1]}, n_steps=11)
    return out, [start, c], [RNG.normal(size=7), np.array(0.7)]


def nested():
    x, y, h = at.dvector("x"), at.dvector("y"), at.dscalar("h")

    def row(a, h):
        inner, _ = loopjax.scan(lambda b, g: at.tanh(g * a + b * x.sum()), sequences=y, outputs_info=h)
        return inner[-1], inner

    (last, table), _ = loopjax.scan(row, sequences=x, outputs_info=[h, None])
    return at.concatenate([last, table.flatten()]), [x, y, h], [RNG.normal(size=3), RNG.normal(size=4), np.array(0.1)]


def mapped():
    x, w = at.dmatrix("x"), at.dvector("w")
    out, _ = loopjax.map(lambda row, w: at.exp(row * w).sum() + row, x, non_sequences=w)
    return out, [x, w], [RNG.normal(size=(4, 3)), RNG.normal(size=3)]


def backwards():
    x, h = at.dvector("x"), at.dscalar("h")
    out, _ = loopjax.scan(lambda a, h: h * a + at.sin(h), sequences=x, outputs_info=h, go_backwards=True)
    return out, [x, h], [RNG.normal(size=5), np.array(0.3)]


def checkpointed():
    x, h = at.dvector("x"), at.dscalar("h")
    out, _ = loopjax.scan(lambda a, h: at.tanh(h * a) + a, sequences=x, outputs_info=h, checkpoint=3)
    return out[-2:], [x, h], [RNG.normal(size=8), np.array(0.3)]


def truncated():
    x, h = at.dvector("x"), at.dscalar("h")
    out, _ = loopjax.scan(lambda a, h: h * a, sequences=x, outputs_info=h, truncate_gradient=2)
    return out, [x, h], [RNG.normal(size=5), np.array(0.3)]


def no_loop():
    x, w = at.dmatrix("x"), at.dvector("w")
    return at.tanh(at.dot(x, w)) * w.sum(), [x, w], [RNG.normal(size=(3, 2)), RNG.normal(size=2)]


PROGRAMS = [taps, deep_taps, nested, mapped, backwards, checkpointed, truncated, no_loop]


@pytest.mark.parametrize("program", PROGRAMS)
def test_rop_and_lop_are_adjoint(program):
    """``<Rop v, u> == <v, Lop u>``, and both agree with the Jacobian."""
    f, wrt, values = program()
    v = [variable.type(f"v{i}") for i, variable in enumerate(wrt)]
    u = f.type("u")
    pushed, pulled = loopjax.Rop(f, wrt, v), loopjax.Lop(f, wrt, u)
    run = loopjax.function([*wrt, *v, u], [pushed, *pulled, f])
    tangents = [RNG.normal(size=np.shape(value)) for value in values]
    cotangent = RNG.normal(size=np.shape(loopjax.function(wrt, f)(*values)))
    along, *back, value = run(*values, *tangents, cotangent)
    np.testing.assert_array_equal(value, loopjax.function(wrt, f)(*values))
    left = np.sum(np.asarray(along) * cotangent)
    right = sum(np.sum(tangent * np.asarray(one)) for tangent, one in zip(tangents, back, strict=True))
    np.testing.assert_allclose(left, right, rtol=1e-11)
    if program is not truncated:
        steps = [
            np.tensordot(differences(loopjax.function(wrt, f), values, i), tangents[i], np.ndim(values[i]))
            for i in range(len(wrt))
        ]
        np.testing.assert_allclose(along, sum(steps), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("vectorize", [False, True])
@pytest.mark.parametrize("program", [taps, nested, mapped, checkpointed, no_loop])
def test_jacobian(program, vectorize):
    f, wrt, values = program()
    found = loopjax.function(wrt, loopjax.jacobian(f, wrt, vectorize=vectorize))(*values)
    plain = loopjax.function(wrt, f)
    for position, one in enumerate(found):
        expected = differences(plain, values, position)
        assert one.shape == expected.shape
        np.testing.assert_allclose(one, expected, rtol=1e-6, atol=1e-8)


class TestJacobian:
    @pytest.mark.parametrize("vectorize", [False, True])
    @pytest.mark.parametrize(
        ("make", "shape"),
        [
            (lambda x: (x**3).sum(), ()),
            (lambda x: x[0] ** 3 * x[1], (3,)),
            (lambda x: x**3 + x[::-1], (2, 3)),
            (lambda x: x[:, None] ** 3 * x[None], (2, 2, 3)),
        ],
    )
    def test_every_number_of_dimensions(self, make, shape, vectorize):
        x = at.dmatrix("x")
        value = RNG.normal(size=(2, 3))
        f = make(x)
        jac = loopjax.jacobian(f, x, vectorize=vectorize)
        assert jac.ndim == f.ndim + 2
        found = loopjax.function([x], jac)(value)
        assert found.shape == (*shape, 2, 3)
        np.testing.assert_allclose(found, differences(loopjax.function([x], f), [value], 0), rtol=1e-7, atol=1e-8)

    def test_no_element(self):
        x, y = at.dvector("x"), at.dvector("y")
        f = loopjax.function([x, y], loopjax.jacobian(x * y.sum(), [x, y]))
        assert [one.shape for one in f(np.zeros(0), np.ones(3))] == [(0, 0), (0, 3)]
        assert [one.shape for one in f(np.ones(2), np.zeros(0))] == [(2, 2), (2, 0)]

    def test_container_and_dtype(self):
        x, y = at.fvector("x"), at.fscalar("y")
        assert isinstance(loopjax.jacobian(x * y, (x, y)), tuple)
        assert isinstance(loopjax.jacobian(x * y, [x, y]), list)
        assert loopjax.jacobian(x * y, x).dtype == "float32"
        assert loopjax.jacobian(at.cast(x * y, "float64"), x).dtype == "float32"

    def test_disconnected_rows_are_zeros_of_the_jacobian_s_shape(self):
        x, y = at.dvector("x"), at.dmatrix("y")
        with pytest.raises(loopjax.errors.DisconnectedInputError):
            loopjax.jacobian(x**2, y)
        zeros = loopjax.jacobian(x**2, y, disconnected_inputs="ignore")
        found = loopjax.function([x, y], zeros)(np.ones(2), np.ones((3, 4)))
        np.testing.assert_array_equal(found, np.zeros((2, 3, 4)))

    def test_consider_constant(self):
        x = at.dvector("x")
        y = x**2
        jac = loopjax.jacobian(y * x, x, consider_constant=[y])
        np.testing.assert_allclose(jac.eval({x: [2.0, 3.0]}), np.diag([4.0, 9.0]))

    def test_integers_are_refused(self):
        k, x = at.lvector("k"), at.dvector("x")
        with pytest.raises(TypeError, match=r"jacobian with expression .*only float"):
            loopjax.jacobian(k, x)
        with pytest.raises(TypeError, match=r"jacobian with wrt .*only float"):
            loopjax.jacobian(x * k, k)

    def test_inside_of_a_loop_and_through_one(self):
        """Newton's method: the system's matrix is a Jacobian at each step."""
        x0, a = at.dvector("x0"), at.dscalar("a")

        def step(x):
            f = at.stack([x[0] ** 2 + x[1] - a, x[0] - x[1]])
            (p, q), (r, s) = [(row[0], row[1]) for row in (loopjax.jacobian(f, x)[0], loopjax.jacobian(f, x)[1])]
            det = p * s - q * r
            return x - at.stack([(s * f[0] - q * f[1]) / det, (p * f[1] - r * f[0]) / det])

        out, _ = loopjax.scan(step, outputs_info=x0, n_steps=9)
        root = lambda a: (np.sqrt(1 + 4 * a) - 1) / 2  # noqa: E731
        found = loopjax.function([x0, a], [out[-1], loopjax.grad(out[-1][0], a)])([1.0, 1.0], 3.0)
        np.testing.assert_allclose(found[0], [root(3.0)] * 2, rtol=1e-12)
        np.testing.assert_allclose(found[1], 1 / np.sqrt(13.0), rtol=1e-10)

    def test_the_value_is_computed_forward_once(self):
        f, wrt, values = taps()
        run = loopjax.function(wrt, [f, loopjax.grad(f.sum(), wrt[2]), *loopjax.jacobian(f, wrt)])
        text = run.lower(*values).compile().as_text()
        forward = [line for line in text.splitlines() if " while(" in line]
        # forward, backward of the gradient, the rows, and backward in a row
        assert len(forward) <= 4


@pytest.mark.parametrize("vectorize", [False, True])
def test_the_idiom_of_rows_by_a_scan_equals_the_jacobian(vectorize):
    x = at.dvector("x")
    w = at.dvector("w")
    y, _ = loopjax.scan(
        lambda a, h: at.tanh(h * a) + w.sum(), sequences=x, outputs_info=at.constant(0.5, dtype="float64")
    )
    rows, _ = loopjax.scan(lambda i, y, x: loopjax.grad(y[i], x), sequences=at.arange(y.shape[0]), non_sequences=[y, x])
    value = [RNG.normal(size=5), RNG.normal(size=2)]
    jac = loopjax.jacobian(y, x, vectorize=vectorize)
    found, expected = loopjax.function([x, w], [rows, jac])(*value)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(found, differences(loopjax.function([x, w], y), value, 0), rtol=1e-7, atol=1e-9)


def test_rop_and_lop_inside_fn_see_the_outer_graph():
    x = at.dvector("x")
    y, _ = loopjax.scan(lambda a, h: h * a, sequences=x, outputs_info=at.constant(1.0, dtype="float64"))
    eye = at.eye(3, dtype="float64")
    columns, _ = loopjax.scan(lambda e, y, x: loopjax.Rop(y, x, e), sequences=eye, non_sequences=[y, x])
    rows, _ = loopjax.scan(lambda e, y, x: loopjax.Lop(y, x, e), sequences=eye, non_sequences=[y, x])
    found = loopjax.function([x], [columns, rows, loopjax.jacobian(y, x)])([2.0, 3.0, 5.0])
    expected = [[1, 0, 0], [3, 2, 0], [15, 10, 6]]
    np.testing.assert_allclose(found[0], np.transpose(expected))
    np.testing.assert_allclose(found[1], expected)
    np.testing.assert_allclose(found[2], expected)


class TestHessian:
    def test_of_a_recurrence(self):
        """``h_n = h_0**(2**n) * a**(2**n - 1)`` has derivatives that are written down."""
        z = at.dvector("z")
        out, _ = loopjax.scan(lambda h: z[1] * h * h, outputs_info=z[0], n_steps=3)
        cost = out[-1]
        h, a = 1.3, 0.8
        p, q = 8, 7
        value = h**p * a**q
        cross = p * q * value / (h * a)
        expected = [[p * (p - 1) * value / h**2, cross], [cross, q * (q - 1) * value / a**2]]
        hess = loopjax.hessian(cost, z)
        np.testing.assert_allclose(loopjax.function([z], hess)([h, a]), expected, rtol=1e-12)
        third = loopjax.jacobian(hess, z)
        found = loopjax.function([z], third)([h, a])
        np.testing.assert_allclose(found[0, 0, 0], p * (p - 1) * (p - 2) * value / h**3, rtol=1e-12)
        np.testing.assert_allclose(found[0, 0, 1], p * (p - 1) * q * value / (h * h * a), rtol=1e-12)
        np.testing.assert_allclose(found[1, 1, 1], q * (q - 1) * (q - 2) * value / a**3, rtol=1e-12)
        np.testing.assert_allclose(found, np.transpose(found, (2, 0, 1)), rtol=1e-12)

    @pytest.mark.parametrize("vectorize", [False, True])
    def test_lists_and_more_dimensions(self, vectorize):
        x, W = at.dvector("x"), at.dmatrix("W")
        cost = (at.tanh(at.dot(W, x)) ** 2).sum()
        by_x, by_w = loopjax.hessian(cost, [x, W], vectorize=vectorize)
        values = [RNG.normal(size=2), RNG.normal(size=(3, 2))]
        found = loopjax.function([x, W], [by_x, by_w])(*values)
        for position, variable in enumerate((x, W)):
            slope = loopjax.function([x, W], loopjax.grad(cost, variable))
            np.testing.assert_allclose(found[position], differences(slope, values, position), atol=1e-8)

    def test_of_a_linear_cost_is_zero(self):
        x = at.dvector("x")
        np.testing.assert_array_equal(loopjax.hessian(x.sum(), x).eval({x: [1.0, 2.0]}), np.zeros((2, 2)))

    def test_times_a_vector_both_ways(self):
        x, v = at.dvector("x"), at.dvector("v")
        out, _ = loopjax.scan(
            lambda a, h: at.sin(h * a) + a, sequences=x, outputs_info=at.constant(0.5, dtype="float64")
        )
        cost = (out**2).sum()
        slope = loopjax.grad(cost, x)
        products = [
            at.dot(loopjax.hessian(cost, x), v),
            loopjax.Rop(slope, x, v),  # forward over reverse
            loopjax.grad(loopjax.Rop(cost, x, v), x),  # reverse over forward
            loopjax.grad((slope * v).sum(), x),  # reverse over reverse
            loopjax.Rop(loopjax.Rop(cost, x, v), x, at.ones_like(x)),
        ]
        values = RNG.normal(size=4), RNG.normal(size=4)
        expected, *found, twice = map(np.asarray, loopjax.function([x, v], products)(*values))
        for one in found:
            np.testing.assert_allclose(one, expected, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(twice, np.sum(expected), rtol=1e-11)


class TestRop:
    def test_several_outputs_and_points(self):
        x, y = at.dvector("x"), at.dscalar("y")
        found = loopjax.Rop([x * y, (x**2).sum()], [x, y], [x * 0 + 1, 10.0])
        assert isinstance(found, list)
        one, other = loopjax.function([x, y], found)([1.0, 2.0], 3.0)
        np.testing.assert_allclose(one, [13, 23])
        np.testing.assert_allclose(other, 6)

    def test_intermediate_variables(self):
        x = at.dvector("x")
        y = x**2
        z = y * x
        found = loopjax.function([x], [loopjax.Rop(z, y, [1.0, 1.0]), loopjax.Rop(z, [x, y], [[1.0, 1.0]] * 2)])
        by_y, both = found([2.0, 3.0])
        np.testing.assert_allclose(by_y, [2, 3])
        np.testing.assert_allclose(both, [3 * 4 + 2, 3 * 9 + 3])

    def test_the_scan_s_own_output(self):
        x = at.dvector("x")
        out, _ = loopjax.scan(lambda a, h: h * a, sequences=x, outputs_info=at.constant(1.0, dtype="float64"))
        v = at.ones_like(out)
        found = loopjax.function([x], [loopjax.Rop((out**2).sum(), out, v), loopjax.Lop(out**2, out, v)])
        along, back = found([2.0, 3.0])
        np.testing.assert_allclose(along, 2 * (2 + 6))
        np.testing.assert_allclose(back, [4, 12])

    def test_a_variable_named_twice(self):
        x = at.dscalar("x")
        assert float(loopjax.Rop(x**2, [x, x], [1.0, 2.0]).eval({x: 5.0})) == 30.0

    def test_value_and_tangent_share_one_loop(self):
        x, h = at.dvector("x"), at.dscalar("h")
        out, _ = loopjax.scan(lambda a, h: at.tanh(h * a), sequences=x, outputs_info=h, name="both_ways")
        f = loopjax.function([x, h], [out, loopjax.Rop(out, h, 1.0)])
        text = f.lower(np.ones(50), 0.3).compile().as_text()
        assert len([line for line in text.splitlines() if re.search(r" while\(.*both_ways", line)]) == 1

    def test_stores_no_steps(self):
        h = at.dscalar("h")
        out, _ = loopjax.scan(lambda h: at.sin(h), outputs_info=h, n_steps=100_000)
        f = loopjax.function([h], loopjax.Rop(out[-1], h, 1.0))
        assert f.lower(0.3).compile().memory_analysis().temp_size_in_bytes < 10_000

    def test_loops_that_stop_by_until_or_are_as_long_as_a_value_says(self):
        h, limit, k = at.dscalar("h"), at.dscalar("limit"), at.lscalar("k")
        stops, _ = loopjax.scan(lambda h: (h * h, loopjax.until(h * h > limit)), outputs_info=h, n_steps=50)
        counted, _ = loopjax.scan(lambda h: h * 3, outputs_info=h, n_steps=k)
        f = loopjax.function([h, limit], loopjax.Rop(stops[-1], h, 1.0))
        np.testing.assert_allclose(f(2.0, 10.0), 4 * 2.0**3)
        np.testing.assert_allclose(f(2.0, 100.0), 8 * 2.0**7)
        g = Counting(loopjax.function([h, k], loopjax.Rop(counted[-1], h, 1.0)))
        assert [float(g(1.0, n)) for n in (1, 2, 4)] == [3.0, 9.0, 81.0]
        assert g.count == 1

    def test_the_last_steps_alone_where_the_length_is_not_known(self):
        h = at.dscalar("h")
        out, _ = loopjax.scan(lambda h: (h * 2, loopjax.until(h > 9)), outputs_info=h, n_steps=50, truncate_gradient=2)
        along = loopjax.function([h], [loopjax.Rop(out[-1], h, at.ones_like(h)), loopjax.grad(out[-1], h)])
        assert [float(value) for value in along(1.0)] == [0.0, 0.0]
        assert [float(value) for value in along(6.0)] == [4.0, 4.0]

    def test_disconnected(self):
        x, y = at.dvector("x"), at.dscalar("y")
        with pytest.raises(loopjax.errors.DisconnectedInputError, match=r"\[test_jacobian.py:\d+\].*any wrt"):
            loopjax.Rop(y * 2, x, x)
        with pytest.warns(UserWarning, match="does not depend on any wrt") as caught:
            loopjax.Rop(y * 2, x, x, disconnected_outputs="warn")
        assert caught[0].filename == __file__
        found = loopjax.Rop([y * 2, x.sum()], x, x, disconnected_outputs="ignore")
        f = loopjax.function([x, y], found, on_unused_input="ignore")
        np.testing.assert_allclose(f([1.0, 2.0], 1.0), [0, 3])
        assert loopjax.Rop(y, x, x, disconnected_outputs="ignore", return_disconnected="none") is None

    def test_points_that_do_not_fit(self):
        x = at.dvector("x")
        with pytest.raises(ValueError, match="has 2 entries and wrt 3"):
            loopjax.Rop(x, [x, x, x], [x, x])
        with pytest.raises(TypeError, match=r"eval_points gives .*expected float64"):
            loopjax.Rop(x, x, at.dmatrix())
        y = at.fvector("y")
        with pytest.raises(TypeError, match=r"eval_points gives .*expected float32"):
            loopjax.Rop(y, y, x)
        with pytest.raises(ValueError, match=r"a point of eval_points is float64\(3,\); its wrt is float64\(2,\)"):
            loopjax.function([x], loopjax.Rop(x**2, x, np.ones(3)))(np.ones(2))
        with pytest.raises(ValueError, match=r"a given gradient is float64\(3,\)"):
            loopjax.function([x], loopjax.Lop(x**2, x, np.ones(3)))(np.ones(2))

    def test_of_integers_is_refused(self):
        k = at.lvector("k")
        with pytest.raises(TypeError, match="Rop with f"):
            loopjax.Rop(k, k, k)

    def test_a_clipped_gradient_has_no_forward_mode(self):
        x = at.dscalar("x")
        message = r"Rop \[test_jacobian.py:\d+\] passes grad_clip \[test_jacobian.py:\d+\]"
        out, _ = loopjax.scan(lambda h: at.grad_clip(h, -1, 1) * 2, outputs_info=x, n_steps=3)
        for f in (at.grad_clip(x, -1, 1) * 2, out):
            with pytest.raises(loopjax.errors.UnsupportedError, match=message):
                loopjax.function([x], loopjax.Rop(f, x, 1.0))
        slope = loopjax.grad(out[-1], x)
        assert float(loopjax.function([x], loopjax.Rop(slope * x, x, 1.0))(1.0)) == 1.0


class TestDerivativesOfDerivatives:
    """What lies inside of one derivative's path and is what another is with respect to."""

    def test_with_respect_to_a_value_in_between(self):
        x = at.dscalar("x")
        y = x**2
        z = y**3
        slope = loopjax.grad(z, x)  # 3 y^2 2x
        outputs = [slope, loopjax.grad(slope, y), loopjax.Rop(slope, y, 1.0), loopjax.grad(loopjax.Rop(z, x, 1.0), y)]
        found = loopjax.function([x], outputs)(2.0)
        np.testing.assert_allclose(found, [192, 96, 96, 96])

    def test_two_costs_of_one_path(self):
        x = at.dscalar("x")
        y = x**2
        one, other = at.sin(y), at.cos(y)
        outputs = [loopjax.grad(loopjax.grad(one, x), x), loopjax.grad(other, x), loopjax.grad(loopjax.grad(one, y), y)]
        found = loopjax.function([x], outputs)(2.0)
        np.testing.assert_allclose(found, [2 * np.cos(4) - 16 * np.sin(4), -4 * np.sin(4), -np.sin(4)])

    def test_with_respect_to_what_is_pulled_back(self):
        """The classical way to forward mode: the derivative of Lop by its own cotangent."""
        x, u, v = at.dvector("x"), at.dvector("u"), at.dvector("v")
        f, _ = loopjax.scan(lambda a, h: at.sin(h * a) + a, sequences=x, outputs_info=at.constant(0.5, dtype="float64"))
        back = loopjax.Lop(f, x, u)
        twice = loopjax.Lop(back, u, v)
        values = [RNG.normal(size=4) for _ in range(3)]
        found = loopjax.function([x, u, v], [back, twice, loopjax.Rop(f, x, v)])(*values)
        np.testing.assert_allclose(found[1], found[2], rtol=1e-12)

    def test_gauss_newton(self):
        x, v = at.dvector("x"), at.dvector("v")
        f = at.tanh(x) * x[::-1]
        product = loopjax.Lop(f, x, loopjax.Rop(f, x, v))
        values = [RNG.normal(size=3), RNG.normal(size=3)]
        found, jac, _value = loopjax.function([x, v], [product, loopjax.jacobian(f, x), f])(*values)
        np.testing.assert_allclose(found, np.asarray(jac).T @ (np.asarray(jac) @ values[1]), rtol=1e-12)

    def test_a_derivative_along_the_gradient(self):
        x = at.dvector("x")
        cost = (at.sin(x) * x[::-1]).sum()
        slope = loopjax.grad(cost, x)
        found = loopjax.function([x], [cost, slope, loopjax.Rop(cost, x, slope), loopjax.Lop(cost, x, slope.sum())])
        _, g, along, scaled = map(np.asarray, found(RNG.normal(size=4)))
        np.testing.assert_allclose(along, np.sum(g**2), rtol=1e-12)
        np.testing.assert_allclose(scaled, g * np.sum(g), rtol=1e-12)

    def test_along_what_is_computed_on_the_way(self):
        x = at.dscalar("x")
        y = at.sin(x)
        found = loopjax.function([x], [y, loopjax.Rop(y * x, x, y)])(0.7)
        np.testing.assert_allclose(found, [np.sin(0.7), np.sin(0.7) * (np.sin(0.7) + 0.7 * np.cos(0.7))])

    def test_with_respect_to_what_is_pulled_back_beside_the_value(self):
        """The cost is read both by its own gradient's factor and on another way."""
        x, u = at.dscalar("x"), at.dscalar("u")
        y = at.sin(x)
        back = loopjax.Lop(y, x, u)
        cost = back * at.exp(y) * u
        found = loopjax.function([x, u], [y, loopjax.grad(cost, u), loopjax.Rop(cost, u, y)])(0.7, 1.3)
        slope = 2 * 1.3 * np.cos(0.7) * np.exp(np.sin(0.7))
        np.testing.assert_allclose(found, [np.sin(0.7), slope, slope * np.sin(0.7)])

    def test_inside_of_a_loop_s_body(self):
        x0 = at.dvector("x0")

        def step(x):
            cost = (x**4).sum()
            slope = loopjax.grad(cost, x)
            return x - 0.01 * slope, loopjax.Rop(slope, x, at.ones_like(x)), loopjax.hessian(cost, x)

        (_xs, products, hessians), _ = loopjax.scan(step, outputs_info=[x0, None, None], n_steps=3)
        value = np.array([0.5, -0.4])
        found = loopjax.function([x0], [products, hessians, loopjax.grad(products.sum(), x0)])(value)
        states, chain, slope = [value], np.ones(2), np.zeros(2)
        for _ in range(3):
            slope = slope + 24 * states[-1] * chain
            chain = chain * (1 - 0.12 * states[-1] ** 2)
            states.append(states[-1] - 0.04 * states[-1] ** 3)
        np.testing.assert_allclose(found[0], [12 * x**2 for x in states[:3]], rtol=1e-12)
        np.testing.assert_allclose(found[1], [np.diag(12 * x**2) for x in states[:3]], rtol=1e-12)
        np.testing.assert_allclose(found[2], slope, rtol=1e-12)

    def test_a_recorded_program_can_be_pickled_printed_and_explained(self):
        import pickle

        f, wrt, values = taps()
        v = at.ones_like(wrt[2])
        run = loopjax.function(wrt, [loopjax.Rop(f, wrt[2], v), loopjax.jacobian(f, wrt[2])])
        again = pickle.loads(pickle.dumps(run))
        for one, other in zip(run(*values), again(*values), strict=True):
            np.testing.assert_array_equal(one, other)
        assert "pushforward[wrt=1, costs=1]" in loopjax.ir.printing.graph_text(run.stages[0].stage.graph)
        assert "differentiated" in str(loopjax.explain(run))
