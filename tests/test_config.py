"""config.floatX: from JAX's flag, in code, from the environment; and the integers that no setting changes."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at


@pytest.fixture
def double(monkeypatch):
    monkeypatch.setattr(loopjax.config, "_floatX", "float64")


def made():
    """What creation and results that turn integers into floats give."""
    k = at.lvector("k")
    stream = at.random.RandomStream(1)
    return {
        "vector": at.vector(),
        "zeros": at.zeros(2),
        "ones": at.ones(2),
        "eye": at.eye(2),
        "linspace": at.linspace(0, 1, 3),
        "arange of floats": at.arange(0.0, 1.0, 0.25),
        "constant": at.constant(1.0),
        "shared": loopjax.shared(1.0),
        "a list": at.as_tensor_variable([1.0, 2.0]),
        "mean": k.mean(),
        "division": k / 2,
        "exp": at.exp(k),
        "a number": k * 0.5,
        "normal": stream.normal(),
        "uniform": stream.uniform(size=2),
    }


def test_x64_decides_unless_set():
    assert not jax.config.jax_enable_x64
    assert {variable.dtype for variable in made().values()} == {"float32"}
    with jax.enable_x64(True):
        assert loopjax.config.floatX == "float64"
        assert {name: variable.dtype for name, variable in made().items() if variable.dtype != "float64"} == {}


def test_set_in_code(double):
    assert {name: variable.dtype for name, variable in made().items() if variable.dtype != "float64"} == {}


@pytest.mark.parametrize("floatx", ["float64", "float16", "int8"])
def test_set_by_the_environment(floatx):
    code = "import loopjax; print(loopjax.config.floatX, loopjax.tensor.vector().dtype)"
    environment = {**os.environ, "LOOPJAX_FLOATX": floatx}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    if floatx == "int8":
        assert "config.floatX is one of" in done.stderr
    else:
        assert done.stdout.split() == [floatx, floatx]


def test_integers_are_of_64_bits_whatever_floatx(double):
    b, x = at.bvector("b"), at.dmatrix("x")
    stream = at.random.RandomStream(1)
    whole = {
        "arange": at.arange(3),
        "shape": x.shape,
        "one size": x.shape[0],
        "argmax": at.argmax(x, axis=0),
        "argmin": at.argmin(x),
        "sum": b.sum(),
        "prod": b.prod(),
        "cumsum": b.cumsum(),
        "sum of truths": (x > 0).sum(),
        "poisson": stream.poisson(3.0),
        "binomial": stream.binomial(5, 0.5),
        "integers": stream.integers(3),
        "constant": at.constant(1),
        "shared": loopjax.shared(1),
    }
    assert {name: variable.dtype for name, variable in whole.items() if variable.dtype != "int64"} == {}
    names = [name for name in whole if name != "shared"]
    found = loopjax.function([b, x], [whole[name] for name in names])(np.ones(2, "int8"), np.ones((2, 2)))
    assert {str(value.dtype) for value in found} == {"int64"}


def test_promotion_as_the_lattice_of_jax_has_it():
    f, d, k = at.fvector("f"), at.dvector("d"), at.lvector("k")
    met = [f + k, f + 1, f + np.int64(1), f * 2.5, f * np.sqrt(2), f * np.float64(2), f + d, k + 1, f * np.array(2.0)]
    wanted = ["float32"] * 4 + ["float64"] * 3 + ["int64", "float64"]
    assert [variable.dtype for variable in met] == wanted
    found = loopjax.function([f, d, k], met)(np.ones(1, "float32"), [1.0], [1])
    assert [str(value.dtype) for value in found] == wanted


def test_an_unknown_setting_is_refused():
    with pytest.raises(
        AttributeError, match=r"no setting 'floatx'; .*did you mean 'floatX'\? \[test_config.py:\d+\](\n|$)"
    ):
        loopjax.config.floatx = "float64"
    with pytest.raises(TypeError, match=r"config\.verify is one of True, False, got str 'no'"):
        loopjax.config.verify = "no"
