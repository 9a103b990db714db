"""Linear recurrences: which bodies are recognised, and that a parallel scan of them computes the same."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.types import TensorType
from loopjax.rewrite.linear_recurrence import FindLinearRecurrences
from loopjax.rewrite.target import Target
from tests.planned import planned_for
from tests.rewrite.sized import after, lines, scans, sized_graph, text

STEPS = 41
REASSOCIATE = loopjax.Mode(reassociate=True)
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.normal(size=shape)


def integers(*shape):
    return RNG.integers(-5, 6, size=shape)


def inputs(values, name):
    return [TensorType(v.dtype.name, (None,) * v.ndim)(f"{name}{i}") for i, v in enumerate(values)]


def program(step, sequences, initials, n_maps=0, read=lambda outputs: outputs):
    xs, hs = inputs(sequences, "x"), inputs(initials, "h")
    outputs, _ = loopjax.scan(step, sequences=xs, outputs_info=[*hs, *[None] * n_maps], return_list=True)
    return [*xs, *hs], read(outputs)


def with_loops(f, *values):
    """Results of a call, and the loops of the program that gave them."""
    found = [np.asarray(value) for value in f(*values)]
    return found, scans(f.stages[-1].programs[-1].graph)


def both(variables, outputs, values, mode=REASSOCIATE):
    """Results step by step and in parallel, and the last loop of the latter."""
    found = []
    for backend in ("cpu", "gpu"):
        with planned_for(backend):
            found.append(with_loops(loopjax.function(variables, outputs, mode=mode, lengths="exact"), *values))
    (expected, (*_, before)), (got, (*_, loop)) = found
    assert before.plan.kind != "associative"
    return got, expected, loop


Z, X, Y, A = RNG.uniform(0.1, 0.9, (STEPS, 3)), normal(STEPS, 3), normal(STEPS, 3), 0.4 * normal(STEPS, 3, 3)
M, W = normal(STEPS, 2, 3), normal(STEPS, 3, 2)
V, H, G = normal(3), normal(2, 3), normal(3, 2)

FLOATS = {
    "average": (lambda z, x, h: (1 - z) * h + z * x, [Z, X], [V], ["add and mul"]),
    "minus": (lambda z, x, h: h * z - x, [Z, X], [V], ["add and mul"]),
    "from": (lambda z, x, h: x - h / z, [1 + Z, X], [V], ["add and mul"]),
    "twice": (lambda z, x, h: z * (h + x) - 0.5 * (h - x), [Z, X], [V], ["add and mul"]),
    "scalar": (lambda z, x, h: z * h + x, [Z[:, 0], X], [V], ["add and mul"]),
    "sum": (lambda x, h: h + x, [X], [V], ["add"]),
    "product": (lambda z, h: -h * z, [Z], [V], ["mul"]),
    "masked": (lambda x, h: at.switch(x > 0, 0.5 * h + x, h), [X], [V], ["add and mul"]),
    "max plus": (lambda x, y, h: at.maximum(x + h, y), [X, Y], [V], ["maximum and add"]),
    "min plus": (lambda x, y, h: at.minimum(h - x, at.minimum(y, h)), [X, Y], [V], ["minimum and add"]),
    "masked max plus": (lambda x, y, h: at.switch(x > 0, at.maximum(x + h, y), h), [X, Y], [V], ["maximum and add"]),
    "log": (lambda x, y, h: at.logaddexp(x + h, y), [X, Y], [V], ["logaddexp and add"]),
    "clip": (lambda x, y, h: at.maximum(at.minimum(h, x), y), [X, Y], [V], ["maximum and minimum"]),
    "matrix": (lambda a, x, h: h @ a + x, [A, X], [V], ["products of matrices"]),
    "matrix left": (lambda a, x, h: a @ h - x, [A, X], [V], ["products of matrices"]),
    "rows": (lambda a, x, h: (x - h @ a) * x[0] + h * 0.1 - h, [A, M], [H], ["products of matrices"]),
    "columns": (lambda a, x, h: (a @ h - x) * 0.5 + h * 0.1, [A, W], [G], ["products of matrices"]),
    "gated": (lambda a, x, y, h: (h @ a) * y + x, [A, X, Y], [V], ["products of matrices"]),
    "gated left": (lambda a, x, y, h: (a @ h) * y + x, [A, X, Y], [V], ["products of matrices"]),
    "one reads another": (lambda x, h, g: [0.5 * h + x, 0.3 * g + at.sin(h)], [X], [V, V], ["add and mul"] * 2),
    "one is another": (lambda x, h, g: [0.5 * h + x, h * x], [X], [V, V], ["add and mul", "all steps at once"]),
}

EXACT = {
    "integers": (lambda x, y, h: h * x - y, [integers(STEPS, 3), integers(STEPS, 3)], [integers(3)], ["add and mul"]),
    "or": (lambda x, h: h | x, [integers(STEPS, 3)], [integers(3)], ["or_"]),
    "and": (lambda x, h: h & x, [integers(STEPS, 3)], [integers(3)], ["and_"]),
    "xor": (lambda x, h: ~(h ^ x), [integers(STEPS, 3)], [integers(3)], ["xor"]),
    "logic": (lambda x, y, h: at.or_(at.and_(h, x), y), [X > 0, Y > 0], [V > 0], None),
    "not": (lambda x, y, h: at.switch(x, at.logical_not(h), at.logical_xor(h, y)), [X > 0, Y > 0], [V > 0], None),
    "greatest": (lambda x, h: at.maximum(h, x), [X], [V], ["maximum"]),
    "least": (lambda x, h: at.minimum(h, x), [X], [V], ["minimum"]),
}

NOT = {
    "tanh": (lambda x, h: at.tanh(h) + x, [X], [V]),
    "square": (lambda x, h: 0.1 * h * h + x, [X], [V]),
    "divisor": (lambda x, h: x / (2 + h * h), [X], [V]),
    "coupled": (lambda x, h, g: [0.5 * h + g + x, 0.3 * g + h], [X], [V, V]),
    "its sum": (lambda x, h: h + x * h.sum() * 0.1, [X], [V]),
    "both sides": (lambda a, x, h: a @ h @ a + x, [A, A], [normal(3, 3)]),
    "condition": (lambda x, h: at.switch(h > 0, h * 0.5, h + x), [X], [V]),
    "two back": (lambda x, h: h + x, [X], None),
}


@pytest.mark.parametrize("name", FLOATS)
def test_floats_where_rounding_may_change(name):
    step, sequences, initials, kinds = FLOATS[name]
    variables, outputs = program(step, sequences, initials)
    cost = sum(at.sin(output).sum() for output in outputs)
    outputs = (
        [*outputs, *loopjax.grad(cost, variables, disconnected_inputs="ignore")]
        if name not in ("max plus", "min plus")
        else outputs
    )
    mode = REASSOCIATE.excluding("scan_cse", "licm", "dce")  # which would make a state whose past nobody reads none
    got, expected, loop = both(variables, outputs, [*sequences, *initials], mode)
    assert loop.plan.kind == "associative"
    assert [one.kind for one in loop.linear] == kinds
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", EXACT)
def test_what_is_exact_always(name):
    step, sequences, initials, kinds = EXACT[name]
    variables, outputs = program(step, sequences, initials)
    got, expected, loop = both(variables, outputs, [*sequences, *initials], loopjax.Mode())
    assert loop.plan.kind == "associative"
    assert kinds is None or [one.kind for one in loop.linear] == kinds
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", NOT)
def test_what_is_not_linear(name):
    step, sequences, initials = NOT[name]
    if initials is None:
        x, start = at.dmatrix("x"), at.dmatrix("start")
        out, _ = loopjax.scan(step, sequences=x, outputs_info={"initial": start, "taps": [-2]})
        f, values = loopjax.function([x, start], [out], mode=REASSOCIATE), [X, normal(2, 3)]
    else:
        variables, outputs = program(step, sequences, initials)
        f, values = loopjax.function(variables, outputs, mode=REASSOCIATE), [*sequences, *initials]
    with planned_for("gpu"):
        assert with_loops(f, *values)[1][0].plan.kind != "associative"


def kind_on(backend, mode, steps=STEPS, gradient=False, step=None):
    variables, (out,) = program(step or (lambda x, h: h + x), [X], [V])
    outputs = loopjax.grad(out[-1].sum(), variables) if gradient else [out]
    with planned_for(backend):
        return with_loops(loopjax.function(variables, outputs, mode=mode, lengths="exact"), X[:steps], V)[1][
            0
        ].plan.kind


def test_where_it_is_done():
    assert kind_on("gpu", REASSOCIATE) == "associative"
    assert kind_on("cpu", REASSOCIATE) == "counted"
    assert kind_on("gpu", loopjax.Mode()) == "scan"
    assert kind_on("gpu", REASSOCIATE.excluding("linear_recurrence")) == "scan"
    assert kind_on("gpu", REASSOCIATE, steps=8) == "scan"


def test_equal_extremes_share_their_gradient_in_order():
    def greatest(x, h):
        return at.maximum(h, x)

    assert kind_on("gpu", loopjax.Mode(), step=greatest) == "associative"
    assert kind_on("gpu", loopjax.Mode(), step=greatest, gradient=True) == "scan"


READS = {
    "last": lambda outputs: [output[-1] for output in outputs],
    "last two": lambda outputs: [output[-2:] for output in outputs],
    "sum": lambda outputs: [output.sum(0) for output in outputs],
    "one": lambda outputs: [output[3] for output in outputs],
}


@pytest.mark.parametrize(
    ("read", "steps", "n_maps"),
    [*((read, 41, n_maps) for read in READS for n_maps in (0, 1)), ("last", 32, 0), ("sum", 32, 1)],
)
def test_what_is_read(read, steps, n_maps):
    def step(a, x, h):
        after = h @ a + x
        return [after, at.tanh(h) * x] if n_maps else after

    variables, outputs = program(step, [A, X], [V], n_maps, READS[read])
    mode = REASSOCIATE.excluding("saved_windows")  # which would leave too few steps
    got, expected, loop = both(variables, outputs, [A[:steps], X[:steps], V], mode)
    assert loop.plan.kind == "associative"
    assert loop.linear[0].last == (read == "last" and not n_maps)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_draws_and_directions_are_the_same():
    stream = at.random.RandomStream(3)
    x, h = at.dmatrix("x"), at.dvector("h")
    out, _ = loopjax.scan(
        lambda x, h: 0.5 * h + x * stream.normal(size=(3,), dtype="float64"),
        sequences=x,
        outputs_info=h,
        go_backwards=True,
    )
    got, expected, loop = both([x, h], [out], [X, V])
    assert loop.plan.kind == "associative"
    np.testing.assert_allclose(got[0], expected[0], rtol=1e-12)


def test_it_is_no_loop():
    variables, outputs = program(*FLOATS["average"][:3])
    f = loopjax.function(variables, outputs, mode=REASSOCIATE, lengths="exact")
    with planned_for("gpu"):
        assert " while(" not in f.lower(Z, X, V).compile().as_text()


def test_a_switch_that_forgets_floats_is_no_linear_recurrence():
    """Nothing times NaN is NaN, which the steps one after the other would forget."""
    x = np.where(np.arange(STEPS) == 10, np.nan, 1.0)[:, None] * np.ones(3)
    resets = (np.arange(STEPS) % 20 == 0)[:, None] & np.ones(3, bool)
    variables, outputs = program(lambda x, r, h: at.switch(r, x, at.maximum(h, x)), [x, resets], [V])
    got, expected, loop = both(variables, outputs, [x, resets, V])
    assert loop.plan.kind != "associative"
    np.testing.assert_array_equal(got[0], expected[0])


@pytest.mark.parametrize("count", [0, 1, 40, 50])
def test_a_number_of_steps_that_is_a_value(count):
    """All steps that there is room for are computed; what is read is that of those that there are."""
    n = at.iscalar("n")
    out, _ = loopjax.scan(lambda k, h: h + k, sequences=at.arange(n), outputs_info=at.constant(np.int64(3)))
    f = loopjax.function([n], [out, out.sum()], lengths="padded")
    with planned_for("gpu"):
        found = f(np.int32(count))
    expected = 3 + np.cumsum(np.arange(count))
    np.testing.assert_array_equal(found[0], expected)
    assert int(found[1]) == expected.sum()
    if count > 1:
        assert "associative" in [loop.plan.kind for loop in loopjax.explain(f).loops]
        with jax.enable_x64(True):
            rows = np.asarray(f.stages[-1].programs[-1].call(np.int32(count))[0])
        assert len(rows) > count
        np.testing.assert_array_equal(rows[count:], 0)


class TestAsText:
    GPU = Target("gpu", reassociate=True)

    def program(self, steps=40, step=lambda x, h: h * 0.5 + x - h, read=lambda out: out):
        x, h = TensorType("float64", (steps, 3))("x"), TensorType("float64", (3,))("h")
        out, _ = loopjax.scan(step, sequences=x, outputs_info=h)
        return [x, h], [read(out)]

    def test_before_and_after(self):
        """The coefficients are a region of the loop; its body stays."""
        before = text(sized_graph(*self.program()))
        assert before == lines("""
            input x : float64(40, 3)
            input h : float64(3,)
            %0 = scan 'scan'[steps=40, sequence[0], recurrence[-1] keeps all](x, h) : float64(40, 3)
                input 0.x[t] : float64(3,)
                input 0.h[t-1] : float64(3,)
                %0.0 = mul(0.h[t-1], 0.5) : float64(3,)
                %0.1 = add(%0.0, 0.x[t]) : float64(3,)
                %0.2 = sub(%0.1, 0.h[t-1]) : float64(3,)
                return %0.2
            return %0""")
        found = text(after([FindLinearRecurrences(self.GPU)], *self.program()))
        marked = before.replace("keeps all]", "keeps all, h by add and mul]").removesuffix("return %0")
        assert found == marked + lines("""
                input 0.x[t] : float64(3,)
                input 0.h[t-1] : float64(3,)
                %0.0 = neg(1.) : float64()
                %0.1 = add(0.5, %0.0) : float64()
                return %0.1, 0.x[t]
            return %0""")

    def linear(self, target=None, program=None, **thresholds):
        found = after([FindLinearRecurrences(target or self.GPU, **thresholds)], *(program or self.program()))
        return scans(found)[0].linear

    def test_thresholds(self):
        touched = 40 * 8 * 3 * 3  # of 40 steps: a row, a past value and a new one
        assert self.linear(least_steps=40)
        assert not self.linear(least_steps=41)
        assert self.linear(most_bytes=touched)
        assert not self.linear(most_bytes=touched - 1)
        matrix = self.program(step=lambda x, h: at.dot(h, at.outer(x, x)))
        assert self.linear(program=matrix, most_units=3)
        assert not self.linear(program=matrix, most_units=2)

    def test_targets(self):
        assert not self.linear(Target("cpu", reassociate=True))
        assert not self.linear(Target("gpu"))
        greatest = self.program(step=lambda x, h: at.maximum(h, x))
        assert self.linear(Target("gpu"), greatest)
        assert not self.linear(Target("gpu", derivative="reverse"), greatest)

    def test_only_the_last_value(self):
        ends = [self.linear(program=self.program(read=read))[0].last for read in (lambda o: o, lambda o: o[-1])]
        assert ends == [False, True]
