"""scan_checkpoints: the limits of Theano's are lifted, and each refusal names the scan and the line."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

LINE = r" \[test_scan_checkpoints.py:\d+\](\n|$)"


def zero():
    return at.constant(0.0, dtype="float64")


def kept(n_steps, every):
    return [t for t in range(n_steps) if (t + 1) % every == 0 or t == n_steps - 1]


@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize("every", [1, 2, 3, 7, 10])
@pytest.mark.parametrize("n_steps", [1, 6, 7])
def test_any_number_of_steps(n_steps, every, padding):
    k = at.lscalar("k")
    for steps in (n_steps, k):
        out, updates = loopjax.scan_checkpoints(
            lambda h: h + 1, outputs_info=zero(), n_steps=steps, save_every_N=every, padding=padding
        )
        assert updates == {}
        found = loopjax.function([k], out, on_unused_input="ignore")(n_steps)
        np.testing.assert_array_equal(found, np.array(kept(n_steps, every)) + 1)


def test_ten_by_default():
    out, _ = loopjax.scan_checkpoints(lambda h: h + 1, outputs_info=zero(), n_steps=25)
    np.testing.assert_array_equal(out.eval(), [10, 20, 25])


def test_sequences_of_unequal_lengths_with_taps_and_states_with_taps():
    x, y = np.arange(9.0), np.linspace(0, 1, 20)
    out, _ = loopjax.scan_checkpoints(
        lambda a, b, c, p, q: a * b + c + p - q,
        sequences=[{"input": x, "taps": [-2, 0]}, y],
        outputs_info={"initial": np.array([1.0, 2.0]), "taps": [-2, -1]},
        save_every_N=3,
    )
    history = [1.0, 2.0]
    for t in range(7):
        history.append(x[t] * x[t + 2] + y[t] + history[-2] - history[-1])
    np.testing.assert_allclose(out.eval(), np.array(history[2:])[kept(7, 3)], rtol=1e-12)


def test_fewer_steps_than_the_sequences_have():
    out, _ = loopjax.scan_checkpoints(lambda a, h: h + a, np.arange(9.0), zero(), n_steps=5, save_every_N=2)
    np.testing.assert_array_equal(out.eval(), [1, 6, 10])


def test_several_outputs_and_updates():
    count = loopjax.shared(0)
    (total, double), updates = loopjax.scan_checkpoints(
        lambda h, w: ([h + w, h * 2], {count: count + 1}), None, [zero(), None], [2.0], "sums", 5, 2
    )
    np.testing.assert_array_equal(total.eval(), [4, 8, 10])
    np.testing.assert_array_equal(double.eval(), [4, 12, 16])
    assert int(updates[count].eval()) == 5


@pytest.mark.parametrize("every", [0, -3, 2.0, True])
def test_a_distance_that_is_none(every):
    kind = ValueError if every in (0, -3) else TypeError
    with pytest.raises(kind, match=rf"^scan\w* 'few': save_every_N is an int.*, got .*{every}.*{LINE}"):
        loopjax.scan_checkpoints(lambda h: h, outputs_info=zero(), n_steps=3, save_every_N=every, name="few")


def test_until_and_what_scan_refuses():
    with pytest.raises(ValueError, match=rf"^scan 'few': a loop that stops by until has no fixed steps to keep{LINE}"):
        loopjax.scan_checkpoints(lambda h: (h, loopjax.until(h > 1)), outputs_info=zero(), n_steps=3, name="few")
    with pytest.raises(ValueError, match=rf"^scan 'few' has neither sequences nor n_steps.*{LINE}"):
        loopjax.scan_checkpoints(lambda h: h, outputs_info=zero(), name="few")
    with pytest.raises(TypeError, match=rf"^scan 'few': state 'h' \(outputs_info\[0\]\) starts as float64.*{LINE}"):
        loopjax.scan_checkpoints(lambda h: h.astype("float32"), outputs_info=zero(), n_steps=3, name="few")
