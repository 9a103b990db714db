"""map, reduce, foldl and foldr: what each takes over from scan, and what it returns."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import MissingInputError

VIEWS = ["map", "reduce", "foldl", "foldr"]
DIGITS = np.array([1.0, 2.0, 3.0])


def zero():
    return at.constant(0.0, dtype="float64")


def called(view, fn, *args, **options):
    """The view with a state where it takes one; ``fn`` gets the element alone, and adds it to ten times the state."""
    if view == "map":
        return loopjax.map(fn, *args, **options)
    return getattr(loopjax, view)(lambda a, h, *rest: 10 * h + fn(a, *rest), args[0], zero(), *args[1:], **options)


@pytest.mark.parametrize(
    ("view", "expected"), [("map", [2, 4, 6]), ("reduce", 246), ("foldl", 246), ("foldr", 642)], ids=VIEWS
)
def test_outputs_and_updates(view, expected):
    result, updates = called(view, lambda a: 2 * a, DIGITS)
    np.testing.assert_array_equal(result.eval(), expected)
    assert updates == {}


@pytest.mark.parametrize(
    ("view", "expected"), [("map", [1, 2]), ("reduce", 12), ("foldl", 12), ("foldr", 32)], ids=VIEWS
)
def test_n_steps(view, expected):
    np.testing.assert_array_equal(called(view, lambda a: a, DIGITS, n_steps=2)[0].eval(), expected)


@pytest.mark.parametrize("view", VIEWS)
def test_strict_and_name(view):
    w = loopjax.shared(2.0, name="w", dtype="float64")
    with pytest.raises(
        MissingInputError, match=r"^scan 'sums' is strict and its fn.* uses \[<shared w.*test_views.py:\d+\](\n|$)"
    ):
        called(view, lambda a: a * w, DIGITS, strict=True, name="sums")
    passed, _ = called(view, lambda a, w: a * w, DIGITS, w, strict=True)
    assert np.ravel(passed.eval())[0] in (2, 246, 642)


@pytest.mark.parametrize("view", VIEWS)
def test_errors_name_the_scan_and_the_line(view):
    with pytest.raises(TypeError, match=r"^scan 'sums': .*does not take the . arguments.* \[test_views.py:\d+\](\n|$)"):
        getattr(loopjax, view)(lambda a, b, c: a, DIGITS, *([] if view == "map" else [zero()]), name="sums")
    with pytest.raises(ValueError, match=r"^scan 'sums': sequences\[0\] is the scalar .* \[test_views.py:\d+\](\n|$)"):
        called(view, lambda a: a, zero(), name="sums")


@pytest.mark.parametrize("view", VIEWS)
def test_updates_of_shared_variables_and_streams(view):
    count, stream = loopjax.shared(0.0, dtype="float64"), at.random.RandomStream(3)

    def fn(a):
        return a + 0 * stream.normal(dtype="float64")

    _, updates = called(view, fn, DIGITS)
    assert len(updates) == 1
    if view == "map":
        _, updates = loopjax.map(lambda a: {count: count + a}, DIGITS)
    else:
        _, updates = getattr(loopjax, view)(lambda a, h: (h + a, {count: count + h}), DIGITS, zero())
    (new,) = updates.values()
    assert float(new.eval()) == {"map": 6, "foldr": 8}.get(view, 4)


@pytest.mark.parametrize("view", VIEWS)
def test_mode_is_accepted(view):
    called(view, lambda a: a, DIGITS, mode="FAST_RUN")


def test_directions_of_map_and_reduce():
    np.testing.assert_array_equal(loopjax.map(lambda a: a, DIGITS, go_backwards=True)[0].eval(), [3, 2, 1])
    last, _ = loopjax.reduce(lambda a, h: 10 * h + a, DIGITS, zero(), go_backwards=True)
    assert float(last.eval()) == 321


def test_the_last_of_several_states():
    (total, power), _ = loopjax.reduce(lambda a, s, p: (s + a, p * 2), [1, 2, 3], [0, 1])
    assert (int(total.eval()), int(power.eval())) == (6, 8)


def test_several_sequences_with_taps():
    x = {"input": np.arange(5.0), "taps": [-1, 0]}
    out, _ = loopjax.map(lambda old, new, y: old + new * y, [x, np.ones(9)])
    np.testing.assert_array_equal(out.eval(), [1, 3, 5, 7])
