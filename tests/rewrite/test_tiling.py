"""Elementwise loops over many elements run for a part of them after the other: values, gradients, and which loops."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.checkpoint import Budget
from loopjax.rewrite.target import Target
from loopjax.rewrite.tiling import Tile
from tests.configured import configured
from tests.rewrite.sized import after, float64, lines, rewrites, scans, sized_graph, text

RNG = np.random.default_rng(2)
STEPS = 20


@pytest.fixture
def small():
    """Tiles of four float64 values, of any loop that can be tiled."""
    sizes = {"least_bytes": 0, "tile_bytes": 32, "least_tile_bytes": 0, "least_steps": 2}
    with configured(Tile(**sizes, least_stacked_bytes=0, most_element_bytes=64, most_recomputed=1e9)):
        yield


def parts(f):
    """What the reports say of the loops that were cut."""
    return [note for loop in loopjax.explain(f).loops for note in loop.notes if note.startswith("tiling")]


def agree(inputs, outputs, *values, cut=True):
    """The same with the rewrite and without."""
    f = loopjax.function(inputs, outputs)
    whole = loopjax.function(inputs, outputs, mode=loopjax.Mode().excluding("tiling"))
    for one, other in zip(f(*values), whole(*values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
        assert one.dtype == other.dtype
        assert one.shape == other.shape
    assert bool(parts(f)) is cut
    assert not parts(whole)
    return f


A, H, M, C, W = at.dvector("a"), at.dvector("h"), at.dmatrix("m"), at.dscalar("c"), at.dvector("w")
VALUES = {A: RNG.uniform(0.5, 1.5, 10), H: RNG.normal(size=10), C: 0.3, W: RNG.normal(size=STEPS)}
VECTORS = [A, H, C, W]


def loop(**options):
    return loopjax.scan(
        lambda w, h, a, c: at.tanh(h * a) + c * at.sin(h) + 0.1 * w,
        sequences=W,
        outputs_info=H,
        non_sequences=[A, C],
        **options,
    )[0]


READS = {
    "last": lambda out: out[-1],
    "last three": lambda out: out[-3:],
    "sum": lambda out: out.sum(0),
    "mean of all": lambda out: out.mean(),
    "max": lambda out: out.max(0),
    "prod": lambda out: at.prod(out, axis=0),
    "argmax": lambda out: at.argmax(out, axis=0),
    "weighted": lambda out: at.dot(W, out),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("backwards", [False, True])
def test_reads(small, read, backwards):
    f = agree(VECTORS, [READS[read](loop(go_backwards=backwards))], *VALUES.values())
    assert "tiles of" in parts(f)[0]


@pytest.mark.parametrize("read", ["last", "last three", "sum", "mean of all", "weighted"])
def test_gradients(small, read):
    out = READS[read](loop())
    f = agree(VECTORS, [out, *loopjax.grad((out**2).sum(), VECTORS)], *VALUES.values())
    if read != "weighted":
        assert "3 tiles of 4 of its 10 elements" in parts(f)[0]


def test_several_states_of_matrices(small):
    def step(x, v, c):
        return x + 0.1 * v, v - c * x + 0.1 * at.cos(x)

    (x, v), _ = loopjax.scan(step, outputs_info=[M, at.zeros_like(M)], non_sequences=C, n_steps=STEPS)
    cost = (x[-1] ** 2).sum() + v.sum()
    agree([M, C], [x[-1], v[-1], *loopjax.grad(cost, [M, C])], RNG.normal(size=(3, 5)), 0.3)


def test_outputs_without_recurrence(small):
    (h, square), _ = loopjax.scan(
        lambda h, a: (h * a, (h * a) ** 2), outputs_info=[H, None], non_sequences=A, n_steps=STEPS
    )
    cost = h[-1].sum() + square[-2:].sum()
    f = agree([H, A], [cost, *loopjax.grad(cost, [H, A])], VALUES[H], VALUES[A])
    last = VALUES[H] * VALUES[A] ** STEPS
    expected = last.sum() + (last**2).sum() + ((last / VALUES[A]) ** 2).sum()
    np.testing.assert_allclose(f(VALUES[H], VALUES[A])[0], expected)


@pytest.mark.parametrize("checkpoint", [1, 4, "sqrt", "log", Budget(states=15), jax.checkpoint_policies.dots_saveable])
def test_what_is_stored_as_asked(small, checkpoint):
    cost = loop(checkpoint=checkpoint)[-1].sum()
    agree(VECTORS, loopjax.grad(cost, VECTORS), *VALUES.values())


def test_higher_derivatives_and_transformations_of_jax(small):
    cost = loop()[-1].sum()
    gradient = loopjax.grad(cost, H)
    agree(VECTORS, [loopjax.grad((gradient**2).sum(), A), loopjax.Rop(loop()[-1], H, A)], *VALUES.values())
    f = loopjax.to_jax(VECTORS, cost)
    whole = loopjax.to_jax(VECTORS, cost, mode=loopjax.Mode().excluding("tiling"))
    given = tuple(map(np.asarray, VALUES.values()))
    for transform in (jax.grad, jax.hessian, lambda f: jax.jacfwd(jax.grad(f))):
        np.testing.assert_allclose(transform(f)(*given), transform(whole)(*given), rtol=1e-5)


class TestWhich:
    def test_not_where_elements_meet(self, small):
        out, _ = loopjax.scan(lambda h: h / (1 + h.sum()), outputs_info=H, n_steps=STEPS)
        agree([H], [out[-1]], np.abs(VALUES[H]), cut=False)
        out, _ = loopjax.scan(lambda h, m: at.tanh(at.dot(h, m)), outputs_info=H, non_sequences=M, n_steps=STEPS)
        agree([H, M], [out[-1]], VALUES[H], RNG.normal(size=(10, 10)), cut=False)
        out, _ = loopjax.scan(lambda h: at.tanh(h + h[0]), outputs_info=M, n_steps=STEPS)
        agree([M], [out[-1]], RNG.normal(size=(4, 4)), cut=False)

    def test_not_where_stacks_are_read_or_written(self, small):
        agree(VECTORS, [loop()], *VALUES.values(), cut=False)
        out, _ = loopjax.scan(lambda x, h: at.tanh(h + x), sequences=M, outputs_info=H)
        agree([M, H], [out[-1]], RNG.normal(size=(STEPS, 10)), VALUES[H], cut=False)

    def test_not_where_only_a_run_knows_the_steps(self, small):
        n = at.lscalar("n")
        out, _ = loopjax.scan(lambda h: h * 1.01, outputs_info=H, n_steps=n)
        agree([H, n], [out[-1]], VALUES[H], 7, cut=False)

    @pytest.mark.parametrize(("size", "cut"), [(1_000, False), (10_000, True), (100_000, False)])
    def test_by_size(self, size, cut):
        f = agree(
            VECTORS[:3],
            [
                loopjax.scan(lambda h, a, c: at.tanh(h * a) + c, outputs_info=H, non_sequences=[A, C], n_steps=STEPS)[
                    0
                ][-1]
            ],
            np.ones(size),
            np.ones(size),
            0.1,
            cut=cut,
        )
        assert not cut or "10 tiles of 1000 of its 10000 elements" in parts(f)[0]


def test_a_gradient_that_is_infinite_stays_so(small):
    out, _ = loopjax.scan(at.sqrt, outputs_info=H, n_steps=STEPS)
    values = np.linspace(0, 1, 10)
    (found,) = agree([H], [loopjax.grad((out[-1] * np.arange(10.0)).sum() + out[-1][0], H)], values)(values)
    assert np.isposinf(found[0])
    assert np.isfinite(found[1:]).all()


def test_a_budget_of_bytes_is_kept():
    steps, size, budget = 4_000, 4_096, 2**21
    out, _ = loopjax.scan(
        lambda h, a: at.tanh(h * a), outputs_info=H, non_sequences=A, n_steps=steps, checkpoint=Budget(bytes=budget)
    )
    f = loopjax.function([H, A], loopjax.grad(out[-1].sum(), H))
    f(np.ones(size), np.ones(size))
    assert parts(f)
    temporaries = f.lower(np.ones(size), np.ones(size)).compile().memory_analysis().temp_size_in_bytes
    assert temporaries < 1.2 * budget


def test_a_gradient_stores_the_states_of_one_part():
    out, _ = loopjax.scan(lambda h, a: h / (1.0 + (h * a) ** 2), outputs_info=H, non_sequences=A, n_steps=500)
    values = RNG.uniform(0.5, 1.5, 10_000), RNG.normal(size=10_000)
    sizes = {}
    for name, mode in {"parts": loopjax.Mode(), "whole": loopjax.Mode().excluding("tiling")}.items():
        f = loopjax.function([A, H], loopjax.grad(out[-1].sum(), [A, H]), mode=mode)
        sizes[name] = f.lower(*values).compile().memory_analysis().temp_size_in_bytes
    assert sizes["whole"] > 500 * 80_000
    # Three residuals of each step, of a tile of 1,000 values.
    assert sizes["parts"] < 4 * 500 * 8_000


def test_not_of_no_elements():
    out, _ = loopjax.scan(lambda h: 0.5 * h + 1, outputs_info=H, n_steps=STEPS)
    assert loopjax.function([H], out[-1])(np.zeros(0)).shape == (0,)


def test_before_and_after() -> None:
    h, a, c = float64("h", 3), float64("a", 3), float64("c")
    out, _ = loopjax.scan(lambda h, a, c: h * a + c, outputs_info=h, non_sequences=[a, c], n_steps=3)
    assert text(sized_graph([h, a, c], [out[-1]])) == lines("""
        input h : float64(3,)
        input a : float64(3,)
        input c : float64()
        %0 = scan 'scan'[steps=3, recurrence[-1] keeps last 1](h, a, c) : float64(1, 3)
            input 0.h[t-1] : float64(3,)
            input 0.a : float64(3,)
            input 0.c : float64()
            %0.0 = mul(0.h[t-1], 0.a) : float64(3,)
            %0.1 = add(%0.0, 0.c) : float64(3,)
            return %0.1
        %1 = index[-1, :](%0) : float64(3,)
        return %1""")
    assert text(after([Tile(least_bytes=0, tile_bytes=16, least_steps=3)], [h, a, c], [out[-1]])) == lines("""
        input h : float64(3,)
        input a : float64(3,)
        input c : float64()
        %0 = reshape[lengths=(-1,)](h) : float64(3,)
        %1 = index[:1](%0) : float64(1,)
        %2 = disconnected_grad(%1) : float64(1,)
        %3 = join[axis=0](%0, %2) : float64(4,)
        %4 = reshape[lengths=(2, 2)](%3) : float64(2, 2)
        %5 = reshape[lengths=(-1,)](a) : float64(3,)
        %6 = index[:1](%5) : float64(1,)
        %7 = disconnected_grad(%6) : float64(1,)
        %8 = join[axis=0](%5, %7) : float64(4,)
        %9 = reshape[lengths=(2, 2)](%8) : float64(2, 2)
        %10 = scan 'parts of scan'[steps=2, sequence[0], sequence[0], map keeps all](%4, %9, c) : float64(2, 1, 2)
            input 10.h : float64(2,)
            input 10.a : float64(2,)
            input 10.c : float64()
            %10.0 = scan 'scan'[steps=3, recurrence[-1] keeps last 1](10.h, 10.a, 10.c) : float64(1, 2)
                input 10.0.h[t-1] : float64(2,)
                input 10.0.a : float64(2,)
                input 10.0.c : float64()
                %10.0.0 = mul(10.0.h[t-1], 10.0.a) : float64(2,)
                %10.0.1 = add(%10.0.0, 10.0.c) : float64(2,)
                return %10.0.1
            return %10.0
        %11 = transpose[axes=(1, 0, 2)](%10) : float64(1, 2, 2)
        %12 = reshape[lengths=(1, 4)](%11) : float64(1, 4)
        %13 = index[:, :3](%12) : float64(1, 3)
        %14 = reshape[lengths=(1, 3)](%13) : float64(1, 3)
        %15 = index[-1, :](%14) : float64(3,)
        return %15""")


@pytest.mark.parametrize(
    ("limits", "tiles"),
    [
        ({}, True),
        ({"least_bytes": 25}, False),
        ({"most_bytes": 23}, False),
        ({"least_steps": 4}, False),
        ({"target": Target("gpu")}, False),
    ],
)
def test_limits(limits, tiles) -> None:
    h, a, c = float64("h", 3), float64("a", 3), float64("c")
    out, _ = loopjax.scan(lambda h, a, c: h * a + c, outputs_info=h, non_sequences=[a, c], n_steps=3)
    step = Tile(**{"least_bytes": 24, "most_bytes": 24, "tile_bytes": 16, "least_steps": 3, **limits})
    assert rewrites(step, [h, a, c], [out[-1]]) is tiles


@pytest.mark.parametrize(("size", "width"), [(8, 4), (9, 3), (11, 4), (12, 4), (17, 4)])
def test_tiles_of_equal_size_where_such_are_near(size, width) -> None:
    h = float64("h", size)
    out, _ = loopjax.scan(lambda h: h * h + 1, outputs_info=h, n_steps=3)
    outer, inner = scans(after([Tile(least_bytes=0, tile_bytes=32, least_steps=3)], [h], [out[-1]]))
    assert inner.body.inputs[0].type.sizes == (width,)
    assert outer.n_steps == -(-size // width)


@pytest.mark.parametrize(
    ("size", "most_cost", "width"), [(500, 2**20, None), (1_000, 2**20, 500), (1_000, 40_000, None)]
)
def test_where_threads_would_share_a_step_by_its_work(size, most_cost, width) -> None:
    """Enough ops on few bytes; the tile is as large as one thread computes."""

    def step(h):
        for _ in range(20):
            h = h * h + 1.0
        return h

    h = float64("h", size)
    out, _ = loopjax.scan(step, outputs_info=h, n_steps=20)
    loops = scans(after([Tile(most_cost=most_cost)], [h], [out[-1]]))
    assert [loop.body.inputs[0].type.sizes for loop in loops[1:]] == ([] if width is None else [(width,)])


@pytest.mark.parametrize(
    ("size", "width"), [(2**12 - 1, None), (2**12, 2**10), (2**16, 2**10), (2**16 + 1, None), (2**12 + 2, 683)]
)
def test_by_bytes_of_a_state(size, width) -> None:
    h = float64("h", size)
    out, _ = loopjax.scan(lambda h: h * h + 1, outputs_info=h, n_steps=16)
    loops = scans(after([Tile()], [h], [out[-1]]))
    assert [loop.body.inputs[0].type.sizes for loop in loops[1:]] == ([] if width is None else [(width,)])


@pytest.mark.parametrize(("n_steps", "tiles"), [(16, True), (15, False)])
def test_least_steps(n_steps, tiles) -> None:
    h = float64("h", 2**12)
    out, _ = loopjax.scan(lambda h: h * h + 1, outputs_info=h, n_steps=n_steps)
    assert rewrites(Tile(), [h], [out[-1]]) is tiles


def stepping(**options):
    h, m = float64("h", 10), float64("m", 10)
    given = {"outputs_info": h, "n_steps": 16, **options}
    out, _ = loopjax.scan(given.pop("step", lambda h: h * h + 1), **given)
    return rewrites(Tile(least_bytes=0, tile_bytes=32), [h, m], [given.get("read", lambda out: out[-1])(out)])


@pytest.mark.parametrize(
    "options",
    [
        {"progress": True},
        {"truncate_gradient": 3},
        {"step": lambda h: (h * h, loopjax.until(h[0] > 1))},
        {"step": lambda h: h[::-1] + 1},
        {"step": lambda h: h + at.constant(np.arange(10.0))},
    ],
    ids=["progress", "truncated", "until", "not elementwise", "a constant array"],
)
def test_not(options) -> None:
    assert stepping()
    assert not stepping(**options)


@pytest.mark.parametrize(("least", "width"), [(384, 32), (385, 64)])
def test_limits_of_a_checkpoint_that_was_asked_for(least, width) -> None:
    """A tile whose states are fewer than those asked for of the whole stores them all, if it is worth a loop."""
    h = float64("h", 64)
    out, _ = loopjax.scan(lambda h: h * h + 1, outputs_info=h, n_steps=16, checkpoint=1)
    _, inner = scans(after([Tile(least_bytes=0, tile_bytes=512, least_tile_bytes=least)], [h], [out[-1]]))
    assert inner.body.inputs[0].type.sizes == (width,)
    assert inner.checkpoint is None


def quotient(h):
    return h / (1.0 + h * h)


@pytest.mark.parametrize(
    ("step", "n_steps", "n_states", "is_cut"),
    [
        (quotient, 100, 1, False),
        (quotient, 200, 1, True),
        (quotient, 200, 3, False),
        (at.sin, 200, 1, False),
        (at.tanh, 200, 1, True),
        (at.sin, 600, 1, True),
    ],
)
def test_states_from_which_the_gradient_of_tiles_pays(step, n_steps, n_states, is_cut):
    states = [float64(f"h{position}", 8_000) for position in range(n_states)]
    outs, _ = loopjax.scan(lambda *h: [step(one) for one in h], outputs_info=states, n_steps=n_steps, return_list=True)
    cost = sum(out[-1].sum() for out in outs)
    assert rewrites(Tile(), states, loopjax.grad(cost, states)) is is_cut
