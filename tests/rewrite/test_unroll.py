"""Steps per iteration: what each body gets, and lengths that they do not divide."""

import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

RNG = np.random.default_rng(1)


def plan_of(f, *values):
    f(*values)
    return loopjax.explain(f).loops[0].plan


def chosen(shape, step, *, read=lambda out: out, row=True, gradient=False, n_steps=64):
    """Steps an iteration of a float64 loop over rows of this shape."""
    x, h = at.TensorType("float64", (None, *shape))("x"), at.TensorType("float64", shape)("h")
    out, _ = loopjax.scan(step, sequences=x if row else None, outputs_info=h, n_steps=None if row else n_steps)
    read_out = read(out)
    cost = loopjax.grad(at.sin(read_out).sum(), h) if gradient else read_out
    f = loopjax.function([x, h], cost, on_unused_input="ignore", lengths="exact")
    return plan_of(f, RNG.normal(size=(n_steps, *shape)), RNG.normal(size=shape)).unroll


def last(out):
    return out[-1]


def add(x, h):
    return 0.5 * h + x


class TestElementwise:
    def test_scalars(self):
        assert chosen((), add) > 1
        assert chosen((), lambda x, h: at.tanh(h) + x, read=last) > 1
        assert chosen((), add, gradient=True) == 4

    def test_residuals_of_scalars_take_room_in_an_iteration(self):
        def variance(x, h):
            return 0.1 * x**2 + 0.8 * h + at.log(h) + x**2 / h

        assert chosen((), variance, gradient=True) == 2
        assert chosen((), lambda x, h: at.sin(variance(x, h)) * at.exp(h) * at.cos(x * h), gradient=True) == 1

    def test_many_ops_gain_nothing(self):
        assert chosen((), lambda x, h: sum((h * k for k in range(1, 20)), x)) == 1

    @pytest.mark.parametrize("count", [512, 100_000])
    def test_functions_wait_for_one_another(self, count):
        assert chosen((count,), lambda h: at.tanh(h) + 0.1, read=last, row=False) == 1

    @pytest.mark.parametrize("read", [last, lambda out: out, lambda out: out.sum(0)])
    def test_an_iteration_of_several_kernels_costs_more_than_its_ops(self, read):
        x = at.TensorType("float32", (20,))("x")
        states, _ = loopjax.scan(
            lambda a, b, c, x: [0.5 * b + x, 0.3 * c + a, at.maximum(a, c)],
            outputs_info=[x, x + 1, x + 2],
            non_sequences=x,
            n_steps=1024,
        )
        f = loopjax.function([x], [read(state) for state in states])
        assert plan_of(f, np.ones(20, "float32")).unroll > 1

    @pytest.mark.parametrize(("n_steps", "function", "several"), [(1024, at.maximum, 1), (16, at.maximum, 0)])
    def test_gradients_of_several_small_states(self, n_steps, function, several):
        x = at.TensorType("float64", (40,))("x")
        (a, _), _ = loopjax.scan(lambda a, b: [0.5 * b + a, function(a, b)], outputs_info=[x, 2 * x], n_steps=n_steps)
        f = loopjax.function([x], loopjax.grad(a[-1].sum(), x))
        assert (plan_of(f, np.ones(40)).unroll > 1) == several

    def test_ops_on_the_carry(self):
        assert chosen((1000,), lambda h: h * 1.01, read=last, row=False, n_steps=1024) >= 8

    def test_a_short_program_stays_in_its_thread(self):
        """Twice its ops would be handed to another thread, which takes longer than all of its steps."""
        assert chosen((300,), lambda h: h * h - 0.1, read=last, row=False, n_steps=16) == 1
        assert chosen((300,), lambda h: h * h - 0.1, read=last, row=False, n_steps=4096) > 1


def test_products_gain_nothing():
    a = at.dmatrix("a")
    h = at.dvector("h")
    out, _ = loopjax.scan(lambda h: at.tanh(h @ a), outputs_info=h, n_steps=64)
    assert plan_of(loopjax.function([a, h], out), np.eye(4), np.ones(4)).unroll == 1


@pytest.mark.parametrize(
    ("depth", "size", "steps"),
    [(1, 8, 1), (2, 8, 2), (3, 8, 4), (4, 8, 4), (5, 8, 1), (4, 4, 1), (2, 4, 2), (4, 2, 4)],
    ids=lambda value: str(value),
)
def test_windows_are_not_moved_unless_a_step_is_one_function(depth, size, steps):
    a, h = at.dmatrix("a"), at.dmatrix("h")
    info = {"initial": h, "taps": sorted({-depth, -1})}
    out, _ = loopjax.scan(lambda *h: at.tanh(h[0] @ a + h[-1]), outputs_info=info, n_steps=64)
    assert plan_of(loopjax.function([a, h], out), np.eye(size), np.ones((depth, size))).unroll == steps


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


class TestInTheBodyOfAnother:
    """One step an iteration, where only then both loops are one function."""

    @pytest.mark.parametrize(("count", "n_steps", "unroll"), [(4, None, 16), (20, None, 1), (200, None, 16)])
    def test_a_length_that_the_run_decides(self, count, n_steps, unroll):
        assert self.chosen(count, n_steps) == unroll

    @pytest.mark.parametrize(("n_steps", "unroll"), [(20, 1), (32, 1)])
    def test_loops_that_are_one_function_gain_nothing(self, n_steps, unroll):
        assert self.chosen(20, n_steps) == unroll

    def chosen(self, count, n_steps):
        h, ks = at.TensorType("float32", (count,))("h"), at.lvector("ks")

        def step(k, h):
            steps = k if n_steps is None else n_steps
            inner, _ = loopjax.scan(lambda h: h * np.float32(0.5) + np.float32(1), outputs_info=h, n_steps=steps)
            return inner[-1]

        out, _ = loopjax.scan(step, sequences=ks, outputs_info=h)
        f = loopjax.function([h, ks], out, on_unused_input="ignore", lengths="exact")
        steps = 5 if n_steps is None else 2 * n_steps
        np.testing.assert_allclose(f(np.zeros(count, "float32"), [2, 3])[1], 2 - 2 * 0.5**steps, rtol=1e-6)
        return loopjax.explain(f).loops[1].plan.unroll
