"""Minibatches of different lengths: each example as it is alone, whatever follows it in its padding."""

import functools

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax import Packed, foldl, foldr, function, grad, reduce, scan, until
from loopjax.errors import UnsupportedError
from tests.compilations import Counting
from tests.differences import differences

ROWS, BATCH, UNITS = 7, 5, 3
LENGTHS = [[3, 7, 0, 1, 4], [0, 0, 0, 0, 2], [7] * 5, [0] * 5]
FORMS = [pytest.param(lambda v: v, id="apart"), pytest.param(Packed, id="packed")]
DIRECTIONS = [pytest.param(False, id="forwards"), pytest.param(True, id="backwards")]


@pytest.fixture(autouse=True)
def in_double(monkeypatch):
    monkeypatch.setattr(loopjax.config, "floatX", "float64")


def inputs(seed=0):
    rng = np.random.default_rng(seed)
    shapes = [(ROWS, BATCH, UNITS), (BATCH, UNITS), (UNITS, UNITS)]
    return [rng.normal(size=shape) * 0.7 for shape in shapes]


def padded(x, lengths, span=0, value=np.nan):
    """``x`` with garbage behind what each example reads, everywhere for one without steps."""
    x = x.copy()
    for example, count in enumerate(lengths):
        x[count + span if count else 0 :, example] = value
    return x


def variables():
    return at.dtensor3("x"), at.dmatrix("h0"), at.dmatrix("W"), at.lvector("v")


def rnn(W):
    return lambda x, h: at.tanh(x + at.dot(h, W))


def alone(x, h0, W, lengths, backwards=False, rows=None):
    """All outputs and last states, one example at a time, in NumPy."""
    rows = max(lengths) if rows is None else rows
    out, last = np.zeros((rows, *h0.shape)), h0.copy()
    for example, count in enumerate(lengths):
        for t in range(count)[::-1] if backwards else range(count):
            last[example] = np.tanh(x[t, example] + last[example] @ W)
            out[rows - 1 - t if backwards else t, example] = last[example]
    return out, last


@pytest.mark.parametrize("backwards", DIRECTIONS)
@pytest.mark.parametrize("form", FORMS)
def test_values_and_gradients_are_those_of_each_example_alone(form, backwards):
    x, h0, W, v = variables()
    out, _ = scan(rnn(W), x, h0, lengths=form(v), go_backwards=backwards)
    last, _ = reduce(rnn(W), x, h0, lengths=form(v), go_backwards=backwards)
    f = function([x, h0, W, v], [out, last, *grad((out**2).sum() + (last**3).sum(), [x, h0, W])])
    arrays = inputs()
    for lengths in LENGTHS:

        def cost(*arrays, lengths=lengths):
            out, last = alone(*arrays, lengths, backwards)
            return (out**2).sum() + (last**3).sum()

        found = f(padded(arrays[0], lengths), *arrays[1:], lengths)
        expected = [*alone(*arrays, lengths, backwards), *(differences(cost, arrays, k) for k in range(3))]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch", [1, 8])
def test_every_size_of_batch(form, batch):
    rng = np.random.default_rng(batch)
    arrays = [rng.normal(size=shape) for shape in [(9, batch, 2), (batch, 2), (2, 2)]]
    x, h0, W, v = variables()
    f = function([x, h0, W, v], scan(rnn(W), x, h0, lengths=form(v))[0])
    for _ in range(4):
        lengths = rng.integers(0, 10, batch)
        np.testing.assert_allclose(f(padded(arrays[0], lengths), *arrays[1:], lengths), alone(*arrays, lengths)[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("form", FORMS)
def test_a_step_that_has_no_derivative_where_padding_would_take_it(form, value):
    """The logarithm of a state that runs out, and of padding: neither may be taken behind the last step."""
    x, h0, _, v = variables()
    s = at.dscalar("s")

    def step(x, h):
        return [at.sqrt(h) * at.log(s * x), h - 1.0]

    (out, _), _ = scan(step, x, [None, h0], lengths=form(v))
    f = function([x, h0, s, v], [out, *grad(out.sum(), [x, h0, s])])
    lengths = [2, 1, 0, 3]
    data = padded(np.random.default_rng(0).uniform(1, 2, size=(4, 4, 1)), lengths, value=value)
    start = np.array([[1.5], [0.5], [-3.0], [2.5]])  # the square root of the last one after its last step is NaN
    values, by_x, by_h, by_s = f(data, start, 1.0, lengths)
    total = 0.0
    for example, count in enumerate(lengths):
        left = start[example, 0] - np.arange(count)
        logs = np.log(data[:count, example, 0])
        np.testing.assert_allclose(values[:count, example, 0], np.sqrt(left) * logs)
        np.testing.assert_allclose(by_x[:count, example, 0], np.sqrt(left) / data[:count, example, 0])
        np.testing.assert_allclose(by_h[example, 0], (logs / (2 * np.sqrt(left))).sum())
        assert not np.any(values[count:, example])
        assert not np.any(by_x[count:, example])
        total += np.sqrt(left).sum()
    np.testing.assert_allclose(by_s, total)


def tapped(form, backwards, **options):
    """Taps of a sequence to both sides, a state with far taps, one without tap -1, and an output of no state."""
    x, W, v = at.dtensor3("x"), at.dmatrix("W"), at.lvector("v")
    far, near = at.dtensor3("far"), at.dtensor3("near")

    def step(before, now, after, h4, h2, h1, g2):
        h = at.tanh(before * h1 + now * at.dot(h4, W) - after * h2)
        return [h, h.sum(axis=1), 0.5 * g2 + h]

    info = [{"initial": far, "taps": [-4, -2, -1]}, None, {"initial": near, "taps": [-2]}]
    wrapped = form(v) if form is not None else None
    outputs, _ = scan(step, {"input": x, "taps": [-1, 0, 2]}, info, lengths=wrapped, go_backwards=backwards, **options)
    return [x, far, near, W, v], outputs


SPAN = 3
TAPPED_LENGTHS = [2, 5, 0, 3, 1]


def tapped_data():
    rng = np.random.default_rng(3)
    x, far, near = (rng.normal(size=(rows, BATCH, UNITS)) for rows in (5 + SPAN, 4, 2))
    return x, far, near, rng.normal(size=(UNITS, UNITS))


def with_gradients(given, outputs):
    cost = sum((one**2).sum() for one in outputs)
    return function(given, [*outputs, *grad(cost, given[:4])], on_unused_input="ignore")


@functools.cache
def tapped_alone(backwards, truncate_gradient):
    """Outputs and gradients of each example by a plain scan over it alone."""
    f = with_gradients(*tapped(None, backwards, truncate_gradient=truncate_gradient))
    x, far, near, W = tapped_data()
    found = []
    for example, count in enumerate(TAPPED_LENGTHS):
        pick = slice(example, example + 1)
        outputs = f(x[: count + SPAN, pick], far[:, pick], near[:, pick], W, [0])
        found.append([np.asarray(one) for one in outputs])
    return found


WAYS = [(form, backwards) for form in (lambda v: v, Packed) for backwards in (False, True)]
"""Apart forwards and backwards, packed forwards and backwards."""


@pytest.mark.parametrize(
    ("way", "options"),
    [
        *((way, {}) for way in range(4)),
        *((way, {"truncate_gradient": 2}) for way in (0, 2)),
        (3, {"checkpoint": "sqrt"}),
        (1, {"checkpoint": 2}),
        (1, {"unroll": 2}),
    ],
    ids=str,
)
def test_taps_and_options_against_plain_scans_of_one_example(way, options):
    form, backwards = WAYS[way]
    f = with_gradients(*tapped(form, backwards, **options))
    x, *rest = tapped_data()
    found = [np.asarray(one) for one in f(padded(x, TAPPED_LENGTHS, SPAN), *rest, TAPPED_LENGTHS)]
    *outputs, by_x, by_far, by_near, by_W = found
    single = tapped_alone(backwards, options.get("truncate_gradient", -1))
    for example, count in enumerate(TAPPED_LENGTHS):
        pick, most = slice(example, example + 1), max(TAPPED_LENGTHS)
        rows, none = (
            (slice(most - count, None), slice(most - count)) if backwards else (slice(count), slice(count, None))
        )
        one = single[example]
        for stack, expected in zip(outputs, one, strict=False):
            np.testing.assert_allclose(stack[rows, pick], expected, rtol=1e-12)
            assert not np.any(stack[none, pick])
        close = functools.partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-13)
        close(by_x[: count + SPAN, pick], one[3])
        assert not np.any(by_x[count + SPAN :, pick])
        close(by_far[:, pick], one[4])
        close(by_near[:, pick], one[5])
    np.testing.assert_allclose(by_W, sum(one[6] for one in single), rtol=1e-10)


@pytest.mark.parametrize("backwards", DIRECTIONS)
@pytest.mark.parametrize("form", FORMS)
def test_the_last_values_of_states_with_taps(form, backwards):
    rng = np.random.default_rng(1)
    x, start, lengths = rng.normal(size=(5, 4, 2)), rng.normal(size=(3, 4, 2)), [3, 0, 5, 1]
    sequence, initial, v = at.dtensor3(), at.dtensor3(), at.lvector()
    info = {"initial": initial, "taps": [-3]}
    last, _ = reduce(lambda x, h: x - 0.5 * h, sequence, info, lengths=form(v), go_backwards=backwards)
    found = function([sequence, initial, v], last)(padded(x, lengths), start, lengths)
    for example, count in enumerate(lengths):
        past = list(start[:, example])
        for t in range(count)[::-1] if backwards else range(count):
            past.append(x[t, example] - 0.5 * past[-3])
        np.testing.assert_allclose(found[example], past[-1])


@pytest.mark.parametrize("form", FORMS)
def test_folds_of_several_states(form):
    x, v = at.dmatrix(), at.lvector()
    total, first = at.zeros(x.shape[1]), at.ones(x.shape[1])
    (sums, signs), _ = foldl(lambda x, s, p: [s + x, -p], x, [total, first], lengths=form(v))
    differences, _ = foldr(lambda x, s: x - s, x, total, lengths=form(v))
    f = function([x, v], [sums, signs, differences])
    data, lengths = np.arange(12.0).reshape(4, 3), [2, 0, 3]
    found = f(padded(data, lengths), lengths)
    np.testing.assert_allclose(found[0], [3.0, 0.0, 2 + 5 + 8.0])
    np.testing.assert_allclose(found[1], [1.0, 1.0, -1.0])
    np.testing.assert_allclose(found[2], [0 - 3.0, 0.0, 2 - (5 - 8.0)])


@pytest.mark.parametrize("form", FORMS)
def test_a_map_of_other_dtypes(form):
    x, v = at.lmatrix(), at.lvector()
    (double, even), _ = loopjax.map(lambda x: [2 * x, at.eq(x % 2, 0)], x, lengths=form(v))
    doubled, evens = function([x, v], [double, even])(np.arange(6).reshape(3, 2) + 2, [1, 2])
    np.testing.assert_array_equal(doubled, [[4, 6], [0, 10]])
    np.testing.assert_array_equal(evens, [[True, False], [False, False]])
    assert doubled.dtype == "int64"
    assert evens.dtype == "bool"


def test_a_map_stays_a_map():
    x, v = at.dmatrix(), at.lvector()
    f = function([x, v], loopjax.map(lambda x: x**2, x, lengths=v)[0])
    np.testing.assert_allclose(f(np.full((3, 2), 3.0), [1, 3])[:, 0], [9, 0, 0])
    assert [loop.plan.kind for loop in loopjax.explain(f).loops] == ["vmap"]


@pytest.mark.parametrize("backwards", DIRECTIONS)
@pytest.mark.parametrize("form", FORMS)
def test_with_n_steps_one_program_serves_all_lengths(form, backwards):
    x, h0, W, v = variables()
    out, _ = scan(rnn(W), x, h0, n_steps=x.shape[0], lengths=form(v), go_backwards=backwards)
    f = Counting(function([x, h0, W, v], [out, grad((out**2).sum(), W)]))
    arrays = inputs()
    cases = [one for one in LENGTHS if sum(sorted(one)[-2:]) <= ROWS] if form is Packed else LENGTHS
    for lengths in cases:
        found, slope = f(padded(arrays[0], lengths), *arrays[1:], lengths)
        np.testing.assert_allclose(found, alone(*arrays, lengths, backwards, rows=ROWS)[0])
        assert np.isfinite(slope).all()
    assert f.count == 1 if form is not Packed else f.count <= 2 * ROWS


def test_packed_lengths_are_rounded_so_that_few_programs_serve_them():
    x, v = at.dtensor3(), at.lvector()
    start = at.zeros((x.shape[1], x.shape[2]))
    out, _ = scan(lambda x, h: h + x, x, start, n_steps=x.shape[0], lengths=Packed(v))
    f = function([x, v], out)
    counting = Counting(f)
    rng = np.random.default_rng(0)
    data = np.ones((160, 6, 1))
    for _ in range(30):
        lengths = rng.integers(100, 161, 6)
        found = np.asarray(counting(data, lengths))
        np.testing.assert_allclose(found.max(axis=0)[:, 0], lengths)
    steps = [loop.n_steps for loop in loopjax.explain(f).loops]
    assert steps[0] % 10 == 0
    assert steps[0] <= 330
    assert len(f.stages) == 1
    assert counting.count <= 12


def test_lanes_are_half_as_many_as_examples_and_lengths_add_up():
    seen = []
    x, v = at.dtensor3(), at.lvector()

    def step(x, h):
        seen.append(x)
        return h + x

    out, _ = scan(step, x, at.zeros((x.shape[1], x.shape[2])), lengths=Packed(v))
    f = function([x, v], out)
    f(np.ones((64, 6, 2)), [64, 1, 30, 30, 10, 50])
    (loop,) = loopjax.explain(f).loops
    assert loop.n_steps == 68  # 64 + 1, rounded up to a 16th of 64
    assert loop.stacked_bytes == 68 * 3 * 2 * 8


# Draws


@pytest.mark.parametrize("backwards", DIRECTIONS)
def test_draws_of_an_example_do_not_depend_on_the_others(backwards):
    x, v = at.dmatrix("x"), at.lvector("v")
    stream = at.random.RandomStream(3)
    out, updates = scan(
        lambda x, h: h + x + stream.normal(size=(3,)), x, at.zeros(3), lengths=v, go_backwards=backwards
    )
    f = function([x, v], out, updates=updates)
    (key,) = updates
    before, data = key.value, np.zeros((6, 3))
    found, after = [], []
    for lengths in ([2, 4, 1], [6, 4, 0], [0, 4, 5]):
        key.set_value(before)
        rows = np.asarray(f(data, lengths))[:, 1]
        found.append(rows[rows != 0])
        after.append(jax.random.key_data(key.value))
    assert len(found[0]) == 4
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
    np.testing.assert_array_equal(after[1], after[0])
    np.testing.assert_array_equal(after[2], after[0])


def test_draws_count_time_in_both_directions():
    """Backwards, the step of time t draws with the number t: with the key folded with it."""
    x, v = at.dmatrix("x"), at.lvector("v")
    stream = at.random.RandomStream(3)
    out, updates = scan(lambda x: x + stream.normal(size=(2,)), x, lengths=v, go_backwards=True)
    (key,) = updates
    with jax.enable_x64(True):
        expected = [jax.random.normal(jax.random.fold_in(key.value, t), (2,), "float64") for t in range(3)]
    found = np.asarray(function([x, v], out)(np.zeros((5, 2)), [3, 1]))[::-1]
    np.testing.assert_allclose(found[:, 0], np.asarray(expected)[:, 0])
    np.testing.assert_allclose(found[:, 1], [expected[0][1], 0, 0])


def test_a_reparameterised_draw_has_a_gradient():
    x, s, v = at.dmatrix("x"), at.dscalar("s"), at.lvector("v")
    stream = at.random.RandomStream(3)
    out, _ = scan(lambda x, h: h + s * stream.normal(size=(3,)), x, at.zeros(3), lengths=v)
    f = function([x, s, v], [out, grad(out.sum(), s)])
    values, slope = f(np.zeros((4, 3)), 2.0, [1, 4, 2])
    np.testing.assert_allclose(slope, np.sum(np.asarray(values)) / 2.0)


# Loops around, other forms of arguments


def test_inside_of_another_loop():
    """Lengths must be the same at every step there, or n_steps given."""
    x, h0, W, v = variables()

    def outer(h):
        return reduce(rnn(W), x, h, lengths=v)[0]

    out, _ = scan(outer, outputs_info=h0, n_steps=2)
    arrays, lengths = inputs(), [3, 7, 0, 1, 4]
    data = padded(arrays[0], lengths)
    f = function([x, h0, W, v], [out, grad((out[-1] ** 2).sum(), W)])
    found, slope = f(data, *arrays[1:], lengths)
    once = alone(*arrays, lengths)[1]
    np.testing.assert_allclose(found, [once, alone(arrays[0], once, arrays[2], lengths)[1]])

    def cost(x, h0, W):
        return (alone(x, alone(x, h0, W, lengths)[1], W, lengths)[1] ** 2).sum()

    np.testing.assert_allclose(slope, differences(cost, arrays, 2), rtol=1e-6)


def test_lengths_that_differ_from_step_to_step_of_an_outer_loop():
    x, h0, W, _ = variables()
    vs = at.lmatrix("vs")
    out, _ = scan(lambda v, h: reduce(rnn(W), x, h, lengths=v, n_steps=x.shape[0])[0], vs, h0)
    arrays = inputs()
    found = function([x, h0, W, vs], out)(*arrays, [[1, 2, 0, 4, 7], [3, 0, 1, 1, 1]])
    once = alone(*arrays, [1, 2, 0, 4, 7])[1]
    np.testing.assert_allclose(found, [once, alone(arrays[0], once, arrays[2], [3, 0, 1, 1, 1])[1]])


def test_forward_mode_and_second_derivatives():
    x, h0, W, v = variables()
    arrays, lengths = inputs(), [3, 7, 0, 1, 4]
    data = padded(arrays[0], lengths)
    direction = np.random.default_rng(9).normal(size=(UNITS, UNITS))
    for form in (lambda v: v, Packed):
        out, _ = scan(rnn(W), x, h0, lengths=form(v))
        cost = (out**2).sum()
        slope = grad(cost, W)
        pushed = loopjax.Rop(out, W, direction)
        again = grad((slope * direction).sum(), W)
        moved, second = function([x, h0, W, v], [pushed, again])(data, *arrays[1:], lengths)
        first = function([x, h0, W, v], slope)
        step = 1e-5
        there, back = (alone(arrays[0], arrays[1], arrays[2] + sign * step * direction, lengths)[0] for sign in (1, -1))
        np.testing.assert_allclose(moved, (there - back) / (2 * step), atol=1e-8)
        there, back = (
            np.asarray(first(data, arrays[1], arrays[2] + sign * step * direction, lengths)) for sign in (1, -1)
        )
        np.testing.assert_allclose(second, (there - back) / (2 * step), rtol=1e-6, atol=1e-7)


def test_a_sequence_without_examples_is_the_same_for_all():
    x, v = at.dmatrix("x"), at.lvector("v")
    for backwards in (False, True):
        out, _ = scan(lambda x, t, h: h + x * t, [x, at.arange(5)], at.zeros(3), lengths=v, go_backwards=backwards)
        last, _ = reduce(lambda x, t, h: h + x * t, [x, at.arange(5)], at.zeros(3), lengths=v, go_backwards=backwards)
        f = function([x, v], [out, last])
        found, end = f(np.ones((5, 3)), [2, 4, 0])
        np.testing.assert_allclose(end, [1, 6, 0])
        np.testing.assert_allclose(found[-1 if backwards else 1], [1, 6 if backwards else 1, 0])


def test_without_sequences_and_with_constants():
    for lengths in (
        [2, 0, 3],
        np.array([2, 0, 3], "int8"),
        at.constant([2, 0, 3]),
        loopjax.shared(np.array([2, 0, 3])),
    ):
        out, _ = scan(lambda h: 2 * h, outputs_info=at.ones(3), lengths=lengths)
        np.testing.assert_allclose(out.eval(), [[2, 0, 2], [4, 0, 4], [0, 0, 8]])


def test_lengths_that_the_device_computes():
    x, mask = at.dmatrix("x"), at.dmatrix("mask")
    v = at.cast(at.exp(mask).sum(axis=0) * 0 + mask.sum(axis=0), "int64")
    out, _ = scan(lambda x, h: h + x, x, at.zeros(2), lengths=v)
    found = function([x, mask], out)(np.ones((4, 2)), np.array([[1, 1], [1, 0], [1, 0], [0, 0.0]]))
    np.testing.assert_allclose(found, [[1, 1], [2, 0], [3, 0]])
    f = function([x, mask], out)
    with pytest.raises(ValueError, match=r"lengths\[1\] is negative: -1"):
        f(np.ones((4, 2)), np.array([[1, -1.0]]))


def test_lengths_that_a_mask_says_need_no_stage():
    x, mask = at.dmatrix("x"), at.lmatrix("mask")
    for form in (lambda v: v, Packed):
        out, _ = scan(lambda x, h: h + x, x, at.zeros(x.shape[1]), n_steps=x.shape[0], lengths=form(mask.sum(axis=0)))
        f = Counting(function([x, mask], out))
        for given in ([[1, 1], [1, 0]], [[1, 1], [0, 1]]):
            found = f(np.ones((2, 2)), np.array(given))
            np.testing.assert_allclose(found, np.cumsum(given, axis=0) * np.array(given))
        assert f.count == 1


def test_return_list_names_and_strict():
    x, v = at.dmatrix("x"), at.lvector("v")
    rate = loopjax.shared(2.0, name="rate")
    outputs, _ = scan(lambda x: x, x, lengths=v, return_list=True, name="copy")
    assert isinstance(outputs, list)
    assert outputs[0].name == "copy"
    with pytest.raises(loopjax.errors.MissingInputError, match="rate"):
        scan(lambda x: x * rate, x, lengths=v, strict=True)
    scan(lambda x, r: x * r, x, non_sequences=rate, lengths=v, strict=True)


# Errors


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([8, 1, 1, 1, 1], r"sequence 'x' has 7 rows; lengths\[0\], 8 steps, need 8 \[test_ragged.py:\d+\]"),
        ([2, 3, -1, 1, 1], r"lengths\[2\] is negative: -1; expected 0 or more \[test_ragged.py:\d+\]"),
        ([1, 2], r"x has 5 examples along axis 1 and lengths has 2; give one length for each"),
        (np.zeros(0, int), "lengths is empty"),
    ],
)
def test_lengths_that_do_not_fit(form, lengths, message):
    x, h0, W, v = variables()
    f = function([x, h0, W, v], scan(rnn(W), x, h0, lengths=form(v), name="rnn")[0])
    with pytest.raises(ValueError, match=f"scan 'rnn': {message}"):
        f(*inputs(), lengths)


@pytest.mark.parametrize("form", FORMS)
def test_more_than_n_steps(form):
    x, h0, W, v = variables()
    f = function([x, h0, W, v], scan(rnn(W), x, h0, lengths=form(v), n_steps=4)[0])
    with pytest.raises(ValueError, match=r"lengths\[1\] is 5, more than n_steps, 4 \[test_ragged.py:\d+\]"):
        f(*inputs(), [1, 5, 2, 2, 2])
    assert f(*inputs(), [1, 4, 2, 2, 2]).shape == (4, BATCH, UNITS)


def test_steps_count_not_rows_where_sequences_have_taps():
    x, v = at.dmatrix("x"), at.lvector("v")
    out, _ = scan(lambda now, then: then - now, {"input": x, "taps": [0, 2]}, lengths=v)
    f = function([x, v], out)
    np.testing.assert_allclose(f(np.arange(10.0).reshape(5, 2), [1, 3]), [[4, 4], [0, 4], [0, 4]])
    with pytest.raises(ValueError, match=r"sequence 'x' has 5 rows; lengths\[0\], 4 steps, need 6"):
        f(np.ones((5, 2)), [4, 1])


@pytest.mark.parametrize("form", FORMS)
def test_arguments_that_are_refused(form):
    x, h0, W, v = variables()
    total = loopjax.shared(0.0, name="total")
    with pytest.raises(TypeError, match="lengths is an integer vector"):
        scan(rnn(W), x, h0, lengths=form(at.dvector()))
    with pytest.raises(TypeError, match="lengths is an integer vector"):
        scan(rnn(W), x, h0, lengths=form(3))
    with pytest.raises(ValueError, match=r"scan 'rnn': outputs_info\[0\] is .*; with lengths its axis 0 is that of ex"):
        scan(rnn(W), x, 0.0, lengths=form(v), name="rnn")
    with pytest.raises(ValueError, match=r"output 1 of a step is .*; with lengths its axis 0 .*test_ragged.py:\d+\]"):
        scan(lambda x, h: [h, h.sum()], x, [h0, None], lengths=form(v))
    with pytest.raises(UnsupportedError, match=r"until stops the loop for all examples.*\[test_ragged.py:\d+\]"):
        scan(lambda x, h: (h, until(h.sum() > 1)), x, h0, lengths=form(v))
    with pytest.raises(UnsupportedError, match=r"fn updates \[.*total.*Make it a state"):
        scan(lambda x, h: (h, {total: total + 1}), x, h0, lengths=form(v))
    with pytest.raises(TypeError, match=r"does not take the 2 arguments .*\(x\[t\], h0\[t-1\]\)"):
        scan(lambda x: x, x, h0, lengths=form(v))
    with pytest.raises(ValueError, match=r"fn returns 2 outputs and outputs_info has 1 entries.*test_ragged\.py"):
        scan(lambda x, h: [h, x], x, [h0], lengths=form(v))
    with pytest.raises(TypeError, match=r"starts as .* but a step returns"):
        scan(lambda x, h: h.astype("float32"), x, h0, lengths=form(v))
    with pytest.raises(ValueError, match="with lengths every output is a state"):
        reduce(lambda x: x, x, None, lengths=form(v))


def test_what_lanes_refuse():
    x, h0, _, v = variables()
    stream = at.random.RandomStream(1)
    with pytest.raises(UnsupportedError, match="fn draws, and with Packed"):
        scan(lambda x, h: h + stream.normal(), x, h0, lengths=Packed(v))
    with pytest.raises(ValueError, match="with lengths its axis 1 is that of examples"):
        scan(lambda x, t, h: h + t, [x, at.arange(7)], h0, lengths=Packed(v))


@pytest.mark.parametrize("form", FORMS)
def test_initial_values_of_another_batch(form):
    x, h0, W, v = variables()
    f = function([x, h0, W, v], scan(rnn(W), x, h0, lengths=form(v), name="rnn")[0])
    arrays = inputs()
    with pytest.raises(ValueError, match="h0 has 4 examples along axis 0 and lengths has 5"):
        f(arrays[0], arrays[1][:4], arrays[2], [1, 2, 3, 4, 5])


@pytest.mark.parametrize("calls", [0, 3])
def test_as_many_lengths_as_examples_in_padded_programs_too(calls):
    x, lengths = at.dmatrix("x"), at.lvector("lengths")
    last, _ = loopjax.reduce(lambda x_t, h: h + x_t, x, at.zeros(x.shape[1], "float64"), lengths=lengths)
    f = loopjax.function([x, lengths], last)
    for n in range(2, 2 + calls):
        assert f(np.ones((4, n)), [1] * n).tolist() == [1.0] * n
    with pytest.raises(ValueError, match=r"has 4 examples along axis . and lengths has 3; give one length for each"):
        f(np.ones((4, 4)), [1, 2, 3])
