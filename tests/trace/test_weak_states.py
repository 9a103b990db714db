"""Initial values that are Python numbers take the dtype that fn returns, in inner loops too."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at


@pytest.mark.parametrize("dtype", ["int8", "float32", "float64", "complex64"])
def test_a_number_takes_the_dtype_of_the_result(dtype):
    x = at.tensor(dtype, shape=(None,), name="x")
    sums, _ = loopjax.scan(lambda x, total: total + x, sequences=x, outputs_info=0)
    assert sums.dtype == dtype
    np.testing.assert_array_equal(sums.eval({x: np.arange(4).astype(dtype)}), np.cumsum(np.arange(4)))


def test_a_number_of_a_wider_kind_does_not():
    x = at.lvector("x")
    with pytest.raises(
        TypeError, match=r"state 'total' \(outputs_info\[0\]\) starts as float.* but a step returns int64"
    ):
        loopjax.scan(lambda x, total: x, sequences=x, outputs_info=0.5)


def test_all_states_that_differ_are_named_at_once():
    with pytest.raises(TypeError, match=r"state 'a' .*Cast the result.*; state 'b' .*Start from a value of the shape"):
        loopjax.scan(
            lambda a, b: (a.astype("float64"), at.zeros((3,), "float32")),
            outputs_info=[at.fscalar("a"), at.tensor("float32", shape=(2,), name="b")],
            n_steps=2,
        )


def test_sums_in_the_body_and_inner_loops_follow():
    x = at.fvector("x")

    def step(x, total):
        inner, _ = loopjax.map(lambda a: (a + total).sum(), at.zeros((2, 1), "int8"))
        return inner.sum() / 2 + x

    sums, _ = loopjax.scan(step, sequences=x, outputs_info=0)
    assert sums.dtype == "float32"
    np.testing.assert_array_equal(sums.eval({x: np.float32([1, 2, 3])}), [1, 3, 6])


def test_a_state_of_an_inner_loop_that_would_change_its_dtype_is_an_error():
    def step(x, total):
        inner, _ = loopjax.scan(lambda h: h + total, outputs_info=at.constant(0, dtype="int64"), n_steps=2)
        return inner[-1] + x

    message = r"starts as int64\(\) but a step returns float32\(\), now that a number takes the dtype"
    with pytest.raises(TypeError, match=message):
        loopjax.scan(step, sequences=at.fvector("x"), outputs_info=0)


def test_a_cast_in_the_body_keeps_what_it_says():
    x = at.fvector("x")
    out, _ = loopjax.scan(lambda x, total: [total + x, at.cast(total, "int32")], sequences=x, outputs_info=[0, None])
    assert (out[0].dtype, out[1].dtype) == ("float32", "int32")
