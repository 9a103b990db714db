"""Draws and updates inside of loops, nested ones too: which key each step draws with, and what comes back."""

import jax
import numpy as np
import pytest
from scipy import stats

import loopjax
import loopjax.tensor as at
from loopjax.random.distributions import LAST_STEP


def stream(seed=7):
    return at.random.RandomStream(seed)


def test_step_t_draws_with_the_key_folded_with_t():
    source = stream()
    out, updates = loopjax.scan(lambda: source.uniform(size=(2,)), n_steps=4)
    (key,) = updates
    before = key.value
    f = loopjax.function([], out, updates=updates)
    for _ in range(2):
        start = key.value
        expected = [jax.random.uniform(jax.random.fold_in(start, t), (2,), "float32") for t in range(4)]
        np.testing.assert_array_equal(f(), expected)
        after = jax.random.key_data(jax.random.fold_in(start, LAST_STEP))
        np.testing.assert_array_equal(jax.random.key_data(key.value), after)
    assert not np.array_equal(jax.random.key_data(before), jax.random.key_data(key.value))


def test_a_loop_that_only_draws_is_a_map():
    source = stream()
    out, updates = loopjax.scan(lambda: source.normal(), n_steps=50)
    f = loopjax.function([], out, updates=updates)
    f()
    assert [loop.plan.kind for loop in loopjax.explain(f).loops] == ["vmap"]


def test_without_updates_the_same_draws_every_call():
    source = stream()
    out, updates = loopjax.scan(lambda h: h + source.normal(), outputs_info=at.constant(0.0), n_steps=5)
    fixed, moving = loopjax.function([], out), loopjax.function([], out, updates=updates)
    np.testing.assert_array_equal(fixed(), fixed())
    first = moving()
    assert not np.array_equal(first, moving())


@pytest.mark.parametrize("recurrent", [False, True])
def test_no_two_draws_are_equal_across_streams_steps_and_calls(recurrent):
    source = stream()

    def fn(*past):
        a, b = source.uniform(size=(3,)), source.uniform(size=(3,))
        return (a, b + 0 * past[0]) if recurrent else (a, b)

    info = [None, at.zeros(3)] if recurrent else None
    outputs, updates = loopjax.scan(fn, outputs_info=info, n_steps=20)
    outside = source.uniform(size=(60,))
    f = loopjax.function([], [*outputs, outside], updates=updates)
    drawn = np.concatenate([np.ravel(value) for _ in range(3) for value in f()])
    assert len(np.unique(drawn)) == len(drawn)


def test_nested_draws_reach_the_outer_state_by_themselves():
    source = stream()

    def row():
        inner, _ = loopjax.scan(lambda: source.uniform(), n_steps=3)
        return inner

    table, updates = loopjax.scan(row, n_steps=4)
    assert len(updates) == 1
    f = loopjax.function([], table, updates=updates)
    drawn = np.concatenate([np.ravel(f()) for _ in range(3)])
    assert len(np.unique(drawn)) == 36


def test_nested_scans_fold_the_key_again():
    source = stream()
    table, updates = loopjax.scan(lambda: loopjax.scan(lambda: source.uniform(), n_steps=3)[0], n_steps=2)
    (key,) = updates
    start = key.value
    outer = [jax.random.fold_in(start, t) for t in range(2)]
    expected = [[jax.random.uniform(jax.random.fold_in(one, s), (), "float32") for s in range(3)] for one in outer]
    np.testing.assert_array_equal(loopjax.function([], table, updates=updates)(), expected)
    after = jax.random.key_data(jax.random.fold_in(start, LAST_STEP))
    np.testing.assert_array_equal(jax.random.key_data(key.value), after)


def test_nested_explicit_updates_count_only_where_fn_returns_them():
    a = loopjax.shared(0)

    def silent():
        _, _ = loopjax.scan(lambda: {a: a + 1}, n_steps=3)
        return a * 1

    def passing():
        _, inner = loopjax.scan(lambda: {a: a + 1}, n_steps=3)
        return a * 1, inner

    out, updates = loopjax.scan(silent, n_steps=2)
    assert not updates
    np.testing.assert_array_equal(out.eval(), [0, 0])
    out, updates = loopjax.scan(passing, n_steps=2)
    np.testing.assert_array_equal(out.eval(), [0, 3])
    assert int(updates[a].eval()) == 6


def test_a_draw_made_outside_is_a_constant_in_the_loop():
    source = stream()
    outside = source.normal()
    out, updates = loopjax.scan(lambda: outside * 1, n_steps=3)
    assert not updates
    f = loopjax.function([], out)
    first, second = f(), f()
    assert len(np.unique(first)) == 1
    assert first[0] != second[0]


def test_a_default_update_acts_once_a_call():
    count = loopjax.shared(0)
    count.default_update = count + 1
    out, _ = loopjax.scan(lambda: count * 1, n_steps=3)
    f = loopjax.function([], out)
    np.testing.assert_array_equal(f(), [0, 0, 0])
    np.testing.assert_array_equal(f(), [1, 1, 1])


def test_draws_with_until_and_updates():
    source, total = stream(), loopjax.shared(np.float32(0))

    def fn():
        value = source.uniform()
        return value, {total: total + value}, loopjax.until(value > 0.9)

    out, updates = loopjax.scan(fn, n_steps=500)
    f = loopjax.function([], out, updates=updates)
    seen, expected = [], np.float32(0)
    for _ in range(10):
        row = np.asarray(f())
        assert (row[:-1] <= 0.9).all()
        assert row[-1] > 0.9
        for value in row:
            expected = np.float32(expected + value)
        seen.append(row)
    np.testing.assert_allclose(total.get_value(), expected, rtol=1e-5)
    drawn = np.concatenate(seen)
    assert len(np.unique(drawn)) == len(drawn)


def test_gradients_flow_through_draws_and_recompute_the_same():
    source = stream()
    mu, sigma = at.dscalar("mu"), at.dscalar("sigma")

    def fn(h, mu, sigma):
        return h * 0.5 + mu + sigma * source.normal(dtype="float64")

    def gradients(checkpoint):
        start = at.constant(0.0, dtype="float64")
        out, _ = loopjax.scan(fn, outputs_info=start, non_sequences=[mu, sigma], n_steps=12, checkpoint=checkpoint)
        f = loopjax.function([mu, sigma], [out[-1], *loopjax.grad(out[-1], [mu, sigma])])
        return [float(value) for value in f(0.3, 0.7)]

    value, by_mu, by_sigma = gradients(None)
    weights = 0.5 ** np.arange(12)[::-1]
    np.testing.assert_allclose(by_mu, weights.sum(), rtol=1e-12)
    np.testing.assert_allclose(by_sigma, (value - 0.3 * weights.sum()) / 0.7, rtol=1e-9)
    source = stream()
    np.testing.assert_allclose(gradients(5), [value, by_mu, by_sigma], rtol=1e-12)


def test_a_failing_fn_leaves_no_trace():
    source = stream()

    def fn():
        source.normal()
        raise RuntimeError("in fn")

    with pytest.raises(RuntimeError, match="in fn"):
        loopjax.scan(fn, n_steps=3)
    draw = source.normal()
    f = loopjax.function([], draw)
    assert float(f()) != float(f())


def test_an_inner_loop_whose_updates_fn_returns_still_draws_afresh():
    source = stream()

    def middle(j):
        return loopjax.scan(lambda k: source.uniform(), sequences=at.arange(2))

    def outer(i):
        return loopjax.scan(middle, sequences=at.arange(2))[0]

    table, updates = loopjax.scan(outer, sequences=at.arange(3))
    assert len(updates) == 1
    f = loopjax.function([], table, updates=updates)
    assert len(np.unique(np.concatenate([np.ravel(f()) for _ in range(2)]))) == 24


class TestDerivatives:
    """With the same key, a draw is a function of its parameters: the same one forward and backward."""

    @staticmethod
    def walk(draw, n_steps=4, **options):
        start = at.constant(0.1, dtype="float64")
        out, _ = loopjax.scan(lambda h: at.sin(h) + draw(h), outputs_info=start, n_steps=n_steps, **options)
        return out

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("uniform", (-1.0, 2.0)),
            ("normal", (0.3, 0.7)),
            ("exponential", (1.4,)),
            ("lognormal", (0.1, 0.6)),
            ("weibull", (1.7,)),
            ("triangular", (-1.0, 0.2, 2.0)),
            ("gumbel", (0.1, 0.4)),
        ],
    )
    @pytest.mark.parametrize("options", [{}, {"checkpoint": 3}], ids=["plain", "checkpoint"])
    def test_with_respect_to_parameters(self, name, values, options):
        source = stream(3)
        wrt = [at.dscalar() for _ in values]
        out = self.walk(lambda h: source.gen(name, *wrt, dtype="float64") * at.cos(h), **options)
        cost = (out**2).sum()
        f = loopjax.function(wrt, cost)
        ones = [1.0] * len(wrt)
        found = loopjax.function(wrt, [cost, *loopjax.grad(cost, wrt), loopjax.Rop(cost, wrt, ones)])(*values)
        value, *slopes, along = [float(one) for one in found]
        np.testing.assert_allclose(value, float(f(*values)), rtol=1e-14)
        for position, slope in enumerate(slopes):
            sides = [[v + sign * 1e-6 * (i == position) for i, v in enumerate(values)] for sign in (1, -1)]
            expected = (float(f(*sides[0])) - float(f(*sides[1]))) / 2e-6
            np.testing.assert_allclose(slope, expected, rtol=2e-6, atol=1e-7)
        np.testing.assert_allclose(along, sum(slopes), rtol=1e-11)

    def test_gamma_moves_along_its_quantiles(self):
        """Figurnov, Mohamed and Mnih (2018), equation 5: the derivative is ``-dF/da / f`` at the value drawn."""
        source, a = stream(3), at.dscalar("a")
        out, _ = loopjax.scan(lambda: source.gamma(a, dtype="float64"), n_steps=6)
        draws, slopes = map(np.asarray, loopjax.function([a], [out, loopjax.jacobian(out, a)])(2.5))
        by_a = (stats.gamma.cdf(draws, 2.5 + 1e-6) - stats.gamma.cdf(draws, 2.5 - 1e-6)) / 2e-6
        np.testing.assert_allclose(slopes, -by_a / stats.gamma.pdf(draws, 2.5), rtol=1e-6)

    def test_beta_moves_its_mean(self):
        source, a, b = stream(3), at.dscalar("a"), at.dscalar("b")
        out, _ = loopjax.scan(lambda: source.beta(a, b, dtype="float64"), n_steps=20_000)
        by_a, by_b = loopjax.function([a, b], loopjax.grad(out.mean(), [a, b]))(2.0, 3.0)
        np.testing.assert_allclose([by_a, by_b], [3 / 25, -2 / 25], rtol=0.02)

    @pytest.mark.parametrize(
        ("name", "given"), [("bernoulli", ()), ("binomial", (9,)), ("poisson", ()), ("geometric", ())]
    )
    def test_integers_contribute_zero(self, name, given):
        source, p = stream(3), at.dscalar("p")
        out = self.walk(lambda h: source.gen(name, *given, p) * h * p)
        f = loopjax.function([p], [out[-1], loopjax.grad(out[-1], p), loopjax.Rop(out[-1], p, 1.0)])
        value, slope, along = f(0.3)
        sides = [float(f(0.3 + step)[0]) for step in (1e-7, -1e-7)]
        np.testing.assert_allclose(slope, (sides[0] - sides[1]) / 2e-7, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(along, slope, rtol=1e-12)
        assert np.isfinite(value)

    def test_the_last_steps_alone(self):
        source, mu, sigma = stream(), at.dscalar("mu"), at.dscalar("sigma")
        start = at.constant(0.0, dtype="float64")
        out, _ = loopjax.scan(
            lambda h: h * 0.5 + source.normal(mu, sigma, dtype="float64"),
            outputs_info=start,
            n_steps=9,
            truncate_gradient=3,
        )
        f = loopjax.function([mu, sigma], [out, *loopjax.grad(out[-1], [mu, sigma]), loopjax.Rop(out[-1], mu, 1.0)])
        steps, by_mu, by_sigma, along = f(0.0, 1.0)
        steps = np.concatenate([[0.0], steps])
        noise = steps[1:] - 0.5 * steps[:-1]
        np.testing.assert_allclose([by_mu, along], [1.75] * 2, rtol=1e-12)
        np.testing.assert_allclose(by_sigma, noise[-3:] @ [0.25, 0.5, 1], rtol=1e-12)

    def test_through_an_inner_loop(self):
        source, scale = stream(), at.dscalar("scale")

        def row(h):
            inner, _ = loopjax.scan(
                lambda g: g * 0.5 + source.exponential(scale, dtype="float64"), outputs_info=h, n_steps=3
            )
            return inner[-1]

        out, _ = loopjax.scan(row, outputs_info=at.constant(0.0, dtype="float64"), n_steps=4)
        value, slope = loopjax.function([scale], [out[-1], loopjax.grad(out[-1], scale)])(1.7)
        np.testing.assert_allclose(slope, float(value) / 1.7, rtol=1e-12)
