"""Reduction fusion: accumulators in the carry in place of stacks, and equal results."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.printing import graph_text
from loopjax.lower.loops.accumulate import PLAIN_STEPS
from loopjax.rewrite.differentiate import FormDifferentiatedRegions
from loopjax.rewrite.pipeline import symbolic
from loopjax.rewrite.reduction_fusion import FuseReductions, FuseSizedReductions
from loopjax.rewrite.target import Target
from tests.configured import configured
from tests.rewrite.decaying import NONE, T, decay, keeps, loop, planned, stacked, temporaries, values
from tests.rewrite.powers import power
from tests.rewrite.sized import after, float64, lines, rewrites, sized_graph, symbolically, text

UNPRUNED = loopjax.Mode().excluding("scan_cse", "licm", "dce")
"""For loops that would be found to compute nothing."""


def passed(x):
    """The stack of the rows of ``x`` as they are, of a loop that also counts."""
    (_, out), _ = loopjax.scan(lambda u, k: [k + 1, u], sequences=x, outputs_info=[at.constant(0), None])
    return out


def log_sum_exp(stack):
    most = stack.max(0)
    return most + np.log(np.exp(stack - most).sum(0))


W = np.random.default_rng(1).normal(size=T)
MATRIX = at.constant(np.eye(2))
REDUCTIONS = {
    "sum": (lambda out, w: out.sum(0), lambda s: s.sum(0)),
    "all axes": (lambda out, w: out.sum(), lambda s: s.sum()),
    "mean": (lambda out, w: out.mean(0), lambda s: s.mean(0)),
    "kept axes": (lambda out, w: out.mean(keepdims=True), lambda s: s.mean(keepdims=True)),
    "prod": (lambda out, w: out.prod(0), lambda s: s.prod(0)),
    "max": (lambda out, w: out.max(), lambda s: s.max()),
    "min": (lambda out, w: out.min(0), lambda s: s.min(0)),
    "argmax": (lambda out, w: out.argmax(0), lambda s: s.argmax(0)),
    "argmin": (lambda out, w: at.argmin(out, 0), lambda s: s.argmin(0)),
    "any": (lambda out, w: at.any(out, 0), lambda s: s.any(0)),
    "all": (lambda out, w: at.all(out, 0), lambda s: s.all(0)),
    "dot": (lambda out, w: at.dot(w, out), lambda s: W @ s),
    "dot of the transposed": (lambda out, w: out.T.dot(w), lambda s: s.T @ W),
    "tensordot": (lambda out, w: at.tensordot(out, w, ([0], [0])), lambda s: s.T @ W),
    "product of a column": (lambda out, w: at.dot(out[:, 1], w), lambda s: s[:, 1] @ W),
}


class TestLengthsThatAreKnown:
    @pytest.mark.parametrize("backwards", [False, True])
    @pytest.mark.parametrize("name", [name for name in REDUCTIONS if name != "product of a column"])
    def test_reductions(self, name, backwards):
        read, reference = REDUCTIONS[name]
        x, h, out = decay(go_backwards=backwards)
        w = at.dvector("w")
        f = loopjax.function([x, h, w], read(out, w), on_unused_input="ignore")
        rows, start = values()
        expected = reference(stacked(rows, start, backwards=backwards))
        np.testing.assert_allclose(f(rows, start, W), expected, rtol=1e-10)
        assert keeps(f)[0] == "last 0"
        assert len(loop(f).accumulators) == 1

    def test_as_text(self):
        x, h, out = decay()
        f = loopjax.function([x, h], [out.sum(0), out.max(0)])
        f(*values())
        text = graph_text(planned(f)).splitlines()
        assert text[2].endswith(
            "[steps=40, sequence[0], recurrence[-1] keeps last 0, sum of 0, max of 0, plan=counted](x, h) : "
            "float64(0, 3), float64(3,), float64(3,)"
        )
        assert text[-1] == "return %0:1, %0:2"
        g = loopjax.function([x, h], [out.sum(0), out.max(0)], mode=NONE)
        g(*values())
        assert "keeps all, plan=counted](x, h)" in graph_text(planned(g))

    def test_not_where_the_stack_is_read_anyway(self):
        x, h, out = decay()
        f = loopjax.function([x, h], [out.sum(0), out])
        f(*values())
        assert keeps(f) == ["all"]
        assert not loop(f).accumulators

    def test_the_notes_say_it(self):
        x, h, out = decay()
        f = loopjax.function([x, h], out.mean(0))
        f(*values())
        assert "mean of h in the carry, not from a stack" in loop(f).notes

    def test_weights_that_come_from_the_loop_are_no_fold(self):
        x, h, out = decay()
        f = loopjax.function([x, h], at.dot(at.exp(out[:, 0]), out))
        rows, start = values()
        stack = stacked(rows, start)
        np.testing.assert_allclose(f(rows, start), np.exp(stack[:, 0]) @ stack)
        assert not loop(f).accumulators

    def test_one_loop_is_weighted_by_another(self):
        x, h, out = decay()
        k = at.dscalar("k")
        other, _ = loopjax.scan(lambda k: k * 0.5, outputs_info=k, n_steps=T)
        f = loopjax.function([x, h, k], [at.dot(other, out), other.sum(), out.max()])
        rows, start = values()
        stack = stacked(rows, start)
        weights = 0.5 ** np.arange(1, T + 1)
        found = f(rows, start, 1.0)
        for one, expected in zip(found, [weights @ stack, weights.sum(), stack.max()], strict=True):
            np.testing.assert_allclose(one, expected, rtol=1e-10)

    def test_not_a_number(self):
        x, h, out = decay()
        f = loopjax.function([x, h], [out.max(0), out.min(0), out.argmax(0), out.argmin(0), at.logsumexp(out, 0)])
        rows, start = values()
        rows[7, 1] = np.nan
        with np.errstate(invalid="ignore"):
            stack = stacked(rows, start)
            expected = [stack.max(0), stack.min(0), stack.argmax(0), stack.argmin(0), log_sum_exp(stack)]
        for one, other in zip(f(rows, start), expected, strict=True):
            np.testing.assert_allclose(one, other)
        assert np.asarray(f(rows, start)[2])[1] == 7

    def test_ties_are_the_first(self):
        x = at.dvector("x")
        out = passed(x)
        f = loopjax.function([x], [out.argmax(0), out.argmin(0)])
        assert [int(one) for one in f(np.array([1.0, 3.0, 0.0, 3.0, 0.0]))] == [1, 2]
        assert [int(one) for one in f(np.full(4, -np.inf))] == [0, 0]
        assert [int(one) for one in f(np.full(4, np.inf))] == [0, 0]

    @pytest.mark.parametrize("dtype", ["float16", "float32"])
    def test_narrow_sums_do_not_stop(self, dtype):
        x = at.vector("x", dtype=dtype)
        out = passed(x)
        f = loopjax.function([x], [out.sum(), out.mean(), at.dot(x, out)], mode=UNPRUNED)
        total, mean, product = f(np.ones(5000, dtype))
        assert (float(total), float(mean), float(product)) == (5000.0, 1.0, 5000.0)
        assert str(total.dtype) == dtype
        assert len(loop(f).accumulators) == 3

    @pytest.mark.parametrize(("steps", "is_wide"), [(PLAIN_STEPS, False), (PLAIN_STEPS + 1, True)])
    def test_a_short_sum_has_the_precision_of_a_stack(self, steps, is_wide):
        x = at.fmatrix("x")
        out = passed(x)
        f = loopjax.function([x], out.sum(0), mode=UNPRUNED)
        values = np.random.default_rng(0).uniform(-1, 1, (steps, 50)).astype("float32")
        assert ("tensor<50xf64>" in f.lower(values).as_text()) == is_wide
        error = np.abs(f(values) - values.astype("float64").sum(0)) / np.abs(values).sum(0)
        assert error.max() < 1.5e-7

    @pytest.mark.parametrize(
        ("steps", "rows", "alone", "apart"),
        [
            *((200, (), True, True), (20_000, (), False, False), (200, (3,), True, False)),
            *((20_000, (3,), False, False), (20_000, (16,), True, True), (5, (4097,), True, True)),
        ],
    )
    def test_what_no_step_hands_on(self, steps, rows, alone, apart):
        x = at.TensorType("float64", (None, *rows))("x")
        out, _ = loopjax.scan(lambda x: at.tanh(x) * x, sequences=x)
        f, total = loopjax.function([x], [out.sum(0), out.max(0)]), loopjax.function([x], [out.sum(), out.sum(0)])
        values = np.random.default_rng(4).normal(size=(steps, *rows))
        expected = np.tanh(values) * values
        for one, other in zip(f(values), (expected.sum(0), expected.max(0)), strict=True):
            np.testing.assert_allclose(one, other)
        np.testing.assert_allclose(total(values)[0], expected.sum())
        assert ("in the carry" in str(loopjax.explain(f))) is alone
        f = loopjax.function([x], out.sum(0), mode=loopjax.Mode().excluding("small_loops"))
        np.testing.assert_allclose(f(values), expected.sum(0))
        assert ("in the carry" in str(loopjax.explain(f))) is apart
        gradient = loopjax.function([x], loopjax.grad(out.sum(), x))
        gradient(values)
        assert "in the carry" not in str(loopjax.explain(gradient))

    def test_temporaries_do_not_grow_with_steps(self):
        h, w = at.dvector("h"), at.dvector("w")
        sizes = []
        for steps in (100, 1000):
            out, _ = loopjax.scan(lambda h: at.sin(h), outputs_info=h, n_steps=steps)
            reads = [out.sum(0), out.mean(), out.max(0), out.argmin(0), out.prod(0), at.dot(w, out)]
            f = loopjax.function([h, w], reads)
            f(np.ones(500), np.ones(steps))
            sizes.append(temporaries(f))
        assert sizes[0] == sizes[1]

    def test_a_small_stack_for_logsumexp_stays(self):
        x, h, out = decay()
        f = loopjax.function([x, h], at.logsumexp(out, 0))
        rows, start = values()
        np.testing.assert_allclose(f(rows, start), log_sum_exp(stacked(rows, start)), rtol=1e-12)
        assert not loop(f).accumulators

    @pytest.mark.parametrize("shift", [-np.inf, -1000.0, 0.0, 1000.0, np.inf])
    def test_a_large_one_is_gathered_as_exactly(self, shift):
        x = at.dmatrix("x")
        f = loopjax.function([x], at.logsumexp(passed(x), 0), mode=UNPRUNED)
        rows, _ = values()
        rows[3:6, 0] = shift
        rows[0, 1] = rows[:, 2] = -np.inf
        with np.errstate(invalid="ignore", divide="ignore"):
            expected = np.logaddexp.reduce(rows, 0)
        with configured(FuseSizedReductions(least_logsumexp_bytes=0)):
            found = f(rows)
        np.testing.assert_allclose(found, expected, rtol=1e-14)
        assert loop(f).accumulators

    @pytest.mark.parametrize("checkpoint", [None, 4, "sqrt"])
    def test_gradients_of_sums_and_products(self, checkpoint):
        x, h, out = decay(checkpoint=checkpoint)
        w = at.dvector("w")
        cost = at.sin(out.sum(0)).sum() + (at.dot(w, out) ** 2).sum() + out.mean()
        f = loopjax.function([x, h, w], [cost, *loopjax.grad(cost, [x, h, w])])

        def reference(rows, start, weights):
            stack = stacked(rows, start)
            return np.sin(stack.sum(0)).sum() + ((weights @ stack) ** 2).sum() + stack.mean()

        given = [*values(), W]
        found = f(*given)
        np.testing.assert_allclose(found[0], reference(*given))
        for place, gradient in enumerate(found[1:]):
            for at_ in list(np.ndindex(given[place].shape))[:5]:
                ends = []
                for change in (1e-6, -1e-6):
                    moved = [one.copy() for one in given]
                    moved[place][at_] += change
                    ends.append(reference(*moved))
                np.testing.assert_allclose(np.asarray(gradient)[at_], (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-7)
        assert {fold.kind for fold in loop(f).accumulators} == {"sum"}

    def test_equal_extremes_share_a_gradient(self):
        x = at.dvector("x")
        f = loopjax.function([x], loopjax.grad(passed(x).max(), x))
        np.testing.assert_allclose(f(np.array([1.0, 2.0, 2.0, 2.0, 0.0])), [0, 1 / 3, 1 / 3, 1 / 3, 0])

    def test_a_sum_beside_its_gradient_keeps_no_stack(self):
        h = at.dvector("h")
        found = []
        for mode in (None, NONE):
            out, _ = loopjax.scan(lambda h: at.tanh(h), outputs_info=h, n_steps=100, checkpoint="sqrt")
            cost = out.sum()
            f = loopjax.function([h], [cost, loopjax.grad(cost, h)], mode=mode)
            f(np.ones(1000))
            found.append(temporaries(f) / 8000)
        assert found[0] < 35
        assert found[1] > 100

    def test_weights_of_a_truncated_loop_have_their_whole_gradient(self):
        x, w = at.dvector("x"), at.dvector("w")
        out, _ = loopjax.scan(
            lambda u, h: at.tanh(h * 0.5 + u), x, at.constant(0.3, dtype="float64"), truncate_gradient=2
        )
        slope, stack = loopjax.function([x, w], [loopjax.grad(at.dot(w, out), w), out])(np.ones(5), np.arange(5.0))
        np.testing.assert_allclose(slope, stack, rtol=1e-12)

    def test_a_product_of_two_loops_is_folded_into_one_of_them(self):
        x = at.dvector("x")
        start = at.constant(0.3, dtype="float64")
        h, _ = loopjax.scan(lambda u, h: at.tanh(h * 0.5 + u), x, start)
        g, _ = loopjax.scan(lambda u, h: at.tanh(h * 0.2 + u), x, start, go_backwards=True)
        value, one, other = loopjax.function([x], [at.dot(h, g), h, g], mode="FAST_COMPILE")(np.arange(7.0))
        alone = loopjax.function([x], at.dot(h, g))(np.arange(7.0))
        np.testing.assert_allclose([value, alone], np.dot(one, other), rtol=1e-12)

    def test_many_small_terms_add_up(self):
        a = at.fscalar("a")
        h, _ = loopjax.scan(lambda h: h * a, outputs_info=at.constant(np.float32(0.1)), n_steps=3_000_000)
        f = loopjax.function([a], [h.mean(), h.sum()])
        mean, total = f(np.float32(1))
        assert loop(f).accumulators
        np.testing.assert_allclose([mean, total], [0.1, 3e5], rtol=1e-6)


class TestLengthsThatOnlyTheRunKnows:
    def test_sums_and_single_steps_leave_the_stack(self):
        k = at.lscalar("k")
        h, outputs = power(k, [lambda o: o.sum(), lambda o: o.mean(), lambda o: o[3], lambda o: o[-1]])
        text = symbolically(symbolic(), [h, k], outputs)
        assert "keeps last 1, sum of 0, sum of 0, at of 0" in text
        assert "steps=value" in text

    def test_not_where_the_stack_is_read_anyway(self):
        k = at.lscalar("k")
        h, outputs = power(k, [lambda o: o.sum(), lambda o: o])
        assert "sum of" not in symbolically(symbolic(), [h, k], outputs)

    def test_axes_behind_the_steps_are_reduced_after(self):
        x, m = at.dmatrix("x"), at.dscalar("m")
        out, _ = loopjax.scan(lambda h: (h * 2, loopjax.until(h.sum() > m)), outputs_info=x, n_steps=30)
        f = loopjax.function([x, m], [out.sum(), out.sum((0, 2)), out.mean(), out.prod(0), out[1, 0], out[1][:, 1]])
        assert len(f.stages) == 1
        value = np.array([[1.0, 2.0], [0.5, 0.25]])
        rows = [value]
        while rows[-1].sum() <= 40:
            rows.append(rows[-1] * 2)
        stack = np.array(rows[1:] + [rows[-1] * 2])
        found = f(value, 40.0)
        expected = [stack.sum(), stack.sum((0, 2)), stack.mean(), stack.prod(0), stack[1, 0], stack[1][:, 1]]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_step_of_a_loop_of_conditions_is_read_from_the_carry() -> None:
    x = at.dscalar("x")
    out, _ = loopjax.scan(lambda: (x >= 1.5, loopjax.until(x >= 1.5)), n_steps=2)
    f = loopjax.function([x], [out[0], out[1]])
    assert [bool(value) for value in f(0.0)] == [False, False]
    assert loopjax.function([x], out[0])(2.0)
    with pytest.raises(IndexError, match="ran fewer steps; what is read needs 2"):
        f(2.0)


def test_before_and_after() -> None:
    x, h, w = float64("x", 4), float64("h"), float64("w", 4)
    out, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=h)
    assert text(sized_graph([x, h, w], [out.mean(), at.dot(w, out), out[-1]])) == lines("""
        input x : float64(4,)
        input h : float64()
        input w : float64(4,)
        %0 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps all](x, h) : float64(4,)
            input 0.x[t] : float64()
            input 0.h[t-1] : float64()
            %0.0 = mul(0.h[t-1], 0.x[t]) : float64()
            return %0.0
        %1 = mean[axis=(0,), dtype=float64, keepdims=False](%0) : float64()
        %2 = dot(w, %0) : float64()
        %3 = index[-1](%0) : float64()
        return %1, %2, %3""")
    assert text(after([FuseSizedReductions()], [x, h, w], [out.mean(), at.dot(w, out), out[-1]])) == lines("""
        input x : float64(4,)
        input h : float64()
        input w : float64(4,)
        %0 = scan 'scan'[steps=4, sequence[0], sequence[0], recurrence[-1] keeps all, map keeps last 0, sum of 0, sum of 1](x, w, h) : float64(4,), float64(0,), float64(), float64()
            input 0.x[t] : float64()
            input 0.in1 : float64()
            input 0.h[t-1] : float64()
            %0.0 = mul(0.h[t-1], 0.x[t]) : float64()
            %0.1 = mul(0.in1, %0.0) : float64()
            return %0.0, %0.1
        %1 = true_div(%0:2, 4.) : float64()
        %2 = index[-1](%0:0) : float64()
        return %1, %0:3, %2""")  # noqa: E501 - the line of the loop


@pytest.mark.parametrize(
    ("term", "fuses"),
    [(lambda h: (h @ MATRIX).sum(), False), (lambda h: (h * h).sum(), True)],
    ids=["product", "cheap"],
)
def test_terms_that_belong_after_the_loop_are_not_summed_in_it(term, fuses) -> None:
    """A sum of products: one product of all steps after the loop, and a sum of its result."""

    def step(u, h):
        h = at.tanh(h + u)
        return [h, term(h)]

    x, start = at.tensor("float64", shape=(8,), name="x"), at.zeros((2,), dtype="float64")
    (_, terms), _ = loopjax.scan(step, sequences=x, outputs_info=[start, None])
    assert rewrites(FuseSizedReductions(), [x], [terms.sum()]) == fuses
    assert rewrites(FuseSizedReductions(Target(without=frozenset({"loop_epilogue"}))), [x], [terms.sum()])


@pytest.mark.parametrize(
    ("limits", "fuses"), [({"least_logsumexp_bytes": 32}, True), ({"least_logsumexp_bytes": 33}, False)]
)
def test_logsumexp_by_size(limits, fuses) -> None:
    x, h = float64("x", 4), float64("h")
    out, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=h)
    assert rewrites(FuseSizedReductions(**limits), [x, h], [at.logsumexp(out)]) is fuses
    assert rewrites(FuseSizedReductions(**limits), [x, h], [out.max()])


@pytest.mark.parametrize(
    ("step", "fuses"),
    [
        (FuseSizedReductions(most_scalar_steps=4), True),
        (FuseSizedReductions(most_scalar_steps=3), False),
        (FuseSizedReductions(Target("gpu")), False),
        (FuseSizedReductions(Target(derivative="forward")), False),
    ],
)
def test_scalars_without_recurrence(step, fuses) -> None:
    x = float64("x", 4)
    out, _ = loopjax.scan(lambda x: x * x, sequences=x)
    assert rewrites(step, [x], [out.sum()]) is fuses


@pytest.mark.parametrize(("rows", "fuses"), [(2, True), (3, False)])
def test_other_readers_need_half_of_the_steps_at_most(rows, fuses) -> None:
    x, h = float64("x", 4), float64("h")
    out, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=h)
    assert rewrites(FuseSizedReductions(), [x, h], [out.sum(), out[:rows]]) is fuses


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all", "argmax", "argmin"])
def test_under_a_derivative_only_what_needs_no_steps(name) -> None:
    x, h = float64("x", 4), float64("h")
    out, _ = loopjax.scan(lambda x, h: h * x, sequences=x, outputs_info=h)
    step = FuseSizedReductions(Target(derivative="reverse"))
    assert rewrites(step, [x, h], [getattr(at, name)(out, axis=0)]) is (name not in ("prod", "max", "min"))


@pytest.mark.parametrize(("steps", "fuses"), [(2**22, True), (2**22 - 1, False)])
def test_logsumexp_by_default(steps, fuses) -> None:
    h = float64("h")
    out, _ = loopjax.scan(lambda h: h * h, outputs_info=h, n_steps=steps)
    assert rewrites(FuseSizedReductions(), [h], [at.logsumexp(out)]) is fuses


@pytest.mark.parametrize(("steps", "fuses"), [(10_000, True), (10_001, False)])
def test_scalars_without_recurrence_by_default(steps, fuses) -> None:
    x = float64("x", steps)
    out, _ = loopjax.scan(lambda x: x * x, sequences=x)
    assert rewrites(FuseSizedReductions(), [x], [out.sum()]) is fuses


@pytest.mark.parametrize(
    ("step", "fuses"),
    [(lambda x: at.tanh(x[np.arange(32)[::-1]]), True), (lambda x: x - x.mean(), False), (lambda x: 2.0 * x, True)],
)
def test_arrays_without_recurrence_whose_elements_move(step, fuses) -> None:
    x = at.TensorType("float64", (9, 32))("x")
    out, _ = loopjax.scan(step, sequences=x)
    assert rewrites(FuseSizedReductions(), [x], [out.sum(0)]) is fuses


def test_what_no_step_changes_is_not_summed_step_by_step() -> None:
    x = at.TensorType("float64", (32,))("x")
    out, _ = loopjax.scan(lambda x: 2.0 * x, non_sequences=x, n_steps=9)
    assert not rewrites(FuseSizedReductions(), [x], [out.sum(0)])


def counted(k, x):
    return loopjax.scan(lambda h: h * 2, outputs_info=x, n_steps=k)[0]


def mapped(k, x):
    return loopjax.scan(lambda x: x * 2, non_sequences=x, n_steps=k)[0]


def stopped(k, x):
    return loopjax.scan(lambda h: (h * 2, loopjax.until(h > 9)), outputs_info=x, n_steps=50)[0]


@pytest.mark.parametrize(
    ("loop", "read", "under_gradient", "fuses"),
    [
        (counted, at.sum, False, True),
        (counted, at.max, False, True),
        (counted, at.sum, True, False),
        (mapped, at.sum, False, False),
        (stopped, at.sum, False, True),
        (stopped, at.sum, True, True),
        (stopped, at.max, False, True),
        (stopped, at.max, True, False),
    ],
)
def test_which_loops_of_unknown_length(loop, read, under_gradient, fuses) -> None:
    """In reverse mode loops run as compiled, unless ``until`` ends them, and equal extremes share a gradient."""
    k, x = at.lscalar("k"), at.dscalar("x")
    cost = read(loop(k, x))
    found = symbolically(
        [FormDifferentiatedRegions(), FuseReductions()], [k, x], [loopjax.grad(cost, x) if under_gradient else cost]
    )
    assert (f"{read.__name__} of 0" in found) is fuses


def test_which_loops_of_a_body() -> None:
    """There also loops without recurrence, and in reverse mode."""

    def outer(k, h):
        return h + mapped(k, h).sum()

    ks, x = at.lvector("ks"), at.dscalar("x")
    out, _ = loopjax.scan(outer, sequences=ks, outputs_info=x)
    passes = [FormDifferentiatedRegions(), FuseReductions()]
    assert "sum of 0" in symbolically(passes, [ks, x], [out[-1]])
    assert "sum of 0" in symbolically(passes, [ks, x], [loopjax.grad(out[-1], x)])


@pytest.mark.parametrize(
    ("kind", "differentiated", "fused"),
    [
        ("sum", False, True),
        ("mean", True, True),
        ("all axes", True, True),
        ("prod", False, True),
        ("prod", True, False),
        ("max", False, True),
        ("dot", False, False),
    ],
)
def test_steps_of_a_padded_loop_that_ran(kind, differentiated, fused) -> None:
    """A mask with the identity of the reduction says that only those count."""
    x, w, a = at.dmatrix("x"), at.dvector("w"), at.dscalar("a")
    out, _ = loopjax.scan(lambda u, h: at.tanh(a * h + u), x, at.zeros(2, dtype="float64"))
    found = REDUCTIONS[kind][0](out, w)
    outputs = [found, *(loopjax.grad(found.sum(), [a, x]) if differentiated else ())]
    options = {"on_unused_input": "ignore"}
    f, g = (loopjax.function([x, w, a], outputs, lengths=lengths, **options) for lengths in ("padded", "exact"))
    for n in (5, 7, 1, 12):
        arguments = np.random.default_rng(n).normal(size=(n, 2)), np.arange(float(n)), 0.5
        for one, other in zip(f(*arguments), g(*arguments), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    assert ("in the carry, not from a stack" in str(loopjax.explain(f))) is fused
