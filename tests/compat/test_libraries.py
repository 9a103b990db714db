"""Conventions of Theano, Aesara and PyTensor hold in their modules, and nowhere else."""

import importlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

import loopjax
import loopjax.compat
import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
import loopjax.tensor as at
from loopjax.compat.notes import CompatNote

LIBRARIES = [importlib.import_module(f"loopjax.compat.{name}") for name in loopjax.compat.LIBRARIES]


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
def test_float_x_is_float64_and_results_are_arrays_that_can_be_written_to(library):
    x = library.tensor.vector("x")
    result = library.function([x], x / 2)([1, 2])
    assert x.dtype == "float64"
    assert isinstance(result, np.ndarray)
    result[0] = 7
    assert list(result) == [7, 1]


def test_float_x_of_a_library_is_its_own():
    before = at.vector("x").dtype
    with theano.config.change_flags(floatX="float32"):
        assert T.vector("x").dtype == "float32"
        assert T.zeros(3).dtype == "float32"
    assert T.zeros(3).dtype == "float64"
    assert at.vector("x").dtype == before


def test_variables_of_theano_are_true_and_those_of_the_core_have_no_truth_value():
    x = T.dvector("x")
    assert x
    assert T.exp(x).sum()
    assert theano.shared(0.0)
    for comparison in (x > 0, x[0] <= 1):
        with pytest.raises(TypeError, match="no truth value"):
            bool(comparison)
    with pytest.raises(TypeError, match="no truth value"):
        bool(at.dvector("x"))


def test_the_step_of_a_loop_receives_variables_of_the_library():
    seen = []

    def step(x, total):
        seen.extend([x, total])
        return total + x

    x = T.dvector("x")
    sums, updates = theano.scan(step, x, [T.zeros(())])
    assert all(variable for variable in seen)
    np.testing.assert_allclose(theano.function([x], sums, updates=updates)([1, 2, 3]), [1, 3, 6])


def test_equality_with_a_number_is_identity_and_says_so():
    with pytest.warns(CompatNote, match="compares identity"):
        assert not T.dscalar() == 0  # noqa: SIM201


@pytest.mark.parametrize(
    ("cost", "slope"),
    [
        (lambda x: abs(x).sum(), [-1, 0, 1]),
        (lambda x: T.maximum(x, 0).sum(), [0, 1, 1]),
        (lambda x: T.minimum(x, 0).sum(), [1, 1, 0]),
        (lambda x: T.clip(x, 0, 2).sum(), [0, 1, 1]),
        (lambda x: T.nnet.relu(x).sum(), [0, 0.5, 1]),
        (lambda x: T.max(abs(x)), [-1, 0, 1]),
        (lambda x: (-x).max(), [-1, 0, 0]),
    ],
)
def test_slopes_at_kinks(cost, slope):
    x = T.dvector("x")
    np.testing.assert_allclose(theano.function([x], theano.grad(cost(x), x))([-2.0, 0.0, 2.0]), slope)


def test_a_maximum_over_infinities_is_no_nan():
    x = T.dvector("x")
    assert theano.function([x], x.max())([-np.inf, -np.inf]) == -np.inf
    assert np.isnan(theano.function([x], T.maximum(x, 0).sum())([np.nan]))


def test_softmax_of_a_vector_is_a_row_in_theano_only():
    x = T.dvector("x")
    assert theano.function([x], T.nnet.softmax(x))([0, 0]).shape == (1, 2)
    aesara = importlib.import_module("loopjax.compat.aesara")
    y = aesara.tensor.dvector("y")
    assert aesara.function([y], aesara.tensor.nnet.softmax(y))([0, 0]).shape == (2,)


def test_eval_advances_streams_and_compiles_once():
    draw = T.shared_randomstreams.RandomStreams(3).normal((2,))
    assert not np.array_equal(draw.eval(), draw.eval())


def test_an_input_with_an_update_keeps_its_value():
    i = T.dscalar("i")
    count = theano.function([theano.In(i, value=1.0, update=i + 1)], i)
    assert [float(count()) for _ in range(3)] == [1, 2, 3]
    assert float(count["i"]) == 4


def test_a_call_that_fails_keeps_the_value_of_an_input_with_an_update():
    x, total = T.dscalar("x"), T.dscalar("total")
    add = theano.function([x, theano.In(total, value=1.0, update=total + x)], total)
    with pytest.raises(TypeError, match="pass one number"):
        add("a", total=100.0)
    assert float(add["total"]) == 1
    assert float(add(2.0, total=10.0)) == 10
    assert float(add["total"]) == 12


def test_an_exact_input_refuses_what_it_cannot_hold_in_later_calls_too():
    rate = T.fscalar("rate")
    exact = theano.function([theano.In(rate, allow_downcast=False)], rate * 2)
    assert exact(0.5) == 1
    with pytest.raises(TypeError, match="lose precision"):
        exact(0.1)


def test_every_mode_is_accepted_and_an_unknown_one_refused():
    x = T.dscalar("x")
    for mode in ("FAST_RUN", "FAST_COMPILE", theano.Mode(), theano.compile.get_default_mode().excluding("licm")):
        assert theano.function([x], x + 1, mode=mode)(1) == 2
    with pytest.warns(CompatNote, match="check='nan'"):
        theano.function([x], x + 1, mode="NanGuardMode")
    with pytest.raises(ValueError, match="did you mean 'FAST_RUN'"):
        theano.function([x], x + 1, mode="FAST_RUNN")


def test_flags_are_kept_and_an_unknown_one_suggests_the_nearest():
    theano.config.warn.subtensor_merge_bug = False
    assert theano.config.warn__subtensor_merge_bug is False
    assert theano.config.scan.allow_gc is False
    with pytest.raises(AttributeError, match="did you mean 'floatX'"):
        _ = theano.config.floatx


def test_an_unknown_name_suggests_the_nearest_and_wrap_jax():
    with pytest.raises(AttributeError, match=r"nearest name is 'softplus'.*wrap_jax"):
        _ = T.nnet.softpluss


def test_variables_pickle_as_those_of_their_library():
    x, w = T.dvector("x"), theano.shared(np.ones(2))
    back, state = pickle.loads(pickle.dumps((T.exp(x), w)))
    assert back
    assert isinstance(back, theano.Variable)
    assert isinstance(state, theano.compile.SharedVariable)
    f = pickle.loads(pickle.dumps(theano.function([x], x * 2)))
    assert isinstance(f([1.0]), np.ndarray)


def test_install_lets_programs_import_theano():
    code = (
        "import loopjax.compat; loopjax.compat.install('theano')\n"
        "import theano, theano.tensor as T\n"
        "from theano.tensor.shared_randomstreams import RandomStreams\n"
        "from theano.sandbox.cuda.dnn import dnn_conv\n"
        "from theano.ifelse import ifelse\n"
        "assert not theano.sandbox.cuda.cuda_available\n"
        "x = T.dscalar(); print(theano.function([x], ifelse(x > 0, x, -x))(-2.0))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "2.0", done.stderr


def test_an_assertion_is_checked_when_the_program_runs():
    x = T.dscalar("x")
    f = theano.function([x], T.opt.Assert("x is negative")(x, x >= 0))
    assert f(2.0) == 2
    with pytest.raises(Exception, match="x is negative"):
        f(-1.0)


def test_a_module_does_not_hide_a_class_of_its_name():
    powers, _ = theano.scan(
        lambda p: (p * 2, theano.scan_module.until(p * 2 > 8)), outputs_info=T.constant(1.0), n_steps=20
    )
    assert list(powers.eval()) == [2, 4, 8, 16]


def test_a_float_ends_a_loop_where_it_is_not_0():
    powers, _ = theano.scan(
        lambda p: (p / 2, theano.scan_module.until(p - 4.0)), outputs_info=T.constant(4.0), n_steps=20
    )
    assert theano.function([], powers)().tolist() == [2.0, 1.0]


def test_what_is_not_here_says_so_when_it_is_used():
    with pytest.raises(loopjax.errors.UnsupportedError, match="dense"):
        importlib.import_module("loopjax.compat.theano.sparse").CSR("x")


def test_bits_of_a_pointer_are_known():
    assert theano.configdefaults.local_bitwidth() == 64
