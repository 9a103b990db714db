"""What only the shapes of a call decide: sizes of one that must not stretch, indices, lengths, state shapes."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from tests.compilations import Counting

LINE = r" \[test_specialize.py:\d+\](\n|$)"


def draws(name, *parameters, **options):
    return getattr(at.random.RandomStream(1), name)(*parameters, **options)


STRETCHES = {
    "add": (lambda x, y: x + y, (1,), (3,)),
    "switch": (lambda x, y: at.switch(x > 0, x, y), (3,), (1,)),
    "clip": (lambda x, y: at.clip(x, y, y), (3,), (1,)),
    "isclose": (lambda x, y: at.isclose(x, y), (1,), (3,)),
    "matmul": (lambda x, y: at.matmul(x, y), (1, 2, 2), (3, 2, 2)),
    "matmul of deep batches": (lambda x, y: at.matmul(x, y), (4, 3, 2, 2), (4, 1, 2, 2)),
    "set": (lambda x, y: at.set_subtensor(x[:3], y), (4,), (1,)),
    "set by a symbolic row": (lambda x, y: at.set_subtensor(x[at.argmax(y)], y), (4, 3), (1,)),
    "inc": (lambda x, y: at.inc_subtensor(x[::2], y), (6,), (1,)),
    "inc of rows": (lambda x, y: at.inc_subtensor(x[[0, 0, 1]], y), (4, 3), (1, 3)),
    "index": (lambda x, y: x[at.argmax(x, axis=0), y.astype("int64")], (3, 3), (1,)),
    "parameters of draws": (lambda x, y: draws("normal", x, y), (1,), (3,)),
    "parameters and size of draws": (lambda x, y: draws("normal", x, 1.0, size=y.shape), (1,), (3,)),
    "discrete draws": (lambda x, y: draws("binomial", 4, x, size=y.shape), (1,), (3,)),
    "draws of vectors": (lambda x, y: draws("dirichlet", x, size=y.shape), (1, 2), (3,)),
    "alloc": (lambda x, y: at.alloc(x, y.shape[0]), (1,), (3,)),
    "alloc of a known size": (lambda x, y: at.alloc(x, 3) + y, (1,), (3,)),
    "linspace": (lambda x, y: at.linspace(x, y, 4), (1,), (3,)),
}


@pytest.mark.parametrize("name", STRETCHES)
def test_a_size_found_to_be_one_does_not_stretch(name):
    """Nor is anything refused where the sizes agree, or the size was known to be one when the graph was built."""
    op, left, right = STRETCHES[name]

    def called(x, y, *shapes):
        return loopjax.function([x, y], op(x, y), on_unused_input="ignore")(*(np.full(shape, 0.5) for shape in shapes))

    x, y = (at.tensor("float64", (None,) * len(shape)) for shape in (left, right))
    message = rf"^(?!function)\w+: shapes .* do not fit: .* does not broadcast; declare it .* or use dimshuffle.*{LINE}"
    with pytest.raises(ValueError, match=message):
        called(x, y, left, right)
    widened = [tuple(max(a, 3) if a in (1, 3) else a for a in shape) for shape in (left, right)]
    called(x, y, *widened)
    x, y = (at.tensor("float64", [size if size == 1 else None for size in shape]) for shape in (left, right))
    called(x, y, left, right)


class TestIndicesThatShapesDecide:
    @pytest.mark.parametrize("row", ["index", "set", "inc"])
    def test_out_of_bounds(self, row):
        x = at.dvector("x")
        ops = {"index": lambda part: part, "set": lambda part: part.set(1.0), "inc": lambda part: part.inc(1.0)}
        for index, value in ((x.shape[0], 2), (-x.shape[0] - 1, -3), (x.shape[0] * 2 - 1, 3)):
            f = loopjax.function([x], ops[row](x[index]))
            with pytest.raises(
                IndexError,
                match=rf"^{row}: index {value} is out of bounds for axis 0 of size 2; expected -2 to 1{LINE}",
            ):
                f([1.0, 2.0])

    def test_in_bounds(self):
        x = at.dmatrix("x")
        f = loopjax.function([x], [x[x.shape[0] - 1, -x.shape[1]], x[:, x.shape[1] // 2]])
        one, column = f([[1.0, 2.0], [3.0, 4.0]])
        assert float(one) == 3.0
        np.testing.assert_array_equal(column, [2, 4])

    def test_the_axis_and_the_rest_of_the_index(self):
        x = at.dtensor3("x")
        f = loopjax.function([x], x[None, :, at.arange(2), x.shape[2]])
        with pytest.raises(IndexError, match="index 5 is out of bounds for axis 2 of size 5"):
            f(np.ones((3, 4, 5)))

    def test_inside_of_loops_and_gradients(self):
        x = at.dvector("x")
        out, _ = loopjax.scan(lambda a: a + x[x.shape[0]], sequences=x)
        with pytest.raises(IndexError, match=rf"index 2 is out of bounds.*{LINE}"):
            loopjax.function([x], out)([1.0, 2.0])
        with pytest.raises(IndexError, match=rf"index 2 is out of bounds.*{LINE}"):
            loopjax.function([x], loopjax.grad(x[x.shape[0]] * 2, x))([1.0, 2.0])

    def test_slices_of_a_step(self):
        x = at.dmatrix("x")
        out, _ = loopjax.scan(lambda a: a[a.shape[0]], sequences=x)
        with pytest.raises(IndexError, match=rf"index 3 is out of bounds for axis 0 of size 3; expected -3 to 2{LINE}"):
            loopjax.function([x], out)(np.ones((2, 3)))

    def test_what_a_value_decides_stays_with_the_device(self):
        """Whether or not the value is a length elsewhere in the program."""
        x, k = at.dvector("x"), at.lscalar("k")
        part, _ = loopjax.function([x, k], [x[k], at.zeros(k)])([1.0, 2.0], 5)
        assert np.isnan(part)


class TestStatesOfAnotherShape:
    @pytest.mark.parametrize("name", ["W", None])
    def test_a_shared_variable_goes_by_its_name_or_its_line(self, name):
        a, w = loopjax.shared(np.ones(2), name=name), at.dvector("w")
        _, updates = loopjax.scan(lambda: {a: w}, n_steps=3, name="grow")
        f = loopjax.function([w], updates=updates)
        label = "shared variable 'W'" if name else r"the shared variable \[test_specialize.py:\d+\]"
        message = rf"^scan 'grow': {label} starts as float64\(2,\) but step returns float64\(3,\)\. Start from.*{LINE}"
        with pytest.raises(ValueError, match=message):
            f(np.ones(3))
        f(np.zeros(2))
        np.testing.assert_array_equal(a.get_value(), [0, 0])

    def test_all_at_once(self):
        a, p, w = loopjax.shared(np.ones(2), name="a"), at.dvector("p"), at.dvector("w")
        out, updates = loopjax.scan(lambda p: (w * 1, {a: w}), outputs_info=p, n_steps=3)
        with pytest.raises(ValueError, match=r"state 'p' starts as float64\(4,\).*; shared variable 'a' starts as"):
            loopjax.function([p, w], out, updates=updates)(np.ones(4), np.ones(3))


def test_an_op_in_a_loop_names_the_loops_around_it():
    x, y = at.dmatrix("x"), at.dvector("y")

    def row(a):
        return loopjax.scan(lambda b: a + y * b, sequences=y, name="inner")[0]

    out, _ = loopjax.scan(row, sequences=x, name="outer")
    message = rf"^scan 'outer': scan 'inner': add: shapes \(3,\) and \(4,\) do not broadcast.*{LINE}"
    with pytest.raises(ValueError, match=message):
        loopjax.function([x, y], out)(np.ones((2, 3)), np.ones(4))


class TestLengthsOfSequences:
    def test_each_that_is_too_short_is_named_with_the_steps_asked_for(self):
        x, y, k = at.dvector("x"), at.dvector("y"), at.lscalar("k")
        out, _ = loopjax.scan(lambda a, b: a + b, sequences=[x, y], n_steps=k, name="two")
        f = loopjax.function([x, y, k], out, lengths="exact")
        np.testing.assert_array_equal(f(np.ones(5), np.ones(3), 2), [2, 2])
        with pytest.raises(ValueError, match=rf"^scan 'two': sequence 'y' has 3 rows; 4 steps .* need 4{LINE}"):
            f(np.ones(5), np.ones(3), 4)
        with pytest.raises(ValueError, match=r"sequence 'x' has 1 rows; 3 steps with taps \[0\] need 3"):
            f(np.ones(1), np.ones(3), 3)

    def test_backwards_and_with_until_too(self):
        x, k = at.dvector("x"), at.lscalar("k")
        back, _ = loopjax.scan(lambda a: a * 1, sequences=x, n_steps=k, go_backwards=True)
        until, _ = loopjax.scan(lambda a: (a * 1, loopjax.until(a > 9)), sequences=x, n_steps=k)
        for out in (back, until, back[-1], until[-1]):
            with pytest.raises(ValueError, match="sequence 'x' has 2 rows; 3 steps"):
                loopjax.function([x, k], out)(np.ones(2), 3)

    def test_a_negative_number_of_steps_with_a_sequence(self):
        x, k = at.dvector("x"), at.lscalar("k")
        out, _ = loopjax.scan(lambda a: a * 1, sequences=x, n_steps=k, name="back")
        with pytest.raises(ValueError, match=rf"^scan 'back': n_steps is negative: -1; expected 0 or more{LINE}"):
            loopjax.function([x, k], out)(np.ones(2), -1)


class TestNoSteps:
    def test_true_shapes_behind_a_length_of_zero(self):
        x, w, k = at.dmatrix("x"), at.dvector("w"), at.lscalar("k")
        info = [None, w, {"initial": x, "taps": [-2]}]
        outputs, _ = loopjax.scan(lambda a, h, g: (at.outer(a, w), h + a, g * 2), x, info, n_steps=k)
        shapes = [found.shape for found in loopjax.function([x, w, k], outputs)(np.ones((2, 3)), np.ones(3), 0)]
        assert shapes == [(0, 3, 3), (0, 3), (0, 3)]

    @pytest.mark.parametrize(
        "loop",
        [
            lambda x: loopjax.scan(lambda a: a * 2, x)[0][-1],
            lambda x: loopjax.scan(lambda a, h: a + h, x, at.constant(0.0, dtype="float64"))[0][-1],
            lambda x: loopjax.scan(lambda a: (a * 2, loopjax.until(a > 3)), x)[0][-1],
            lambda x: loopjax.reduce(lambda a, h: a + h, x, at.constant(0.0, dtype="float64"))[0],
            lambda x: loopjax.foldr(lambda a, h: a + h, x, at.constant(0.0, dtype="float64"))[0],
        ],
        ids=["map", "state", "until", "reduce", "foldr"],
    )
    def test_there_is_no_last_one(self, loop):
        x = at.dvector("x")
        f = loopjax.function([x], loop(x))
        f(np.ones(1))
        with pytest.raises(IndexError, match=LINE):
            f(np.ones(0))

    def test_one_step_has_the_checks_of_any_other_number(self):
        x, h, w = at.dvector("x"), at.dvector("h"), at.dmatrix("w")
        for steps in (1, 2):
            out, _ = loopjax.scan(lambda h: at.dot(w, h), outputs_info=h, n_steps=steps, name="grow")
            with pytest.raises(ValueError, match=r"^scan 'grow': state 'h' starts as float64\(2,\) but step returns"):
                loopjax.function([h, w], out)(np.ones(2), np.ones((3, 2)))
            out, _ = loopjax.scan(lambda a, b: a * b, sequences={"input": x, "taps": [0, 1]}, n_steps=steps)
            with pytest.raises(ValueError, match=rf"sequence 'x' has {steps} rows; {steps} steps"):
                loopjax.function([x], out)(np.ones(steps))


def test_the_greatest_of_a_vector_is_a_length_that_the_host_computes():
    v = at.lvector("v")
    sums, _ = loopjax.scan(lambda h: h + 1, outputs_info=at.constant(0), n_steps=v.max())
    f = Counting(loopjax.function([v], sums))
    np.testing.assert_array_equal(f([2, 3, 1]), [1, 2, 3])
    np.testing.assert_array_equal(f([3, 0, 0]), [1, 2, 3])
    assert f.count == 1


def test_a_length_by_the_shape_of_what_the_host_computes():
    m = at.lmatrix("m")
    counts = m.sum(axis=0)
    f = Counting(loopjax.function([m], at.zeros(counts.shape[0] + counts.max())))
    assert f(np.array([[1, 2], [3, 1]])).shape == (6,)
    assert f(np.array([[4, 2], [0, 1]])).shape == (6,)
    assert f.count == 1
