"""Steps per iteration: what each body gets, and lengths that they do not divide."""

import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

RNG = np.random.default_rng(1)
APART = loopjax.Mode().excluding("small_loops")


def plan_of(f, *values):
    f(*values)
    return loopjax.explain(f).loops[0].plan


def chosen(shape, step, *, read=lambda out: out, row=True, gradient=False, n_steps=64, mode=None):
    """Steps an iteration of a float64 loop over rows of this shape."""
    x, h = at.TensorType("float64", (None, *shape))("x"), at.TensorType("float64", shape)("h")
    out, _ = loopjax.scan(step, sequences=x if row else None, outputs_info=h, n_steps=None if row else n_steps)
    read_out = read(out)
    cost = loopjax.grad(at.sin(read_out).sum(), h) if gradient else read_out
    f = loopjax.function([x, h], cost, on_unused_input="ignore", lengths="exact", mode=mode)
    return plan_of(f, RNG.normal(size=(n_steps, *shape)), RNG.normal(size=shape)).unroll


def last(out):
    return out[-1]


def all_rows(out):
    return out


def add(x, h):
    return 0.5 * h + x


class TestElementwise:
    def test_scalars(self):
        assert chosen((), add) == 8
        assert chosen((), add, gradient=True) == 4
        assert chosen((), lambda x, h: at.tanh(h) + x, read=last) == 2
        assert chosen((), lambda x, h: sum((h * k for k in range(1, 20)), x)) == 2
        assert chosen((), lambda x, h: sum((h * k for k in range(1, 20)), x), gradient=True) == 1
        assert chosen((2,), lambda x, h: sum((h * k for k in range(1, 20)), x)) == 1
        assert chosen((), lambda x, h: sum((h * k for k in range(1, 24)), x)) == 1

    @pytest.mark.parametrize(("shape", "read", "steps"), [((2,), all_rows, 8), ((3,), all_rows, 2), ((8,), last, 8)])
    def test_few_values(self, shape, read, steps):
        assert chosen(shape, add, read=read) == steps
        assert chosen((9,), add, read=read) == 1

    def test_two_steps_of_few_values_with_reductions_or_a_gradient(self):
        def centered(x, h):
            return h - h.mean() + x

        assert chosen((4,), centered) == 2
        assert chosen((4,), add, gradient=True) == 2
        assert chosen((9,), centered) == chosen((9,), add, gradient=True) == 1
        assert chosen((4,), centered, mode=APART) == 1

    @pytest.mark.parametrize(
        ("step", "read", "steps"),
        [
            (lambda a, b: [0.9 * b, 0.5 * a + b], -1, 2),
            (lambda a, b: [0.9 * b, 0.5 * at.tanh(a) + b], -1, 1),
            (lambda a, b: [0.9 * b, 0.5 * a + b], slice(None), 1),
        ],
    )
    def test_two_steps_of_states_that_take_each_other_over(self, step, read, steps):
        a, b = at.dvector("a"), at.dvector("b")
        outs, _ = loopjax.scan(step, outputs_info=[a, b], n_steps=64)
        f = loopjax.function([a, b], [out[read] for out in outs])
        assert plan_of(f, np.ones(1000), np.ones(1000)).unroll == steps

    @pytest.mark.parametrize(("size", "step", "steps"), [(1, at.maximum, 2), (3, at.maximum, 1), (1, at.arctan2, 1)])
    def test_two_steps_of_gradients_of_several_states(self, size, step, steps):
        a, b = at.dvector("a"), at.dvector("b")
        outs, _ = loopjax.scan(lambda a, b: [0.9 * b, 0.5 * step(a, b) * b], outputs_info=[a, b], n_steps=64)
        f = loopjax.function([a, b], loopjax.grad(outs[0][-1].sum() + outs[1][-1].sum(), [a, b]))
        assert plan_of(f, np.ones(size), np.ones(size)).unroll == steps

    def test_short_loops_stay_on_the_thread_that_calls(self):
        def carried(size, n_steps):
            return chosen((size,), lambda h: h * 1.01 + 0.1, read=last, row=False, n_steps=n_steps)

        assert (carried(200, 64), carried(400, 64), carried(600, 64)) == (2, 1, 4)
        assert carried(400, 4000) == 4

    @pytest.mark.parametrize(
        ("size", "result", "step", "steps"),
        [
            (20, "stack", lambda a, b: [b * 0.5, a + b], 2),
            (400, "stack", lambda a, b: [b * 0.5, a + b], 1),
            (2000, "stack", lambda a, b: [b * 0.5, a + b], 2),
            (2000, "sum", lambda a, b: [b * 0.5 + 0.1 + a * 0.2, (a + b) * 0.3], 2),
            (400, "sum", lambda a, b: [b * 0.5 + 0.1 + a * 0.2, (a + b) * 0.3], 1),
            (2000, "stack", lambda a, b: [b * 0.5 + a * (b - 1) * (a - 2), (a + b) * (a - b) * (b + 2) * a], 1),
            (400, "last", lambda a, b: [b * 0.5, at.roll(a, 1)], 2),
            (400, "last", lambda a, b: [b * 0.5, at.tanh(at.roll(a, 1))], 1),
        ],
    )
    def test_two_steps_with_stacks_sums_and_moves(self, size, result, step, steps):
        a, b = at.dvector("a"), at.dvector("b")
        outs, _ = loopjax.scan(step, outputs_info=[a, b], n_steps=3000)
        read = {"stack": lambda out: out, "sum": lambda out: out.sum(axis=0), "last": lambda out: out[-1]}[result]
        f = loopjax.function([a, b], [read(outs[0]), read(outs[1])])
        assert plan_of(f, np.ones(size), np.ones(size)).unroll == steps

    def test_a_short_loop_in_a_long_one_is_not_short(self):
        x = at.dmatrix("x")

        def sweep(row):
            inner, _ = loopjax.scan(lambda h: h * 1.01 + 0.1, outputs_info=row, n_steps=64)
            return at.cumsum(inner[-1])

        def count(rows):
            f = loopjax.function([x], loopjax.scan(sweep, sequences=x)[0], mode=loopjax.Mode().excluding("vmap"))
            f(np.ones((rows, 400)))
            return loopjax.explain(f).loops[1].plan.unroll

        assert (count(4), count(400)) == (1, 4)

    def test_what_is_only_carried(self):
        assert chosen((1000,), lambda h: h * 1.01, read=last, row=False) == 8
        assert chosen((1000,), lambda h: h * 1.01 + 0.1, read=last, row=False) == 4
        assert chosen((1000,), lambda h: h * 1.01, row=False) == 1
        assert chosen((1000,), lambda h: at.tanh(h) + 0.1, read=last, row=False) == 1

    def test_residuals_of_scalars_take_room_unless_outlined(self):
        def variance(x, h):
            return 0.1 * x**2 + 0.8 * h + x**2 / h

        def many(x, h):
            return (variance(x, h) * variance(h, x) / variance(x, x)) * h

        assert chosen((), variance, gradient=True) == 4
        assert chosen((), variance, gradient=True, mode=APART) == 2
        assert chosen((), many, gradient=True, mode=APART) == 1

    def test_gradients_of_several_states(self):
        x = at.TensorType("float64", ())("x")
        (a, _), _ = loopjax.scan(lambda a, b: [0.5 * b + a, a * b], outputs_info=[x, 2 * x], n_steps=100)
        assert plan_of(loopjax.function([x], loopjax.grad(a[-1], x)), 0.1).unroll == 2


def test_products_gain_nothing():
    a = at.dmatrix("a")
    h = at.dvector("h")
    out, _ = loopjax.scan(lambda h: at.tanh(h @ a), outputs_info=h, n_steps=64)
    assert plan_of(loopjax.function([a, h], out), np.eye(4), np.ones(4)).unroll == 1


@pytest.mark.parametrize(
    ("depth", "size", "steps"),
    [(1, 8, (1, 1)), (2, 8, (2, 2)), (3, 8, (4, 4)), (4, 8, (4, 4)), (5, 8, (1, 1)), (4, 4, (4, 1)), (2, 4, (2, 2))],
    ids=lambda value: str(value),
)
def test_windows_are_not_moved_unless_only_one_step_is_a_function(depth, size, steps):
    a, h = at.dmatrix("a"), at.dmatrix("h")
    info = {"initial": h, "taps": sorted({-depth, -1})}
    out, _ = loopjax.scan(lambda *h: at.tanh(h[0] @ a + h[-1]), outputs_info=info, n_steps=64)
    for mode, count in zip((None, APART), steps, strict=True):
        f = loopjax.function([a, h], out, mode=mode)
        assert plan_of(f, np.eye(size), np.ones((depth, size))).unroll == count


def test_without_it():
    h = at.dscalar("h")
    out, _ = loopjax.scan(lambda h: h * 0.5, outputs_info=h, n_steps=64)
    f = loopjax.function([h], out, mode=loopjax.Mode().excluding("unroll"))
    assert plan_of(f, 1.0).unroll == 1


@pytest.mark.parametrize("steps", [9, 15, 64, 67])
@pytest.mark.parametrize("backwards", [False, True])
def test_what_is_left_over(steps, backwards):
    """Stacks, last rows, every tap of a sequence and draws, beside a plain Python loop."""
    x, h = at.dvector("x"), at.dvector("h")
    (out, half), _ = loopjax.scan(
        lambda before, after, far, h: (0.5 * h + before - 0.1 * far, after * h),
        sequences={"input": x, "taps": [-1, 1]},
        outputs_info=[{"initial": h, "taps": [-2, -1]}, None],
        go_backwards=backwards,
    )
    f = loopjax.function([x, h], [out, half, out[-3:]], lengths="exact")
    value, start = RNG.normal(size=steps + 2), RNG.normal(size=2)
    plan = plan_of(f, value, start)
    assert plan.kind == ("scan" if steps % plan.unroll == 0 else "counted")
    assert plan.unroll > 1
    states, halves = list(start), []
    for t in range(steps):
        i = steps - 1 - t if backwards else t
        halves.append(value[i + 2] * states[-1])
        states.append(0.5 * states[-1] + value[i] - 0.1 * states[-2])
    found = f(value, start)
    for one, other in zip(found, [states[2:], halves, states[-3:]], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_states_are_rounded_after_each_step(dtype):
    """A counter stops at the first number whose successor the dtype does not hold."""
    h = at.scalar("h", dtype=dtype)
    out, _ = loopjax.scan(lambda h: h + 1, outputs_info=h, n_steps=2500)
    f = loopjax.function([h], out[-1])
    assert plan_of(f, jnp.zeros((), dtype)).unroll > 1
    assert float(f(jnp.zeros((), dtype))) == {"float16": 2048, "bfloat16": 256}[dtype]


def test_what_is_left_over_costs_no_copy():
    x = at.dvector("x")
    out, _ = loopjax.scan(lambda x, h: h + x, sequences=x, outputs_info=at.constant(0.0, dtype="float64"))
    f = loopjax.function([x], out, lengths="exact")
    assert f.lower(np.ones(100_003)).compile().memory_analysis().temp_size_in_bytes < 2000


class TestKeptElements:
    """Two steps an iteration where some elements of a state stay as they are, which would be masked stores."""

    @pytest.mark.parametrize(
        "step",
        [
            lambda x, h: at.switch(x > 0, 0.6 * h + x, h),
            lambda x, h: at.switch(h > x, h, 0.9 * x + 0.1),
            lambda x, h: at.switch(at.neg(x) > h, h, at.switch(x > 0, x, h)),
        ],
    )
    def test_two_steps(self, step):
        assert chosen((100,), step, read=last) == chosen((100,), step, read=all_rows) == 2

    def test_one_step_of_other_choices_of_functions_and_under_a_gradient(self):
        assert chosen((100,), lambda x, h: at.switch(x > 0, 0.6 * h + x, 0.5 * h)) == 1
        assert chosen((100,), lambda x, h: at.switch(x > 0, at.tanh(h), h)) == 1
        assert chosen((100,), lambda x, h: at.switch(x > 0, 0.6 * h + x, h), gradient=True) == 1
