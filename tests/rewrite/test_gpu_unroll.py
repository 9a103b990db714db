"""Steps per iteration on a GPU: how many, and that loops planned so compute the same. It needs no GPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.op import OP_TABLE
from tests.planned import planned_for

RNG = np.random.default_rng(0)
XS = RNG.normal(size=(53, 5))
H = RNG.normal(size=5)
W = RNG.normal(size=(5, 5)) / 5


def on(backend, f, *values):
    """Results, and the plans of the loops."""
    with planned_for(backend):
        found = [np.asarray(value) for value in f(*values)]
    return found, [loop.plan for loop in loopjax.explain(f).loops]


def same(make, *values, lengths="exact"):
    """The plans for a GPU of a program whose results are those of its plan for a CPU."""
    return same_calls(make, [values], lengths)


def same_calls(make, calls, lengths="exact"):
    """The same for several calls with arguments of equal shapes."""
    f, g = make(lengths), make(lengths)
    for values in calls:
        expected, before = on("cpu", f, *values)
        got, plans = on("gpu", g, *values)
        assert all(plan.rows == "apart" for plan in before)
        for one, other in zip(got, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    return plans


def scanned(step, read=lambda out: out, gradient=False, **options):
    def make(lengths):
        xs, h, w = at.dmatrix("xs"), at.dvector("h"), at.dmatrix("w")
        out, _ = loopjax.scan(step, sequences=xs, outputs_info=h, non_sequences=w, strict=True, **options)
        outputs = (
            loopjax.grad((read(out) ** 2).sum(), [xs, h, w], disconnected_inputs="ignore") if gradient else read(out)
        )
        return loopjax.function(
            [xs, h, w], outputs if gradient else [outputs], lengths=lengths, on_unused_input="ignore"
        )

    return make


def pointwise(x, h, w):
    return at.tanh(h + x)


def product(x, h, w):
    return at.tanh(h @ w + x)


@pytest.mark.parametrize("gradient", [False, True], ids=["values", "gradient"])
@pytest.mark.parametrize("n_steps", [16, 48, 53])
@pytest.mark.parametrize("step", [pointwise, product])
def test_rows_are_written_in_groups(step, n_steps, gradient):
    (*_, plan) = same(scanned(step, gradient=gradient), XS[:n_steps], H, W)
    assert plan.rows != "apart"
    assert plan.kind == "scan"
    assert plan.unroll == (8 if step is product else 16)


def test_a_number_of_steps_that_leaves_none_over():
    assert same(scanned(pointwise), XS[:50], H, W)[0].unroll == 10
    assert same(scanned(pointwise), XS[:53], H, W)[0].unroll == 16


@pytest.mark.parametrize(
    "read",
    [lambda out: out[-1], lambda out: out[-3:], lambda out: out.sum(0), lambda out: out[7:20], lambda out: out[::7]],
    ids=["last", "last three", "sum", "slice", "stride"],
)
@pytest.mark.parametrize("gradient", [False, True], ids=["values", "gradient"])
def test_what_is_read(read, gradient):
    assert any(plan.rows != "apart" for plan in same(scanned(pointwise, read, gradient), XS, H, W))


def tapped(taps, gradient=False, **options):
    def make(lengths):
        xs, start = at.dmatrix("xs"), at.dmatrix("start")
        out, _ = loopjax.scan(
            lambda x, far, near: at.tanh(far - 0.5 * near + x),
            sequences=xs,
            outputs_info={"initial": start, "taps": taps},
            **options,
        )
        outputs = loopjax.grad((out**2).sum(), [xs, start]) if gradient else [out]
        return loopjax.function([xs, start], outputs, lengths=lengths)

    return make


@pytest.mark.parametrize("backwards", [False, True])
def test_past_values(backwards):
    (plan,) = same(tapped([-7, -2], go_backwards=backwards), XS, RNG.normal(size=(7, 5)))
    assert plan.rows != "apart"
    assert [history.kind for history in plan.storage] == ["window"]


@pytest.mark.parametrize("gradient", [False, True])
def test_far_past_values_are_read_in_blocks(gradient):
    (*_, plan) = same(tapped([-20, -1], gradient), XS, RNG.normal(size=(20, 5)))
    assert plan.block == 20
    assert plan.unroll == 16


def until(read=lambda out: out):
    def make(lengths):
        xs, h, most = at.dmatrix("xs"), at.dvector("h"), at.dscalar("most")

        def step(x, h):
            after = h + at.exp(x)
            return [after, x.sum()], {}, loopjax.until(after.max() > most)

        (out, sums), _ = loopjax.scan(step, sequences=xs, outputs_info=[h, None])
        return loopjax.function([xs, h, most], [read(out), read(sums)], lengths=lengths)

    return make


@pytest.mark.parametrize("lengths", ["exact", "padded"])
@pytest.mark.parametrize("read", [lambda out: out, lambda out: out[-1], lambda out: out[-3:], lambda out: out.sum(0)])
def test_until_is_asked_once_for_several_steps(read, lengths):
    """The condition is met at the first step, within an iteration, later, near the end, never."""
    plans = same_calls(until(read), [(XS, H, most) for most in (-9.0, 3.0, 20.0, 60.0, 1e9)], lengths)
    assert any(plan.kind == "while" and plan.rows != "apart" and plan.unroll == 16 for plan in plans)


def test_steps_behind_the_end_change_nothing():
    """The last row that there is room for stays as it is, and so does a state that they would make infinite."""

    def make(lengths):
        n, h = at.iscalar("n"), at.dvector("h")
        out, _ = loopjax.scan(lambda h: h * 1e30, outputs_info=h, n_steps=n)
        return loopjax.function([n, h], [out, out[-1]], lengths=lengths)

    same(make, 3, H, lengths="padded")
    same(make, 10, H, lengths="padded")


def test_draws_are_the_same():
    def make(lengths):
        stream = at.random.RandomStream(1)
        h, most = at.dvector("h"), at.dscalar("most")

        def step(h):
            after = 0.5 * h + stream.normal(size=(5,))
            return [after], {}, loopjax.until(after.max() > most)

        out, _ = loopjax.scan(step, outputs_info=[h], n_steps=100)
        return loopjax.function([h, most], [out], lengths=lengths)

    same_calls(make, [(H, 1e9), (H, 2.0)])


def test_draws_by_rejection_are_not_written_out():
    def make(draw):
        stream = at.random.RandomStream(1)
        h = at.dvector("h")
        out, _ = loopjax.scan(lambda h: 0.5 * h + draw(stream, h), outputs_info=h, n_steps=32)
        return lambda lengths: loopjax.function([h], [out], lengths=lengths)

    (*_, plan) = same(make(lambda stream, h: stream.gamma(1 + h**2)), H)
    assert plan.unroll == 1
    (*_, plan) = same(make(lambda stream, h: stream.normal(h, 1 + h**2, dtype="float64")), H)
    assert plan.unroll == 16


def test_none_with_loops_in_their_bodies():
    def make(lengths):
        xs, h = at.dmatrix("xs"), at.dvector("h")

        def step(x, h):
            inner, _ = loopjax.scan(lambda g: at.sin(g) + x, outputs_info=h, n_steps=40)
            return inner[-1]

        out, _ = loopjax.scan(step, sequences=xs, outputs_info=h)
        return loopjax.function([xs, h], [out], lengths=lengths)

    outer, inner = same(make, XS[:5], H)
    assert outer.unroll == 1
    assert inner.unroll > 16
    assert inner.rows == "finished"


def test_as_many_as_asked_for_and_none_where_they_are_left_out():
    assert same(scanned(pointwise, unroll=3), XS, H, W)[0].unroll == 3
    f = scanned(pointwise)("exact")
    with planned_for("gpu"):
        f(XS, H, W)
    assert loopjax.explain(f).loops[0].plan.rows != "apart"
    mode = loopjax.Mode().excluding("unroll")
    xs, h = at.dmatrix("xs"), at.dvector("h")
    out, _ = loopjax.scan(lambda x, h: at.tanh(h + x), sequences=xs, outputs_info=h)
    g = loopjax.function([xs, h], [out], mode=mode)
    assert on("gpu", g, XS, H)[1][0].rows == "apart"


@pytest.mark.parametrize("stops", [True, False])
def test_what_steps_behind_the_end_would_read_is_not_checked(stops):
    x, n = at.dvector("x"), at.iscalar("n")

    def step(t, h, x, n):
        after = h + x[t]
        return ([after], {}, loopjax.until(t + 1 >= n)) if stops else after

    out, _ = loopjax.scan(
        step,
        sequences=at.arange(50 if stops else n),
        outputs_info=[at.constant(0.0, dtype="float64")],
        non_sequences=[x, n],
    )
    f = loopjax.function([x, n], out, check="index", lengths="padded", on_unused_input="ignore")
    with planned_for("gpu"):
        np.testing.assert_array_equal(f(np.ones(6), np.int32(6)), np.arange(1.0, 7.0))
        with pytest.raises(IndexError, match="out of bounds for an axis of size"):
            f(np.ones(6), np.int32(40))


@pytest.mark.parametrize(
    "name", sorted(name for name, row in OP_TABLE.items() if "pointwise" in row.traits and row.run)
)
def test_elementwise_rows_say_whether_jax_runs_a_loop_for_them(name):
    row = OP_TABLE[name]
    for count in (1, 2, 3):
        try:
            text = jax.jit(row.run).lower(*[np.full(2, 0.4)] * count).as_text()
        except (TypeError, ValueError):
            continue  # of another number of operands, of other ones, or with parameters
        assert ("inner_loop" in row.traits) == ("stablehlo.while" in text)


def test_rows_that_run_a_loop_are_not_written_out():
    def make(lengths):
        h = at.dvector("h")
        out, _ = loopjax.scan(lambda h: at.gammainc(1 + h**2, 2.0), outputs_info=h, n_steps=32)
        return loopjax.function([h], [out], lengths=lengths)

    (plan,) = same(make, H)
    assert plan.unroll == 1


def test_functions_of_the_users_are_not_called_behind_the_end():
    """This one would not end there."""
    steps = loopjax.wrap_jax(
        lambda n: jax.lax.while_loop(
            lambda now: now[0] != 1,
            lambda now: (jnp.where(now[0] % 2 == 0, now[0] // 2, 3 * now[0] + 1), now[1] + 1),
            (n, jnp.zeros_like(n)),
        )[1]
    )

    def make(lengths):
        n = at.lscalar("n")
        (k, counts), _ = loopjax.scan(
            lambda k: ([k - 1, steps(k)], {}, loopjax.until(k <= 1)), outputs_info=[n, None], n_steps=40
        )
        return loopjax.function([n], [k, counts], lengths=lengths)

    (plan,) = same(make, 7)
    assert plan.unroll == 1


@pytest.mark.parametrize("n_steps", [1, 2, 16, 17])
def test_no_more_steps_than_there_may_be(n_steps):
    def make(lengths):
        h, most = at.dvector("h"), at.dscalar("most")
        out, _ = loopjax.scan(lambda h: ([h + 1], {}, loopjax.until(h.max() > most)), outputs_info=[h], n_steps=n_steps)
        return loopjax.function([h, most], [out], lengths=lengths)

    (*_, plan) = same_calls(make, [(H, most) for most in (-9.0, 4.0, 1e9)])
    assert plan.unroll <= n_steps


def test_progress_is_told_of_steps_that_run_alone():
    def make(lengths):
        h, most = at.dvector("h"), at.dscalar("most")
        out, _ = loopjax.scan(
            lambda h: ([h + 1], {}, loopjax.until(h.max() > most)),
            outputs_info=[h],
            n_steps=300,
            progress=True,
            unroll=4,
        )
        return loopjax.function([h, most], [out], lengths=lengths)

    (plan,) = same(make, H, 8.0)
    assert plan.rows == "apart"
