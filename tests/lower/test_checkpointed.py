"""Every plan of what is stored gives the same gradients, of every kind of loop, and stores what it says."""

import pickle
from functools import cache

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.checkpoint import Budget, Every
from loopjax.rewrite.plan import PlanLoops
from loopjax.rewrite.remat import stores_products
from tests.configured import configured

RNG = np.random.default_rng(23)

PLANS = [
    1,
    5,
    Every(50),
    "sqrt",
    "log",
    Budget(states=14),
    Budget(bytes=100_000),
    jax.checkpoint_policies.dots_saveable,
    jax.checkpoint_policies.everything_saveable,
]


def network(checkpoint, steps=23, depth=1, backwards=False, truncate=-1, progress=False):
    """States and sequences with taps, products, a map output, a sum over steps, an updated shared variable, draws."""
    x, start, W = at.dmatrix("x"), at.dmatrix("start"), at.dmatrix("W")
    count = loopjax.shared(np.array(1.0), name="count")
    stream = at.random.RandomStream(3)
    taps = sorted({-depth, -1})

    def step(now, after, *rest):
        old, new, W = rest[0], rest[len(taps) - 1], rest[-1]
        noise = 0.1 * stream.normal(size=(3,), dtype="float64")
        h = at.tanh(at.dot(old, W) + at.dot(new, W.T) + now * count) + 0.3 * after + noise * new
        return [h, (h * now).sum()], {count: count * 0.9 + 0.1 * at.tanh(h.sum())}

    (h, m), updates = loopjax.scan(
        step,
        sequences={"input": x, "taps": [0, 1]},
        outputs_info=[{"initial": start, "taps": taps} if depth > 1 else start[0], None],
        non_sequences=W,
        n_steps=steps,
        go_backwards=backwards,
        truncate_gradient=truncate,
        checkpoint=checkpoint,
        progress=progress,
        name="network",
    )
    cost = (h[-1] ** 2).sum() + m.sum() + h[3].sum() + updates[count]
    f = loopjax.function([x, start, W], [cost, *loopjax.grad(cost, [x, start, W, count])], updates=updates)
    values = np.random.default_rng(7)
    return f, [values.normal(size=(steps + 1, 3)), values.normal(size=(depth, 3)), values.normal(size=(3, 3)) / 3]


def same(one, other):
    for position, (a, b) in enumerate(zip(one, other, strict=True)):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13, err_msg=f"result {position}")


@cache
def stored(**options):
    """Results of the network whose steps are all stored."""
    f, values = network(None, **options)
    return [np.asarray(one) for one in f(*values)]


@pytest.mark.parametrize(
    ("depth", "backwards", "plans"), [(1, False, ["log"]), (3, True, PLANS[1::2]), (9, False, [5]), (9, True, ["log"])]
)
def test_taps_folds_updates_and_draws(depth, backwards, plans):
    for checkpoint in plans:
        g, values = network(checkpoint, depth=depth, backwards=backwards)
        same(g(*values), stored(depth=depth, backwards=backwards))


@pytest.mark.parametrize("truncate", [0, 22, 40])
def test_truncation(truncate):
    for checkpoint in (5, "sqrt", "log", Budget(states=14)) if truncate == 22 else ("log",):
        g, values = network(checkpoint, truncate=truncate)
        same(g(*values), stored(truncate=truncate) if truncate < 23 else stored())
        (loop,) = loopjax.explain(g).loops
        assert loop.plan.frozen == (max(23 - truncate, 0) if truncate else 0)
        assert (loop.plan.checkpoint.n_steps if loop.plan.checkpoint else 0) == min(truncate, 23)


@pytest.mark.parametrize("checkpoint", [None, 5, "log"])
def test_progress(checkpoint, capfd):
    g, values = network(checkpoint, progress="stepping")
    same(jax.block_until_ready(g(*values)), stored())
    jax.effects_barrier()
    printed = capfd.readouterr().err
    assert "stepping" in printed
    assert "23/23" in printed


@cache
def second_derivatives(checkpoint):
    x, w = at.dvector("x"), at.dscalar("w")

    def inner(a, h, w):
        return at.sin(h * w) + a

    def outer(a, h, w):
        rows, _ = loopjax.scan(inner, sequences=x, outputs_info=h, non_sequences=w, checkpoint=checkpoint)
        return rows[-1] * a

    start = at.constant(0.2, dtype="float64")
    out, _ = loopjax.scan(outer, sequences=x, outputs_info=start, non_sequences=w, checkpoint=checkpoint)
    first = loopjax.grad((out**2).sum(), w)
    return loopjax.function([x, w], [first, loopjax.grad(first, [x, w])[1]])(np.linspace(0.1, 1, 9), 0.7)


@pytest.mark.parametrize("checkpoint", [plan for plan in PLANS[::2] if plan != "sqrt"])
def test_second_derivatives_and_loops_in_loops(checkpoint):
    same(second_derivatives(checkpoint), second_derivatives(None))


def saturating(h, a):
    return at.tanh(h * a) + 0.1 * at.sin(h)


def rational(h, a):
    return h * a / (1.0 + h * h) + 0.1 * at.sin(h)


def compiled(checkpoint, steps=400, size=300, step=saturating):
    h, a = at.dvector("h"), at.dvector("a")
    out, _ = loopjax.scan(
        step,
        outputs_info=h,
        non_sequences=a,
        n_steps=steps,
        checkpoint=checkpoint,
    )
    f = loopjax.function([h, a], loopjax.grad(out[-1].sum(), [h, a]))
    f(np.ones(size), np.ones(size))
    return f.lower(np.ones(size), np.ones(size)).compile(), loopjax.explain(f).loops[0]


def large(checkpoint, size=300, step=saturating):
    program, loop = compiled(checkpoint, size=size, step=step)
    return program.memory_analysis().temp_size_in_bytes / (8 * size), loop


@pytest.mark.parametrize(
    ("checkpoint", "most"),
    [(4, 109), ("sqrt", 43), ("log", 34), (Budget(states=27), 27), (Budget(bytes=40 * 2400), 40)],
)
def test_the_states_stored_are_those_promised(checkpoint, most):
    states, loop = large(checkpoint)
    assert states <= most + 1  # and what is not a state: counters
    assert loop.plan.checkpoint.states <= most
    assert f"at most {loop.plan.checkpoint.states} states of 2,400 bytes at one time, as loops of" in str(loop)


@pytest.mark.parametrize(("every", "computed"), [(4, 3), (20, 3 - 1)])
def test_the_last_of_few_steps_is_not_computed_again_for_the_state_after_it(every, computed):
    """Sines of a segment: forward, and again for the states; of a last step apart, forward only."""
    program, loop = compiled(every)
    assert program.as_text().count(" sine(") == computed
    assert loop.plan.checkpoint.recomputed == 2 * 400 - (400 // every if every == 4 else 0)


def test_a_step_is_computed_again_unless_it_is_small_or_expensive():
    states, loop = large(None, step=rational)
    assert states <= 804  # of each step the state and a cosine
    assert loop.plan.checkpoint.flat
    assert "cheaper to compute again" in loop.plan.reason
    assert large(None, size=4, step=rational)[1].plan.checkpoint is None
    with configured(PlanLoops(remat_bytes=10**9)):
        states, _ = large(None, step=rational)
    assert states > 2000  # of each step five values


def test_products_are_stored_and_not_computed_again():
    x, h, W = at.dtensor3("x"), at.dmatrix("h"), at.dmatrix("W")

    def step(x, h, W):
        z = at.dot(x, W) + at.dot(h, W) + 1.0
        return z / (1 + abs(z))

    out, _ = loopjax.scan(step, sequences=x, outputs_info=h, non_sequences=W)
    wrt = [x, h, W]
    mode = loopjax.Mode().excluding("loop_prologue", "weight_gradients")
    f = loopjax.function(wrt, loopjax.grad(out.sum(), wrt), mode=mode)
    values = [RNG.normal(size=shape) for shape in ((30, 16, 8), (16, 8), (8, 8))]
    found = f(*values)
    (loop,) = loopjax.explain(f).loops
    assert stores_products(loop.plan.checkpoint.keep)
    text = f.lower(*values).as_text()
    assert text.count("dot_general") == 1 + 2  # of both operands joined

    plain, _ = loopjax.scan(
        step, sequences=x, outputs_info=h, non_sequences=W, checkpoint=jax.checkpoint_policies.everything_saveable
    )
    same(found, loopjax.function(wrt, loopjax.grad(plain.sum(), wrt))(*values))


def test_steps_with_draws_store_what_they_compute():
    f, values = network(None)
    f(*values)
    assert loopjax.explain(f).loops[0].plan.checkpoint is None


def test_a_function_with_a_policy_is_pickled():
    h = at.dvector("h")
    out, _ = loopjax.scan(
        lambda h: at.tanh(h * 2), outputs_info=h, n_steps=5, checkpoint=jax.checkpoint_policies.dots_saveable
    )
    f = loopjax.function([h], loopjax.grad(out[-1].sum(), h))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(f))(np.ones(3)), f(np.ones(3)))


@pytest.mark.parametrize(
    "read", [lambda o: o[-1], lambda o: o[2] + o[-1], lambda o: o.sum(0), lambda o: o.shape[0] * o[-1]]
)
def test_reads_of_every_third_row(read):
    x = at.dvector("x")
    start = at.constant(0.5, dtype="float64")
    few, _ = loopjax.scan_checkpoints(lambda a, h: at.sin(h) + a, x, start, save_every_N=3)
    all_, _ = loopjax.scan(lambda a, h: at.sin(h) + a, x, start)
    rows = all_[np.array([2, 5, 8, 9])]
    value = RNG.normal(size=10)
    results = [loopjax.function([x], [read(out), loopjax.grad(read(out), x)])(value) for out in (few, rows)]
    same(*results)
