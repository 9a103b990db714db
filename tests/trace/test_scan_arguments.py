"""What scan's arguments and fn's results may be: each error says which scan, which argument, what came, and where."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

LINE = r" \[test_scan_arguments.py:\d+\](\n|$)"


def refused(error, message, *args, **options):
    """``scan`` refuses, naming itself and the user's line."""
    with pytest.raises(error, match=rf"^scan 'rnn'.*{message}.*{LINE}"):
        loopjax.scan(*args, name="rnn", **options)


class TestWhatFnTakes:
    def test_too_few_parameters(self):
        x, h = at.dvector("x"), at.dscalar("h")
        message = (
            r"fn\(a\) does not take the 2 arguments .*\(x\[t\], h\[t-1\]\).* slices .* past values .* non_sequences"
        )
        refused(TypeError, message, lambda a: a, sequences=x, outputs_info=h)

    def test_too_many_parameters(self):
        x, h, w = at.dvector("x"), at.dscalar("h"), at.dscalar("w")
        message = r"fn\(a, b, c, d\) does not take the 3 arguments .*\(x\[t\], h\[t-1\], w\): missing .*'d'"
        refused(TypeError, message, lambda a, b, c, d: a, sequences=x, outputs_info=h, non_sequences=w)

    def test_the_line_is_that_of_fn(self):
        def step(a):
            return a

        line = step.__code__.co_firstlineno
        with pytest.raises(TypeError, match=rf"^scan 'step': fn.* \[test_scan_arguments.py:{line}\] \["):
            loopjax.scan(step, n_steps=2)

    def test_a_map_output_adds_no_argument(self):
        seen = []
        loopjax.scan(lambda *args: seen.append(len(args)) or (args[0], args[0]), at.dvector(), [None, at.dscalar("h")])
        assert seen == [2]

    def test_parameters_with_defaults(self):
        x = at.dvector("x")
        doubled, _ = loopjax.scan(lambda a, scale=2: a * scale, sequences=x)
        np.testing.assert_array_equal(doubled.eval({x: [1.0, 2.0]}), [2, 4])

    def test_errors_of_fn_are_its_own(self):
        def step(a):
            return (lambda missing: a)()

        with pytest.raises(
            TypeError, match=r"^[^']*<lambda>\(\) missing 1 required positional argument: 'missing'(\n|$)"
        ):
            loopjax.scan(step, sequences=at.dvector(), name="rnn")


class TestSequences:
    @pytest.mark.parametrize(
        ("entry", "error", "message"),
        [
            ({"tap": [0]}, ValueError, r"sequences\[0\] has unknown keys \['tap'\]; known are \['input', 'taps'\]"),
            ({"taps": [0]}, ValueError, r"sequences\[0\] is a dict without the key 'input'"),
            (
                {"input": np.ones(3), "taps": []},
                ValueError,
                r"sequences\[0\]: taps is an int or a list of ints, got \[\]",
            ),
            ({"input": np.ones(3), "taps": 0.5}, ValueError, r"sequences\[0\]: taps is an int .* got 0.5"),
            ({"input": np.ones(3), "taps": [True]}, ValueError, r"sequences\[0\]: taps is an int .* got \[True\]"),
            (["a", "b"], TypeError, r"sequences\[0\]: an array of dtype .* is not numeric"),
            ([np.ones(2), 1.0], ValueError, r"sequences\[1\] is the scalar"),
            ([np.ones(2), object()], TypeError, r"sequences\[1\]: .*is not numeric"),
        ],
    )
    def test_refused(self, entry, error, message):
        refused(error, message, lambda *slices: slices[0], sequences=entry)

    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            (np.arange(3.0), [0, 2, 4]),
            (at.constant([1.0, 2.0]), [2, 4]),
            ([1, 2, 3], [2, 4, 6]),
            ((1.5, 2.5), [3, 5]),
            ([[1, 2, 3]], [2, 4, 6]),
            ({"input": [1, 2, 3]}, [2, 4, 6]),
            ({"input": np.arange(3), "taps": None}, [0, 2, 4]),
            ({"input": np.arange(3), "taps": 1}, [2, 4]),
            ({"input": np.arange(4), "taps": np.array([-1])}, [0, 2, 4]),
            ({"input": np.arange(4), "taps": range(2, 3)}, [4, 6]),
        ],
        ids=repr,
    )
    def test_accepted(self, entry, expected):
        out, _ = loopjax.scan(lambda a: a * 2, sequences=entry)
        np.testing.assert_array_equal(out.eval(), expected)

    def test_a_tuple_of_several(self):
        out, _ = loopjax.scan(lambda a, b: a - b, sequences=(np.arange(3.0), np.ones(2)))
        np.testing.assert_array_equal(out.eval(), [-1, 0])

    def test_five_steps_over_nine_values(self):
        taps = {"input": np.arange(9), "taps": [-4, 0]}
        (first, second), _ = loopjax.scan(lambda a, b: (a, b), sequences=taps)
        np.testing.assert_array_equal(first.eval(), [0, 1, 2, 3, 4])
        np.testing.assert_array_equal(second.eval(), [4, 5, 6, 7, 8])

    def test_a_sequence_shorter_than_its_taps_gives_no_step(self):
        x = at.dvector("x")
        out, _ = loopjax.scan(lambda a, b: a + b, sequences={"input": x, "taps": [-4, 0]})
        assert loopjax.function([x], out)(np.ones(3)).shape == (0,)

    def test_backwards_keeps_the_meaning_of_taps(self):
        x = np.arange(5)
        out, _ = loopjax.scan(lambda a, b: 10 * a + b, sequences={"input": x, "taps": [-1, 0]}, go_backwards=True)
        np.testing.assert_array_equal(out.eval(), [34, 23, 12, 1])

    def test_too_short_for_known_steps_is_found_while_recording(self):
        x = at.tensor("float64", (3,), "x")
        message = r"sequence 'x' has 3 rows; 4 steps with taps \[0\] need 4"
        refused(ValueError, message, lambda a: a, sequences=x, n_steps=4)


class TestStates:
    @pytest.mark.parametrize(
        ("entry", "error", "message"),
        [
            ({"initial": at.dvector(), "taps": [0]}, ValueError, r"outputs_info\[0\]: taps of a state are negative"),
            ({"initial": at.dvector(), "taps": [-1, -1]}, ValueError, r"outputs_info\[0\]: taps \[-1, -1\] repeat"),
            (
                {"initial": at.dscalar("h"), "taps": -2},
                ValueError,
                r"outputs_info\[0\] is the scalar <h.* at least 2 rows",
            ),
            ({"initial": None, "taps": -1}, ValueError, r"outputs_info\[0\] has taps and no 'initial' value"),
            ({"inital": 0}, ValueError, r"outputs_info\[0\] has unknown keys \['inital'\]"),
            (object(), TypeError, r"outputs_info\[0\]: an array of dtype object is not numeric"),
            ([None, 0], ValueError, r"fn returns 1 outputs and outputs_info has 2 entries; give one for each"),
            (
                {"initial": np.ones((2, 3)), "taps": [-3]},
                ValueError,
                r"the initial value of 'outputs_info\[0\]' has 2 rows; taps \[-3\] need at least 3, row 0 the oldest",
            ),
        ],
    )
    def test_refused(self, entry, error, message):
        refused(error, message, lambda *past: past[0], outputs_info=entry, n_steps=2)

    def test_forms_that_mean_the_same(self):
        zero = at.constant(0.0, dtype="float64")
        for entry in (
            zero,
            [zero],
            (zero,),
            {"initial": zero},
            [{"initial": zero, "taps": [-1]}],
            {"initial": zero, "taps": -1},
        ):
            out, _ = loopjax.scan(lambda h: h + 1, outputs_info=entry, n_steps=3)
            np.testing.assert_array_equal(out.eval(), [1, 2, 3])
        for entry in (None, [None], {}, {"initial": None}):
            out, _ = loopjax.scan(lambda: zero + 1, outputs_info=entry, n_steps=3)
            np.testing.assert_array_equal(out.eval(), [1, 1, 1])

    @pytest.mark.parametrize("n_steps", [0, 1, 2])
    @pytest.mark.parametrize(
        ("step", "types"),
        [
            (lambda h: h.astype("float32"), r"float64\(\) but a step returns float32\(\). Cast .*astype\('float64'\)"),
            (lambda h: h * at.zvector()[0], r"float64\(\) but a step returns complex128\(\). Cast the result"),
            (
                lambda h: h + at.dvector(),
                r"float64\(\) but a step returns float64\(\?,\). Start from a value of the shape",
            ),
        ],
    )
    def test_another_type_whatever_the_number_of_steps(self, n_steps, step, types):
        refused(TypeError, rf"state 'h' starts as {types}", step, outputs_info=at.dscalar("h"), n_steps=n_steps)

    def test_another_known_shape(self):
        start = at.tensor("float64", (2,), "h")
        message = r"state 'h' starts as float64\(2,\) but a step returns float64\(4,\). Start from"
        refused(TypeError, message, lambda h: at.concatenate([h, h]), outputs_info=start, n_steps=2)

    def test_all_mismatches_at_once(self):
        message = r"state 'p' starts as float64\(\).*float32\(\).*; state 'q' starts as float32\(\).*float64\(\)"
        refused(
            TypeError,
            message,
            lambda p, q: (p.astype("float32"), q.astype("float64")),
            outputs_info=[at.dscalar("p"), at.fscalar("q")],
            n_steps=2,
        )


class TestNumbersAsStates:
    @pytest.mark.parametrize(
        ("start", "step", "dtype"),
        [
            (0, lambda a, h: h + a, "float32"),
            (0.0, lambda a, h: h + a, "float32"),
            (0, lambda a, h: h + 1, "int64"),
            (1, lambda a, h: h.astype("int8"), "int8"),
            (0, lambda a, h: h + a.astype("float64"), "float64"),
            (True, lambda a, h: ~h, "bool"),
            ([0, 0], lambda a, p, q: (p + a, q + a), "float32"),
        ],
    )
    def test_take_the_dtype_that_fn_returns(self, start, step, dtype):
        x = at.fvector("x")
        outputs, _ = loopjax.scan(step, sequences=x, outputs_info=start, return_list=True)
        for found in loopjax.function([x], outputs, on_unused_input="ignore")(np.ones(2, "float32")):
            assert found.dtype == dtype

    def test_no_number_is_cut_off(self):
        message = r"state 'h' \(outputs_info\[0\]\) starts as float32\(\) but a step returns int8\(\)"
        refused(TypeError, message, lambda h: h.astype("int8"), outputs_info=1.5, n_steps=2)
        message = r"state 'h' \(outputs_info\[0\]\) starts as int64\(\) but a step returns float32\(\)"
        refused(TypeError, message, lambda h: h * 1.5, outputs_info=np.int64(1), n_steps=2)
        refused(
            OverflowError,
            "the number 300 does not fit into int8",
            lambda h: h.astype("int8"),
            outputs_info=300,
            n_steps=2,
        )

    def test_one_round_then_an_error(self):
        x = at.fvector("x")
        message = (
            r"state .q. \(outputs_info\[1\]\) starts as int64\(\) but .* returns float32\(\).* or start from float32"
        )
        refused(TypeError, message, lambda a, p, q: (p + a, p + q), sequences=x, outputs_info=[0, 0])
        message = r"state '.' \(outputs_info\[0\]\) starts as .* but a step returns complex"
        refused(TypeError, message, lambda a, b: (a + b, b * 1j), outputs_info=[0, 0], n_steps=2)


class TestSteps:
    @pytest.mark.parametrize("steps", [3, np.int32(3), np.array(3), at.constant(3)], ids=repr)
    def test_accepted(self, steps):
        assert loopjax.scan(lambda: at.constant(1.0), n_steps=steps)[0].eval().shape == (3,)

    @pytest.mark.parametrize(
        ("steps", "error", "message"),
        [
            (2.0, TypeError, "n_steps is an integer scalar, got 2.0"),
            (at.constant(3.0), TypeError, "n_steps is an integer scalar, got"),
            (at.dscalar("k"), TypeError, "n_steps is an integer scalar, got <k: float64"),
            (at.lvector("k"), TypeError, "n_steps is an integer scalar, got <k: int64"),
            (-2, ValueError, "n_steps is negative: -2; expected 0 or more"),
            (None, ValueError, "neither sequences nor n_steps; expected one"),
        ],
    )
    def test_refused(self, steps, error, message):
        refused(error, message, lambda: at.constant(1.0), n_steps=steps)

    @pytest.mark.parametrize("value", [0, -2, 1.5, True, "few"])
    def test_checkpoint(self, value):
        message = "checkpoint is an int of at least 1, .*Every or Budget.*policy of jax.checkpoint; got"
        refused(ValueError, message, lambda h: h, None, 0.0, n_steps=2, checkpoint=value)

    @pytest.mark.parametrize("option", ["truncate_gradient", "unroll"])
    @pytest.mark.parametrize("value", [-2, 1.5, True])
    def test_options_that_are_counts(self, option, value):
        kind = ValueError if value == -2 else TypeError
        refused(kind, f"{option} is an int.*, got .*{value}", lambda: 1.0, n_steps=2, **{option: value})


def test_non_sequences_of_every_kind():
    x, w = at.dscalar("x"), loopjax.shared(2.0, dtype="float64")
    total, _ = loopjax.scan(lambda a, b, c, d: (a + b + c.sum()) * d, non_sequences=[x, 1, np.ones(2), w], n_steps=2)
    np.testing.assert_array_equal(total.eval({x: 3.0}), [12, 12])
    alone, _ = loopjax.scan(lambda a: a * 2, non_sequences=x, n_steps=1)
    np.testing.assert_array_equal(alone.eval({x: 3.0}), [6])
    refused(TypeError, r"non_sequences\[1\]: .*is not numeric", lambda a, b: a, non_sequences=[x, object()], n_steps=1)


class TestWhatFnReturns:
    FOUND = (
        (lambda: None, "fn returned None"),
        (lambda: "text", "fn returned str"),
        (lambda: [at.constant(1.0), "x"], r"fn returned \[Constant, str\]"),
        (lambda: (loopjax.until(at.constant(1) > 0), at.constant(1.0)), r"fn returned \(until, Constant\)"),
        (lambda: (1.0, {}, 2.0), r"fn returned \(float, dict, float\)"),
        (lambda: loopjax.until(at.constant(1) > 0), "fn returned until"),
        (lambda: (loopjax.until(at.constant(1) > 0),), r"fn returned \(until\)"),
    )

    @pytest.mark.parametrize(("fn", "found"), FOUND)
    def test_anything_else(self, fn, found):
        accepted = r"; it may return outputs, updates, .* until\(condition\) comes last"
        refused(ValueError, found + accepted, fn, n_steps=2)

    def test_updates(self):
        a, x = loopjax.shared(1, name="a"), at.dscalar("x")
        refused(ValueError, "updates that fn returns are keyed by shared variables, got <x", lambda: {x: x}, n_steps=2)
        refused(ValueError, r"<shared a: int64\(\)> is updated twice", lambda: [(a, a), (a, a + 1)], n_steps=2)
        message = (
            r"the update of <shared a: int64\(\)> is float64\(\); expected int64\(\). Cast it with .astype\('int64'\)"
        )
        refused(TypeError, message, lambda: {a: x}, n_steps=2)
        message = r"the update of <shared a: .* is int64\(2,\); expected int64\(\). Give a value of 0 dimensions"
        refused(TypeError, message, lambda: {a: at.constant([1, 2])}, n_steps=2)
        refused(
            ValueError,
            r"updates \[<shared a.*return_updates=False",
            lambda: {a: a + 1},
            n_steps=2,
            return_updates=False,
        )

    def test_a_condition_that_is_no_scalar(self):
        x = at.dvector("x")
        with pytest.raises(ValueError, match=rf"until\(\) takes a scalar condition, got <gt: .*; reduce it.*{LINE}"):
            loopjax.scan(lambda: (at.constant(1.0), loopjax.until(x > 0)), n_steps=2)
