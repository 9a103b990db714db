"""Gradients through static loops: against finite differences in float64, and how many loops they cost."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from tests.differences import differences

RNG = np.random.default_rng(11)


def check(cost, inputs, values, wrt=None):
    """Gradients asked together and one by one equal finite differences."""
    wrt = list(inputs if wrt is None else wrt)
    f = loopjax.function(list(inputs), cost)
    together = loopjax.function(list(inputs), loopjax.grad(cost, wrt))(*values)
    singly = loopjax.function(list(inputs), [loopjax.grad(cost, variable) for variable in wrt])(*values)
    for variable, one, other in zip(wrt, together, singly, strict=True):
        expected = differences(f, values, list(inputs).index(variable))
        np.testing.assert_allclose(one, expected, rtol=2e-6, atol=2e-7)
        np.testing.assert_array_equal(one, other)


def rnn(steps=5, taps=False, **options):
    """The tapped network of the guide, or a plain one: its cost, inputs and values."""
    u, x0, y0 = at.dmatrix("u"), at.dmatrix("x0"), at.dvector("y0")
    W, V = at.dmatrix("W"), at.dmatrix("V")

    def step(u_old, u_now, x_old, x_last, y_last, W, V):
        x = at.tanh(at.dot(x_last, W) + at.dot(u_now, V) + u_old + y_last)
        return [x, at.dot(x_old, V)]

    (xs, ys), _ = loopjax.scan(
        step,
        sequences={"input": u, "taps": [-4, 0]},
        outputs_info=[{"initial": x0, "taps": [-3, -1]}, y0],
        non_sequences=[W, V],
        name="rnn",
        **options,
    )
    cost = (xs**2).sum() + at.sin(ys).sum() + ys[-1].sum()
    values = [RNG.normal(size=shape) / 2 for shape in ((steps + 4, 2), (3, 2), (2,), (2, 2), (2, 2))]
    return cost, [u, x0, y0, W, V], values


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_taps_sequences_states_and_non_sequences(steps):
    check(*rnn(steps))


def test_backwards():
    check(*rnn(go_backwards=True))


@pytest.mark.parametrize("depth", [1, 2, 4, 5, 9])
def test_every_depth_of_taps(depth):
    start = at.dvector("start")
    taps = sorted({-depth, -1})
    initial = {"initial": start, "taps": taps} if depth > 1 else start[0]
    out, _ = loopjax.scan(lambda *h: at.sin(sum(h) * 1.5) + h[0], outputs_info=initial, n_steps=12)
    check((out**2).sum() + out[-1], [start], [RNG.normal(size=depth)])


@pytest.mark.parametrize("read", [lambda o: o[-1], lambda o: o[-3:].sum(), lambda o: o[2], lambda o: o[-2] * o[-1]])
def test_partial_reads(read):
    x, h = at.dvector("x"), at.dscalar("h")
    out, _ = loopjax.scan(lambda u, h: at.tanh(u * h) + u, sequences=x, outputs_info=h)
    check(read(out), [x, h], [RNG.normal(size=6), np.array(0.3)])


def test_map():
    x, w = at.dvector("x"), at.dscalar("w")
    out, _ = loopjax.map(lambda a, w: at.exp(a * w), x, non_sequences=w)
    check(out.sum(), [x, w], [RNG.normal(size=4), np.array(0.7)])


def test_closures_and_intermediate_variables():
    x, w = at.dvector("x"), at.dscalar("w")
    outer = at.exp(w)
    out, _ = loopjax.scan(lambda u, h: h * outer + u, sequences=x * 2, outputs_info=at.constant(0.5, dtype="float64"))
    cost = (out**2).sum()
    check(cost, [x, w], [RNG.normal(size=4), np.array(0.2)])
    value = [RNG.normal(size=4), 0.2]
    through, direct = loopjax.function([x, w], [loopjax.grad(cost, w), loopjax.grad(cost, outer)])(*value)
    np.testing.assert_allclose(through, float(direct) * np.exp(0.2), rtol=1e-12)


def test_shared_variables():
    W = loopjax.shared(RNG.normal(size=(3, 3)) / 3)
    h = at.dvector("h")
    out, _ = loopjax.scan(lambda h: at.tanh(at.dot(W, h)), outputs_info=h, n_steps=4)
    cost = (out**2).sum()
    value = RNG.normal(size=3)
    found = loopjax.function([h], loopjax.grad(cost, W))(value)
    free = at.dmatrix("W")
    f = loopjax.function([h, free], cost, givens={W: free})
    np.testing.assert_allclose(found, differences(f, [value, W.get_value()], 1), rtol=1e-6, atol=1e-8)


def test_the_scans_output_itself():
    x = at.dvector("x")
    out, _ = loopjax.scan(lambda u, h: h * u, sequences=x, outputs_info=at.constant(1.0, dtype="float64"))
    value = np.array([2.0, 3.0, 4.0])
    grads = loopjax.function([x], loopjax.grad((out**2).sum(), [out, x]))(value)
    np.testing.assert_allclose(grads[0], 2 * np.cumprod(value))
    expected = [sum(2 * np.prod(value[: t + 1]) ** 2 / value[i] for t in range(i, 3)) for i in range(3)]
    np.testing.assert_allclose(grads[1], expected)


def test_a_state_cost_between_steps_counts_once():
    """The identity of variables decides: y and z compute the same and are two."""
    x = at.dvector("x")
    y, z = x * 2, x * 2
    f = loopjax.function([x], [loopjax.grad((y + z).sum(), y), loopjax.grad((y + z).sum(), x)])
    np.testing.assert_array_equal(f([1.0, 2.0]), [[1, 1], [4, 4]])


def test_givens_that_make_two_variables_one():
    x, y, g = at.dscalar("x"), at.dscalar("y"), at.dscalar("g")
    cost = x * x + 3 * y
    f = loopjax.function([g], loopjax.grad(cost, [x, y]), givens={x: g, y: g})
    np.testing.assert_allclose(f(5.0), [10.0, 3.0])


@pytest.mark.parametrize("inner_steps", [1, 3])
def test_nested(inner_steps):
    x, y = at.dvector("x"), at.dvector("y")

    def row(a, h):
        inner, _ = loopjax.scan(lambda b, g: at.tanh(g * a + b), sequences=y, outputs_info=h)
        return inner[-1]

    out, _ = loopjax.scan(row, sequences=x, outputs_info=at.constant(0.1, dtype="float64"))
    check((out**2).sum(), [x, y], [RNG.normal(size=3), RNG.normal(size=inner_steps)])


def test_second_derivatives():
    x, h = at.dvector("x"), at.dscalar("h")
    out, _ = loopjax.scan(lambda u, h: at.sin(h) * u, sequences=x, outputs_info=h)
    slope = loopjax.grad(out[-1], h)
    check(slope, [x, h], [RNG.normal(size=4) + 2, np.array(0.4)])
    check(loopjax.grad(slope, h), [x, h], [RNG.normal(size=4) + 2, np.array(0.4)])


def test_a_gradient_step_inside_a_scan():
    start, target = at.dvector("start"), at.dvector("target")

    def descend(p):
        loss = ((p - target) ** 2).sum()
        return p - 0.1 * loopjax.grad(loss, p)

    out, _ = loopjax.scan(descend, outputs_info=start, n_steps=3)
    a, b = RNG.normal(size=2), RNG.normal(size=2)
    expected = [b + (a - b) * 0.8**t for t in (1, 2, 3)]
    np.testing.assert_allclose(loopjax.function([start, target], out)(a, b), expected, rtol=1e-12)
    check((out**2).sum(), [start, target], [a, b])


@pytest.mark.parametrize("checkpoint", [None, 2])
@pytest.mark.parametrize("keep", [0, 1, 3, 5, 8])
def test_truncation_reaches_back_the_last_steps(keep, checkpoint):
    x, h = at.dvector("x"), at.dscalar("h")
    out, _ = loopjax.scan(
        lambda u, h: h * u, sequences=x, outputs_info=h, truncate_gradient=keep, checkpoint=checkpoint
    )
    value = np.array([2.0, 3.0, 5.0, 7.0, 11.0])
    dx, dh = loopjax.function([x, h], loopjax.grad(out[-1], [x, h], disconnected_inputs="ignore"))(value, 1.0)
    whole = np.prod(value) / value
    expected = np.where(np.arange(5) >= 5 - keep, whole, 0)
    np.testing.assert_allclose(dx, expected)
    np.testing.assert_allclose(dh, np.prod(value) if keep >= 5 else 0)


@pytest.mark.parametrize(("steps", "every"), [(1, 1), (1, 3), (2, 20), (7, 1), (7, 5), (12, 3), (12, 5), (12, 20)])
def test_saving_every_few_steps_changes_no_gradient(steps, every):
    cost, inputs, values = rnn(steps, checkpoint=every)
    RNG_values = values
    plain, plain_inputs, _ = rnn(steps)
    found = loopjax.function(inputs, [cost, *loopjax.grad(cost, inputs)])(*RNG_values)
    expected = loopjax.function(plain_inputs, [plain, *loopjax.grad(plain, plain_inputs)])(*RNG_values)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def loops(f, args, name):
    """The while loops of a compiled function that carry the scan's name in their metadata."""
    text = f.lower(*args).compile().as_text()
    return [line for line in text.splitlines() if re.search(r" while\(", line) and re.search(rf"\b{name}\b", line)]


def test_cost_and_gradients_asked_one_by_one_share_one_forward_and_one_backward_loop():
    cost, inputs, values = rnn(50)
    mode = loopjax.Mode().excluding("unroll")  # which makes a loop of its own of the last few steps
    f = loopjax.function(inputs, [cost, *[loopjax.grad(cost, variable) for variable in inputs]], mode=mode)
    assert len(loops(f, values, "rnn")) == 2
    assert len(loops(loopjax.function(inputs, cost, mode=mode), values, "rnn")) == 1


def test_published_states_add_no_loop():
    x, h = at.dvector("x"), at.dscalar("h")
    out, _ = loopjax.scan(lambda u, h: at.tanh(h * u), sequences=x, outputs_info=h, name="shared_loop")
    costs = [out.sum(), (out**2).sum()]
    f = loopjax.function([x, h], [out, out[-1], *costs, *[loopjax.grad(c, v) for c in costs for v in (x, h)]])
    values = [RNG.normal(size=20), 0.3]
    assert len(loops(f, values, "shared_loop")) <= 3
    found = f(*values)
    for position, cost in enumerate(costs):
        for offset, variable in enumerate((x, h)):
            expected = loopjax.function([x, h], loopjax.grad(cost, variable))(*values)
            np.testing.assert_allclose(found[4 + 2 * position + offset], expected, rtol=1e-12)


class TestRefusals:
    def test_cost_that_is_no_scalar(self):
        x = at.dvector("x")
        with pytest.raises(TypeError, match=r"cost must be a scalar.*\[test_autodiff.py:\d+\]"):
            loopjax.grad(x * 2, x)

    def test_integer_cost_and_wrt(self):
        k = at.lscalar("k")
        with pytest.raises(TypeError, match="cost must be a float"):
            loopjax.grad(k * 2, k)
        with pytest.raises(TypeError, match="only float variables"):
            loopjax.grad(k * at.dscalar(), k)

    def test_disconnected(self):
        x, y = at.dscalar("x"), at.dscalar("y")
        with pytest.raises(loopjax.errors.DisconnectedInputError, match="'ignore' for zeros"):
            loopjax.grad(x * 2, y)
        with pytest.warns(UserWarning, match="does not depend on it"):
            zero = loopjax.grad(x * 2, y, disconnected_inputs="warn")
        assert float(zero.eval({y: 3.0})) == 0.0
        none = loopjax.grad(x * 2, [x, y], disconnected_inputs="ignore", return_disconnected="none")
        assert none[1] is None

    def test_consider_constant_and_known_grads(self):
        x = at.dscalar("x")
        y = x**2
        held = loopjax.grad(y * x, x, consider_constant=[y])
        assert float(held.eval({x: 3.0})) == 9.0
        known = loopjax.grad(None, x, known_grads={y: 10.0})
        assert float(known.eval({x: 3.0})) == 60.0


def test_a_gradient_of_a_gradient_inside_a_scan_keeps_both_paths_inside():
    x, y = at.dvector("x"), at.dvector("y")
    y2 = y * 2
    cost = (y2 * x**2).sum() + (y * x).sum()
    slope = loopjax.grad(cost, y)
    rows, _ = loopjax.scan(lambda i: loopjax.grad(slope[i], x), sequences=at.arange(x.shape[0]))
    found = loopjax.function([x, y], rows)([1.0, 2.0], [3.0, 4.0])
    np.testing.assert_allclose(found, np.diag([5.0, 9.0]))


class TestHeldConstant:
    def test_a_constant_that_is_also_wrt(self):
        x = at.dscalar("x")
        h = x * x
        found = loopjax.function([x], loopjax.grad(h * x, [h, x], consider_constant=[h]))(2.0)
        assert [float(v) for v in found] == [2.0, 4.0]

    def test_a_wrt_downstream_of_a_constant(self):
        x = at.dscalar("x")
        h = x * 2
        z = h + 1
        grads = loopjax.grad(z**2, [z, x], consider_constant=[h], disconnected_inputs="ignore")
        assert [float(v) for v in loopjax.function([x], grads, on_unused_input="ignore")(2.0)] == [10.0, 0.0]

    def test_known_gradients_stand_for_what_would_flow(self):
        x = at.dscalar("x")
        h = x * x
        found = loopjax.grad(h * 3, x, known_grads={h: 5.0})
        assert float(found.eval({x: 2.0})) == 20.0


class TestCutsThroughGradients:
    """A gradient is an expression: where a variable in between is given, its value is, and its derivative stays."""

    @pytest.mark.parametrize("how", ["input", "givens"])
    @pytest.mark.parametrize("value", [3.0, np.nan])
    def test_the_value_in_between_is_given(self, how, value):
        x, y = at.dscalar("x"), at.dscalar("y")
        h = x**2
        slope = loopjax.grad(h**3, x)  # 3 h**2 * 2 x
        outputs = [slope, loopjax.grad(slope, x), loopjax.Rop(h**3, x, 1.0), loopjax.jacobian(h**3, x), h + 1]
        f = loopjax.function([x, h], outputs) if how == "input" else loopjax.function([x, y], outputs, givens={h: y})
        found = f(2.0, value)
        second = 6 * value * 16.0 + 3 * value**2 * 2
        np.testing.assert_allclose(found, [12 * value**2, second, 12 * value**2, 12 * value**2, value + 1])

    def test_what_is_given_in_its_place_is_not_differentiated(self):
        x = at.dscalar("x")
        h = x**2
        f = loopjax.function([x], loopjax.grad(h**3, x), givens={h: x * 10})
        np.testing.assert_allclose(f(2.0), 3 * 20.0**2 * 4)

    def test_two_in_a_row_and_one_upstream(self):
        x = at.dscalar("x")
        a = x * 1.0
        b = at.sin(a)
        c = b**2
        slope = loopjax.grad(at.exp(c), a)
        f = loopjax.function([a, b, c], slope)
        np.testing.assert_allclose(f(0.3, 5.0, 0.2), np.exp(0.2) * 2 * 5 * np.cos(0.3))

    def test_through_a_loop(self):
        x = at.dvector("x")
        out, _ = loopjax.scan(lambda a, h: h * a, sequences=x, outputs_info=at.constant(1.0, dtype="float64"))
        f = loopjax.function([x, out], loopjax.grad((out**2).sum(), x))
        np.testing.assert_allclose(f([2.0, 3.0], [10.0, 20.0]), [20 + 40 * 3, 40 * 2])

    def test_clone_replace_refuses(self):
        """What it gives may be differentiated again, with respect to what replaces too."""
        x, y = at.dscalar("x"), at.dscalar("y")
        h = x * 2
        g = loopjax.grad(h**2, x)
        with pytest.raises(loopjax.errors.UnsupportedError, match=r"flows through .*\[test_autodiff.py:\d+\]"):
            loopjax.clone_replace(g, {h: y})

    def test_upstream_of_wrt_it_is_a_plain_cut(self):
        x = at.dscalar("x")
        h = x * 2
        assert float(loopjax.function([h], loopjax.grad(h**2, h))(5.0)) == 10.0


def test_a_cost_beside_another_whose_derivative_is_infinite():
    """Both share a region, and a cotangent of 0 times an infinite derivative would be NaN."""
    x = at.dvector("x")
    shared = x * 2.0
    rows, _ = loopjax.scan(lambda v: at.sqrt(v), sequences=shared)
    root, square, looped = at.sqrt(shared).sum(), (shared**2).sum(), rows.sum()
    gradients = [loopjax.grad(cost, x) for cost in (root, square, looped)]
    found = loopjax.function([x], [*gradients, loopjax.jacobian(square, x)])(np.array([0.0, 2.0]))
    np.testing.assert_array_equal(found, [[np.inf, 0.5], [0, 16], [np.inf, 0.5], [0, 16]])


def test_a_truncated_gradient_in_jax_of_a_loop_that_stops():
    """The first pass, which finds the last steps, stops where the loop does, also with several steps an iteration."""
    x, w = at.dvector("x"), at.dscalar("w")

    def step(u, h, w):
        return h * w + u, loopjax.until(h * w + u > 3)

    h, _ = loopjax.scan(step, sequences=x, outputs_info=np.float64(0), non_sequences=w, truncate_gradient=2, unroll=4)
    f = loopjax.to_jax([x, w], (at.cumsum(h) * at.sqrt(h)).sum())
    values, before, count = np.full(12, 0.5), 0.0, 0
    while before * 1.1 + 0.5 <= 3:
        before, count = before * 1.1 + 0.5, count + 1
    earlier = [0.5 * sum(1.1**k for k in range(t + 1)) for t in range(count - 1)]

    def expected(w):
        h = [*earlier, earlier[-1] * w + 0.5]
        h = jnp.stack([*map(jnp.asarray, h), h[-1] * w + 0.5])
        return (jnp.cumsum(h) * jnp.sqrt(h)).sum()

    with jax.enable_x64(True):
        found, wanted = jax.value_and_grad(f, 1)(values, 1.1), jax.value_and_grad(expected)(1.1)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
