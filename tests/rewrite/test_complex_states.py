"""Two states whose next values share work are one complex state: values, and which states."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.complex_states import PairComplexStates
from tests.rewrite.sized import after, float64, lines, rewrites, scans, sized_graph, text

N, STEPS = 20, 30
RNG = np.random.default_rng(7)
X, V = at.dvector("x"), at.dvector("v")
VALUES = [RNG.normal(size=N) for _ in "xv"]


def step(x, v):
    """Middle point: a quarter of it is shared by both."""
    a = (1 - x**2) * v - x
    middle = x + 0.05 * v, v + 0.05 * a
    return x + 0.1 * middle[1], v + 0.1 * ((1 - middle[0] ** 2) * middle[1] - middle[0])


def reference(step, *states, steps=STEPS):
    found = [states]
    for _ in range(steps):
        found.append(step(*found[-1]))
    return [np.array(one) for one in zip(*found[1:], strict=True)]


def complex_states(f):
    """How many complex states the loops of a program have."""
    ops = scans(f.stages[0].programs[-1].graph)
    return sum(value.dtype.startswith("complex") for op in ops for value in op.body.outputs)


def program(step, read=lambda x, v: [x[-1], v[-1]], states=(X, V), values=None, n_steps=STEPS):
    out, _ = loopjax.scan(step, outputs_info=list(states), n_steps=n_steps)
    f = loopjax.function(list(states), read(*out))
    return f, f(*(VALUES if values is None else values))


class TestValues:
    def test_both_parts_are_read(self):
        f, found = program(step)
        for one, expected in zip(found, reference(step, *VALUES), strict=True):
            np.testing.assert_allclose(one, expected[-1], rtol=1e-13)
            assert one.dtype == "float64"
        assert complex_states(f) == 1
        assert "x and v are the parts of one complex state" in str(loopjax.explain(f))

    @pytest.mark.parametrize("part", [0, 1])
    def test_one_part_is_read(self, part):
        f, found = program(step, lambda x, v: (x, v)[part][-1])
        np.testing.assert_allclose(found, reference(step, *VALUES)[part][-1], rtol=1e-13)
        assert complex_states(f) == 1

    def test_some_last_rows(self):
        f, found = program(step, lambda x, v: [x[-3:], v[-3:]])
        for one, expected in zip(found, reference(step, *VALUES), strict=True):
            np.testing.assert_allclose(one, expected[-3:], rtol=1e-13)
        assert complex_states(f) == 1

    def test_infinities_and_no_numbers_stay_in_their_element(self):
        values = [one.copy() for one in VALUES]
        values[0][3], values[1][4] = np.inf, np.nan
        found = program(step, values=values)[1]
        with np.errstate(invalid="ignore"):
            expected = reference(step, *values)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other[-1], rtol=1e-13)

    def test_float32_rows_and_numbers(self):
        x, v, u = at.fmatrix("x"), at.fmatrix("v"), at.ftensor3("u")
        values = [RNG.normal(size=shape).astype("float32") for shape in ((4, 5), (4, 5), (STEPS, 4, 5))]
        out, _ = loopjax.scan(
            lambda u, x, v: step(x, v + at.cast(0.1, "float32") * u), sequences=u, outputs_info=[x, v]
        )
        f = loopjax.function([x, v, u], [at.cast(one[-1], "float32") for one in out])
        found = f(*values)
        now = values[:2]
        for row in values[2]:
            now = step(now[0], now[1] + np.float32(0.1) * row)
        for one, expected in zip(found, now, strict=True):
            np.testing.assert_allclose(one, expected, rtol=2e-4, atol=1e-5)
        assert complex_states(f) == 1

    def test_of_three_states_those_that_share_most(self):
        def lorenz(x, y, z):
            turn = (x * y - z) * (x + 0.3) + y
            return x + 0.01 * (y - x), y + 0.01 * turn, z + 0.01 * turn * z

        w = at.dvector("w")
        out, _ = loopjax.scan(lorenz, outputs_info=[X, V, w], n_steps=STEPS)
        f = loopjax.function([X, V, w], [one[-1] for one in out])
        values = [*VALUES, RNG.normal(size=N)]
        for one, expected in zip(f(*values), reference(lorenz, *values), strict=True):
            np.testing.assert_allclose(one, expected[-1], rtol=1e-12)
        assert complex_states(f) == 1
        assert "v and w are the parts" in str(loopjax.explain(f))

    def test_four_states_are_two_pairs(self):
        w, u = at.dvector("w"), at.dvector("u")
        both = lambda x, v, w, u: (*step(x, v), *step(w, u))  # noqa: E731
        out, _ = loopjax.scan(both, outputs_info=[X, V, w, u], n_steps=STEPS)
        f = loopjax.function([X, V, w, u], [one[-1] for one in out])
        values = [*VALUES, *(RNG.normal(size=N) for _ in "wu")]
        for one, expected in zip(f(*values), reference(both, *values), strict=True):
            np.testing.assert_allclose(one, expected[-1], rtol=1e-13)
        assert complex_states(f) == 2

    def test_a_length_that_is_a_value(self):
        k = at.iscalar("k")
        out, _ = loopjax.scan(step, outputs_info=[X, V], n_steps=k)
        f = loopjax.function([X, V, k], [one[-1] for one in out])
        for steps in (1, 2, 30):
            for one, expected in zip(f(*VALUES, steps), reference(step, *VALUES, steps=steps), strict=True):
                np.testing.assert_allclose(one, expected[-1], rtol=1e-13)
        assert complex_states(f) == 1

    def test_in_an_inner_loop_beside_a_state_that_nobody_reads(self):
        def outer(h):
            states, _ = loopjax.scan(step, outputs_info=[h, 0.5 * h], n_steps=STEPS)
            return states[1][-1]

        h, _ = loopjax.scan(outer, outputs_info=X, n_steps=2)
        f = loopjax.function([X], h[-1])
        now = VALUES[0]
        for _ in range(2):
            now = reference(step, now, 0.5 * now)[1][-1]
        np.testing.assert_allclose(f(VALUES[0]), now, rtol=1e-12)
        assert complex_states(f) == 1


class TestWhich:
    def test_by_size(self):
        assert complex_states(program(step, values=[one[:16] for one in VALUES])[0]) == 1
        assert complex_states(program(step, values=[one[:15] for one in VALUES])[0]) == 0
        assert complex_states(program(step, n_steps=16)[0]) == 1
        assert complex_states(program(step, n_steps=15)[0]) == 0

    def test_not_where_little_is_shared(self):
        f, _ = program(lambda x, v: (x - 0.1 * (w := v + 0.1 * x), w))
        assert complex_states(f) == 0

    def test_not_with_functions_that_are_not_vectorised(self):
        f, _ = program(lambda x, v: step(at.tanh(x), v))
        assert complex_states(f) == 0

    def test_not_where_steps_are_stacked_or_summed(self):
        assert complex_states(program(step, lambda x, v: [x, v[-1]])[0]) == 0
        assert complex_states(program(step, lambda x, v: [x.sum(axis=0), v[-1]])[0]) == 0

    def test_not_under_a_derivative(self):
        f, found = program(step, lambda x, v: loopjax.grad((x[-1] * v[-1]).sum(), X))
        assert complex_states(f) == 0
        assert np.isfinite(found).all()

    def test_not_where_threads_would_share_it_alone(self):
        """The kernel of both is so large that threads share it, those of each are not."""

        def many(x, v):
            for _ in range(4):
                x, v = step(x, v)
            return x, v

        for n, pairs in ((800, True), (950, False), (2_000, True)):
            values = [RNG.normal(size=n).astype("float32") * np.float32(0.1) for _ in "xv"]
            f, _ = program(many, states=(at.fvector("x"), at.fvector("v")), values=values)
            assert (complex_states(f) > 0) == pairs, n

    def test_left_out_by_name(self):
        out, _ = loopjax.scan(step, outputs_info=[X, V], n_steps=STEPS)
        f = loopjax.function([X, V], out[0][-1], mode=loopjax.Mode().excluding("complex_states"))
        f(*VALUES)
        assert complex_states(f) == 0


def test_before_and_after() -> None:
    p, q = float64("p", 2), float64("q", 2)
    (p_all, q_all), _ = loopjax.scan(lambda p, q: (p * q + p, p * q + q), outputs_info=[p, q], n_steps=3)
    assert text(sized_graph([p, q], [p_all[-1], q_all[-1]])) == lines("""
        input p : float64(2,)
        input q : float64(2,)
        %0 = scan 'scan'[steps=3, recurrence[-1] keeps last 1, recurrence[-1] keeps last 1](p, q) : float64(1, 2), float64(1, 2)
            input 0.p[t-1] : float64(2,)
            input 0.q[t-1] : float64(2,)
            %0.0 = mul(0.p[t-1], 0.q[t-1]) : float64(2,)
            %0.1 = add(%0.0, 0.p[t-1]) : float64(2,)
            %0.2 = add(%0.0, 0.q[t-1]) : float64(2,)
            return %0.1, %0.2
        %1 = index[-1, :](%0:0) : float64(2,)
        %2 = index[-1, :](%0:1) : float64(2,)
        return %1, %2""")  # noqa: E501 - the line of the loop
    assert text(
        after([PairComplexStates(least_values=2, least_shared=1, least_steps=3)], [p, q], [p_all[-1], q_all[-1]])
    ) == lines("""
        input p : float64(2,)
        input q : float64(2,)
        %0 = complex(p, q) : complex128(2,)
        %1 = scan 'scan'[steps=3, recurrence[-1] keeps last 1](%0) : complex128(1, 2)
            input 1.in0 : complex128(2,)
            %1.0 = real(1.in0) : float64(2,)
            %1.1 = imag(1.in0) : float64(2,)
            %1.2 = mul(%1.0, %1.1) : float64(2,)
            %1.3 = add(%1.2, %1.0) : float64(2,)
            %1.4 = add(%1.2, %1.1) : float64(2,)
            %1.5 = complex(%1.3, %1.4) : complex128(2,)
            return %1.5
        %2 = real(%1) : float64(1, 2)
        %3 = index[-1, :](%2) : float64(2,)
        %4 = imag(%1) : float64(1, 2)
        %5 = index[-1, :](%4) : float64(2,)
        return %3, %5""")


@pytest.mark.parametrize(
    ("limits", "pairs"),
    [
        ({}, True),
        ({"least_values": 3}, False),
        ({"least_shared": 2}, False),
        ({"least_steps": 4}, False),
        ({"most_states": 1}, False),
    ],
)
def test_limits(limits, pairs) -> None:
    p, q = float64("p", 2), float64("q", 2)
    (p_all, q_all), _ = loopjax.scan(lambda p, q: (p * q + p, p * q + q), outputs_info=[p, q], n_steps=3)
    step = PairComplexStates(**{"least_values": 2, "least_shared": 1, "least_steps": 3, "most_states": 2, **limits})
    assert rewrites(step, [p, q], [p_all[-1], q_all[-1]]) is pairs


def sharing(states=2, step=None, read=lambda out: out[-1], **options):
    """True where states that share one op are paired."""
    inputs = [float64(f"h{number}", 2) for number in range(states)]

    def together(*h):
        shared = h[0] * h[1]
        return [shared + one for one in h]

    outs, _ = loopjax.scan(step or together, outputs_info=inputs, **{"n_steps": 16, **options})
    limited = PairComplexStates(least_values=2, least_shared=1)
    return rewrites(limited, inputs, [read(out) for out in (outs if states > 1 else [outs])])


@pytest.mark.parametrize(
    ("case", "pairs"),
    [
        ({}, True),
        ({"states": 8}, True),
        ({"states": 9}, False),
        ({"n_steps": 15}, False),
        ({"progress": True}, False),
        ({"read": lambda out: out}, False),
        ({"read": lambda out: out[-2:]}, True),
        ({"read": lambda out: out.shape[0]}, False),
        ({"step": lambda a, b: [at.exp(a * b) + a, at.exp(a * b) + b]}, False),
        ({"step": lambda a, b: ([a * b + a, a * b + b], loopjax.until(a[0] > 1))}, False),
    ],
    ids=[
        "two",
        "eight",
        "nine",
        "few steps",
        "progress",
        "stacked",
        "two last rows",
        "nothing read",
        "not cheap",
        "until",
    ],
)
def test_which(case, pairs) -> None:
    assert sharing(**case) is pairs


def test_states_that_share_most_are_paired_first() -> None:
    def step(a, b, c):
        little, much = b * c, a * b + a - b
        return much + a, much + b + little, c + little

    inputs = [float64(name, 2) for name in "abc"]
    outs, _ = loopjax.scan(step, outputs_info=inputs, n_steps=16)
    graph = after([PairComplexStates(least_values=2, least_shared=1)], inputs, [out[-1] for out in outs])
    (op,) = scans(graph)
    assert [note.split(" are ")[0] for note in op.notes] == ["complex_states: a and b"]
