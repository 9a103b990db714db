"""Which plan each loop gets, and that every plan computes the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import ancestors
from loopjax.ir.types import TensorType
from loopjax.rewrite.plan import PlanLoops
from loopjax.rewrite.target import Target
from tests.configured import configured
from tests.rewrite.sized import after, scans

RNG = np.random.default_rng(5)


def plan_of(f, *args):
    f(*args)
    return [loop.plan.kind for loop in loopjax.explain(f).loops]


def test_kinds():
    x, k, h = at.dvector("x"), at.lscalar("k"), at.dscalar("h")
    recurrent, _ = loopjax.scan(lambda a, h: h * a, sequences=x, outputs_info=h)
    mapped, _ = loopjax.map(lambda a: a * 2, x)
    stopping, _ = loopjax.scan(lambda h: (h * 2, loopjax.until(h > 9)), outputs_info=h, n_steps=5)
    counted, _ = loopjax.scan(lambda h: h * 2, outputs_info=h, n_steps=k)
    assert plan_of(loopjax.function([x, h], recurrent), np.ones(3), 1.0) == ["scan"]
    assert plan_of(loopjax.function([x, h], recurrent), np.ones(1), 1.0) == ["inline"]
    assert plan_of(loopjax.function([x, h], recurrent), np.ones(0), 1.0) == ["empty"]
    assert plan_of(loopjax.function([x], mapped), np.ones(3)) == ["vmap"]
    assert plan_of(loopjax.function([h], stopping), 1.0) == ["while"]
    assert plan_of(loopjax.function([h, k], counted[-1]), 1.0, 4) == ["while"]
    assert plan_of(loopjax.function([h, k], counted), 1.0, 4) == ["scan"]


def test_a_loop_without_recurrence_is_no_loop():
    x = at.dvector("x")
    out, _ = loopjax.map(lambda a: at.exp(a) * 2, x)
    text = loopjax.function([x], out).lower(np.ones(50)).compile().as_text()
    assert " while(" not in text


@pytest.mark.parametrize("thresholds", [{}, {"summed_bytes": 0}, {"summed_bytes": 0, "row_bytes": 0}])
def test_sums_over_the_steps_of_a_map_are_equal_however_they_are_added_up(thresholds):
    x, w = at.dmatrix("x"), at.dvector("w")
    out, _ = loopjax.scan(lambda x, w: (at.tanh(x * w) ** 2).sum(), sequences=x, non_sequences=w)
    gradient = loopjax.grad(out.sum(), w)
    f = loopjax.function([x, w], [gradient, loopjax.grad((gradient**2).sum(), w), loopjax.grad(gradient.sum(), x)])
    given = RNG.normal(size=(30, 20)), RNG.normal(size=20)

    def expected(x, w):
        first = jax.grad(lambda w: (jnp.tanh(x * w) ** 2).sum())
        mixed = jax.grad(lambda x: jax.grad(lambda w: (jnp.tanh(x * w) ** 2).sum())(w).sum())
        return first(w), jax.grad(lambda w: (first(w) ** 2).sum())(w), mixed(x)

    with configured(PlanLoops(**thresholds)):
        found = f(*given)
    with jax.enable_x64(True):
        for one, other in zip(found, expected(*given), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_too_large_for_one_go_runs_in_batches():
    x = at.dmatrix("x")
    out, _ = loopjax.map(lambda a: at.exp(a) * 2, x)
    f = loopjax.function([x], [out, out[-1], out[-3:]])
    value = RNG.normal(size=(37, 5))
    with configured(PlanLoops(vmap_bytes=1000)):
        found = f(value)
    np.testing.assert_allclose(found[0], 2 * np.exp(value), rtol=1e-12)
    np.testing.assert_allclose(found[1], 2 * np.exp(value[-1]), rtol=1e-12)
    np.testing.assert_allclose(found[2], 2 * np.exp(value[-3:]), rtol=1e-12)
    assert plan_of(f, value) == ["batched"]


@pytest.mark.parametrize("unroll", [None, 1, 3, 8, 50])
@pytest.mark.parametrize("steps", [1, 2, 7, 24, 29])
def test_unrolling_changes_nothing(unroll, steps):
    x, h, k = at.dvector("x"), at.dscalar("h"), at.lscalar("k")
    out, _ = loopjax.scan(lambda a, h: at.sin(h) + a, sequences=x, outputs_info=h, unroll=unroll)
    last, _ = loopjax.scan(lambda h: at.sin(h) + 1, outputs_info=h, n_steps=k, unroll=unroll)
    value = RNG.normal(size=steps)
    rows, state, other = [], 0.3, 0.3
    for a in value:
        state, other = np.sin(state) + a, np.sin(other) + 1
        rows.append(state)
    found = loopjax.function([x, h, k], [out, last[-1]])(value, 0.3, steps)
    np.testing.assert_allclose(found[0], rows, rtol=1e-12)
    np.testing.assert_allclose(found[1], other, rtol=1e-12)


@pytest.mark.parametrize("count", [1, 2, 5, 9, 40])
@pytest.mark.parametrize("depth", [1, 3, 6])
@pytest.mark.parametrize("steps", [1, 4, 12])
def test_the_last_rows(count, depth, steps):
    start = at.dvector("start")
    initial = {"initial": start, "taps": sorted({-depth, -1})} if depth > 1 else start[0]
    (out, mapped), _ = loopjax.scan(
        lambda *h: (at.sin(h[0]) + h[-1], h[0] * 2), outputs_info=[initial, None], n_steps=steps
    )
    first = RNG.normal(size=depth)
    history, doubled = list(first), []
    for _ in range(steps):
        doubled.append(2 * history[-depth])
        history.append(np.sin(history[-depth]) + history[-1])
    found = loopjax.function([start], [out[-count:], mapped[-count:]])(first)
    np.testing.assert_allclose(found[0], history[depth:][-count:], rtol=1e-12)
    np.testing.assert_allclose(found[1], doubled[-count:], rtol=1e-12)


def test_temporaries_do_not_grow_where_the_last_value_is_read():
    x = at.dvector("x")
    out, _ = loopjax.scan(lambda a, h: h + a, sequences=x, outputs_info=at.constant(0.0, dtype="float64"))
    f = loopjax.function([x], out[-1])
    sizes = {f.lower(np.ones(n)).compile().memory_analysis().temp_size_in_bytes for n in (1000, 100_000)}
    assert max(sizes) < 2000


def test_explain_before_and_after_a_call():
    x, h = at.dvector("x"), at.dscalar("h")
    out, _ = loopjax.scan(lambda a, h: h * a, sequences=x, outputs_info=h, name="product")
    cost = (out**2).sum()
    f = loopjax.function([x, h], [cost, loopjax.grad(cost, x)], name="f")
    assert "not lowered yet" in str(loopjax.explain(f))
    f(np.ones(3), 1.0)
    report = loopjax.explain(f)
    assert str(report).startswith("f: 1 stage, 1 loop\n")
    (loop,) = report.loops
    assert (loop.name, loop.n_steps, loop.differentiated, loop.stacked_bytes) == ("product", 3, True, 24)
    assert "scan 'product' [test_plan.py:" in str(report)
    assert "differentiated" in str(report)
    with pytest.raises(TypeError, match="takes what function"):
        loopjax.explain(x)


def test_dprint_and_pp(capsys):
    x = at.dvector("x")
    loopjax.dprint((x + 1).sum())
    printed = capsys.readouterr().out
    assert "sum[axis=(0,)" in printed
    assert "# test_plan.py:" in printed
    assert loopjax.pp(at.tanh(x * 2 + 1)[-1]) == "tanh(((x * 2.) + 1.))[-1]"


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sums_of_low_precision_are_folded_in_a_wider_one(dtype):
    k = at.lscalar("k")
    one = at.constant(1, dtype=dtype)
    counted, _ = loopjax.scan(lambda h: h * 1, outputs_info=one, n_steps=k)
    f = loopjax.function([k], [counted.sum(0), counted.mean(0)])
    total, mean = f(5000)
    assert total.dtype == dtype
    assert abs(float(total) - 5000) <= 16
    assert float(mean) == 1.0


class TestIndicesInBounds:
    @pytest.mark.parametrize(
        "read", [lambda x: x[2], lambda x: x[-1], lambda x: x[1:3], lambda x: x[::-2], lambda x: x[x.shape[0] // 2 :]]
    )
    def test_pay_nothing(self, read):
        x = at.dvector("x")
        text = loopjax.function([x], read(x)).lower(np.ones(5)).compile().as_text()
        assert not any(op in text for op in ("select(", "compare(", "gather("))

    def test_nor_does_a_sequence(self):
        x = at.dvector("x")
        out, _ = loopjax.scan(lambda a, b: a * b, sequences={"input": x, "taps": [-1, 1]})
        text = loopjax.function([x], out).lower(np.ones(5)).compile().as_text()
        assert not any(op in text for op in ("select(", "compare(", "gather("))


class TestLengthsOfTheRun:
    def test_more_steps_than_can_be_counted(self):
        k = at.lscalar("k")
        last, _ = loopjax.scan(lambda h: h + 1, outputs_info=at.constant(0), n_steps=k)
        for read in (last[-1], last):
            with pytest.raises(ValueError, match="n_steps is 4294967299; expected at most 2147483647"):
                loopjax.function([k], read)(2**32 + 3)

    @pytest.mark.parametrize(("total", "error"), [(-3, ValueError), (0, IndexError)])
    def test_a_length_of_the_device_is_checked_too(self, total, error):
        x = at.dvector("x")
        last, _ = loopjax.scan(lambda h: h + 1, outputs_info=at.constant(0), n_steps=x.sum().astype("int64"))
        f = loopjax.function([x], last[-1])
        assert int(f([1.0, 2.0])) == 3
        with pytest.raises(error):
            f([float(total)])

    def test_a_step_past_the_end_where_the_host_knows_it(self):
        k = at.lscalar("k")
        out, _ = loopjax.scan(lambda h: h + 1, outputs_info=at.constant(0), n_steps=k)
        f = loopjax.function([k], out[5])
        assert int(f(6)) == 6
        with pytest.raises(IndexError, match="ran 3 steps; what is read needs 6"):
            f(3)


@pytest.mark.parametrize(
    ("taps", "n_steps"),
    [([-5], 2), ([-5], 5), ([-5], 12), ([-6, -1], 17), ([-7, -5, -2], 12), ([-20, -6, -4, -1], 17), ([-40], 5)],
)
def test_far_taps_under_a_derivative_are_in_blocks(taps, n_steps):
    x, w, s = at.dmatrix("x"), at.dvector("w"), at.dmatrix("s")
    stream = at.random.RandomStream(5)

    def step(s_t, *pasts_and_w):
        *pasts, w = pasts_and_w
        near = sum((i + 1.0) * past for i, past in enumerate(pasts))
        return [at.tanh(w * near + s_t + 0.1 * stream.normal()), near.sum()]

    (h, m), updates = loopjax.scan(
        step, sequences=s, outputs_info=[{"initial": x, "taps": taps}, None], non_sequences=w, n_steps=n_steps
    )
    cost = (h**2).sum() + at.sin(m).sum() + h[-1].prod()
    rng = np.random.default_rng(0)
    values = rng.normal(size=(-min(taps), 4)), rng.normal(size=4), rng.normal(size=(20, 4))
    f = loopjax.function([x, w, s], cost, no_default_updates=True)
    grads = loopjax.function([x, w, s], loopjax.grad(cost, [x, w, s]), no_default_updates=True)
    found = grads(*values)
    plan = loopjax.explain(grads).loops[-1].plan  # behind the draws
    assert plan.block == min([-tap for tap in taps if tap < -4] + [n_steps])
    assert "blocks" in [history.kind for history in plan.storage]
    for position, grad in enumerate(found):
        direction = rng.normal(size=values[position].shape)
        sides = []
        for sign in (1, -1):
            moved = list(values)
            moved[position] = values[position] + sign * 1e-6 * direction
            sides.append(float(f(*moved)))
        np.testing.assert_allclose(
            (np.asarray(grad) * direction).sum(), (sides[0] - sides[1]) / 2e-6, rtol=1e-6, atol=1e-8
        )
    del updates


class TestAsText:
    """Plans as text, by small loops; thresholds are fields of the pass."""

    X, H = TensorType("float64", (40, 3))("x"), TensorType("float64", (3,))("h")
    F = TensorType("float64", (6, 3))("f")

    def plan(self, out, wrt=None, target=None, **thresholds):
        output = out if wrt is None else loopjax.grad(out.sum(), wrt)
        inputs = [variable for variable in (self.X, self.H, self.F) if variable in ancestors([output])]
        (op,) = scans(after([PlanLoops(target or Target(), **thresholds)], inputs, [output]))
        return str(op.plan)

    def loop(self, step=lambda x, h: at.tanh(h) * x, initial=H, **options):
        return loopjax.scan(step, sequences=self.X, outputs_info=initial, **options)[0]

    def test_step_by_step(self):
        assert self.plan(self.loop(), target=Target(without=frozenset(["unroll"]))) == "scan, storage=window of 1"
        assert self.plan(self.loop(at.add)) == "counted, unroll=2, storage=window of 1"
        assert self.plan(self.loop(progress="p"), reports=4) == "scan, storage=window of 1, report=10"
        assert self.plan(self.loop(unroll=7)) == "counted, unroll=7, storage=window of 1"
        gpu = Target("gpu")
        assert self.plan(self.loop(), target=gpu) == "scan, unroll=10, rows=finished, storage=window of 1"

    def test_all_steps_at_once(self):
        doubled = self.loop(lambda x: x * 2, None)
        assert self.plan(doubled) == "vmap, storage=window of 0"
        assert self.plan(doubled, vmap_bytes=24 * 40) == "vmap, storage=window of 0"
        assert self.plan(doubled, vmap_bytes=24 * 7) == "batched, storage=window of 0, batch=7"
        assert self.plan(doubled, target=Target(without=frozenset(["vmap", "unroll"]))) == "scan, storage=window of 0"

    def test_sums_over_the_steps_of_a_map_for_the_gradient(self):
        """Rows of 24 bytes, 120 values in all."""
        product = loopjax.scan(lambda x, h: at.tanh(x * h), sequences=self.X, non_sequences=self.H)[0]
        reversed = "storage=window of 0, derivative=reverse"
        assert self.plan(product) == "vmap, storage=window of 0"
        assert self.plan(product, self.H) == f"vmap, {reversed}, summed=0"
        assert self.plan(product, self.X) == f"vmap, {reversed}"
        assert self.plan(product, self.H, Target("gpu")) == f"vmap, {reversed}"
        assert self.plan(product, self.H, summed_bytes=959) == f"vmap, {reversed}"
        assert self.plan(product, self.H, summed_bytes=959, row_bytes=24) == f"scan, {reversed}"
        assert self.plan(product, self.X, inline_values=119) == f"scan, {reversed}"
        assert self.plan(product, self.X, inline_values=119, short_values=439) == f"vmap, {reversed}"
        # What a step shares otherwise: read by index, and combined with a larger array.
        at_place = loopjax.scan(lambda x, h: x * h[1], sequences=self.X, non_sequences=self.H)[0]
        outer = loopjax.scan(lambda x, h: x[:, None] * h, sequences=self.X, non_sequences=self.H)[0]
        assert self.plan(at_place, self.H) == f"vmap, {reversed}"
        assert self.plan(outer, self.H, inline_values=1000) == f"vmap, {reversed}"

    def test_what_is_stored_for_the_gradient(self):
        """A state of 24 bytes, and two values that each step computes."""
        recomputed = "scan, unroll=2, storage=window of 1, checkpoint=40, state_bytes=24, derivative=reverse"
        stored = "scan, storage=window of 1, derivative=reverse"
        many = self.loop(lambda x, h: at.maximum(at.maximum(x, h) * h, h))
        assert self.plan(many, self.H, remat_bytes=96) == recomputed
        assert self.plan(many, self.H, remat_bytes=97) == stored.replace("scan,", "scan, unroll=2,")
        # Of this one, JAX stores as many residuals as there are inputs.
        assert self.plan(self.loop(), self.H, remat_bytes=96) == stored
        nest = "checkpoint=3 x 6 + 7, state_bytes=24, frozen=15"
        out = self.loop(checkpoint="sqrt", truncate_gradient=25)
        assert self.plan(out, self.H) == f"scan, storage=window of 1, {nest}, derivative=reverse"

    def test_the_nest_of_a_loop_that_until_ends(self):
        def step(h):
            return h * 2, loopjax.until(h.sum() > 9)

        out = loopjax.scan(step, outputs_info=self.H, n_steps=500)[0][-1]
        assert self.plan(out) == "while, storage=window of 1"
        assert self.plan(out, self.H) == "stored_while, storage=window of 1, derivative=reverse"
        nest = "scan, storage=window of 1, checkpoint=8 x 8 x 8, state_bytes=24, derivative=reverse"
        assert self.plan(out, self.H, stored_bytes=24 * 500) == "stored_while, storage=window of 1, derivative=reverse"
        assert self.plan(out, self.H, stored_bytes=24 * 499) == nest

    def test_far_taps(self):
        far = loopjax.scan(
            lambda old, new: old + at.sin(new), outputs_info={"initial": self.F, "taps": [-6, -1]}, n_steps=40
        )[0]
        assert self.plan(far) == "scan, storage=stack of 6"
        assert self.plan(far, cpu_window=6) == "counted, unroll=4, storage=window of 6"
        assert self.plan(far, self.F, array_bytes=100) == "scan, storage=blocks of 6, derivative=reverse, block=6"
        without = Target(without=frozenset(["far_taps"]))
        assert self.plan(far, self.F, without, array_bytes=100) == "scan, storage=ring of 6, derivative=reverse"

    def test_past_values_that_are_one_array(self):
        def loop(taps):
            start = {"initial": self.F[: -min(taps)], "taps": taps}
            return loopjax.scan(lambda *past: sum(map(at.sin, past)), outputs_info=start, n_steps=40)[0]

        array = "scan, storage=array of {}, derivative=reverse"
        assert self.plan(loop([-6, -1]), self.F) == array.format(6)
        assert self.plan(loop([-1, -2]), self.F) == array.format(2)
        assert "blocks" in self.plan(loop([-6, -1]), self.F, array_bytes=143)
        assert self.plan(loop([-6, -4, -1]), self.F, array_bytes=0) == array.format(6)
        assert "blocks" in self.plan(loop([-6, -4, -1]), self.F, array_bytes=0, dense_bytes=23)
        assert self.plan(loop([-6, -4, -1])) == "scan, storage=stack of 6"
