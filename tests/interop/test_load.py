"""``Function.export`` and ``load``: the program in another process, without its source."""

import pickle
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3)).astype("float32")
W = RNG.normal(size=(3, 3)).astype("float32")
ROUNDED = 5e-7
"""Four units in the last place of values from 1 to 2: XLA compiles an exported program with other options, and products
and sums may be rounded together in one of them."""


def recurrent():
    """A recurrent network with a default, two outputs and a counter."""
    x, scale = at.fmatrix("x"), at.fscalar("scale")
    weights, calls = loopjax.shared(W, name="W"), loopjax.shared(0, name="calls")
    h, _ = loopjax.scan(lambda x_t, h: at.tanh(x_t + h @ weights), x, at.zeros(3, dtype="float32"))
    inputs = [x, loopjax.In(scale, value=np.float32(2.0))]
    return loopjax.function(inputs, {"all": h, "last": h[-1] * scale}, updates={calls: calls + 1}, name="rnn")


def test_a_loaded_function_is_called_as_the_exported_one(tmp_path):
    exported, path = recurrent(), tmp_path / "rnn.npz"
    exported(X)
    exported.export(path, [X])
    loaded = loopjax.load(path)
    for args, named in [((X,), {}), ((), {"x": X, "scale": np.float32(3.0)})]:
        expected, found = exported(*args, **named), loaded(*args, **named)
        assert list(found) == list(expected)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, rtol=0, atol=ROUNDED)
    assert repr(loaded) == repr(exported)
    assert [int(variable.get_value()) for variable in loaded.get_shared() if variable.name == "calls"] == [3]


@pytest.mark.parametrize("size", [(), (4,), (2, 3), (0,)], ids=str)
def test_a_loaded_state_of_any_shape_is_updated(tmp_path, size):
    state = loopjax.shared(np.ones(size), name="state")
    noise = loopjax.random.RandomStream(1).normal(size=size)
    exported = loopjax.function([], state * noise, updates={state: state * 2})
    exported.export(tmp_path / "state.npz", [])
    loaded = loopjax.load(tmp_path / "state.npz")
    for _ in range(2):
        np.testing.assert_allclose(loaded(), exported(), rtol=1e-14)
    (held,) = (variable for variable in loaded.get_shared() if variable.name == "state")
    np.testing.assert_array_equal(held.get_value(), np.full(size, 4.0))


def test_a_process_without_the_source_runs_it(tmp_path):
    exported, path = recurrent(), tmp_path / "rnn.npz"
    exported.export(path, {"x": X})
    np.save(tmp_path / "x.npy", X)
    code = (
        "import sys, numpy as np, loopjax; f = loopjax.load(sys.argv[1]); x = np.load(sys.argv[2]);"
        "print(f(x)['last'].tolist())"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "x.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [float(one) for one in done.stdout.strip("[]\n").split(",")]
    np.testing.assert_allclose(found, exported(X)["last"], rtol=0, atol=ROUNDED)


def test_pytrees_in_a_process_without_the_source(tmp_path):
    weights, start, x = at.dmatrix("W"), at.dvector("start"), at.dmatrix("x")
    h, _ = loopjax.scan(lambda x_t, h: at.tanh(x_t + h @ weights), x, start)
    calls = loopjax.shared(0, name="calls")
    exported = loopjax.function(
        [{"W": weights, "start": start}, loopjax.In(x, value=X)],
        {"h": h, "last": (h[-1], [h.sum(), None])},
        updates={calls: calls + 1},
        name="rnn",
    )
    given = {"W": W.astype("float64"), "start": np.ones(3)}
    exported.export(tmp_path / "rnn.npz", [given, X.astype("float64")])
    code = (
        "import sys, numpy as np, loopjax; f = loopjax.load(sys.argv[1]); given = dict(np.load(sys.argv[2]));"
        "f(given); found = f(given); sums = found['last'][1];"
        "print(np.abs(found['h'] - np.load(sys.argv[3])).max(), float(sums[0]), sums[1], f.get_shared())"
    )
    np.savez(tmp_path / "given.npz", **given)
    expected = exported(given)
    np.save(tmp_path / "h.npy", expected["h"])
    command = [sys.executable, "-c", code, *(str(tmp_path / name) for name in ("rnn.npz", "given.npz", "h.npy"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    apart, total, none = done.stdout.split()[:3]
    assert float(apart) < 1e-15
    assert float(total) == pytest.approx(float(expected["last"][1][0]), rel=1e-14)
    assert none == "None"
    assert "calls" in done.stdout


@jax.tree_util.register_dataclass
@dataclass
class Line:
    slope: Any
    offset: Any


class Point(NamedTuple):
    x: Any
    y: Any


def test_pytrees_of_classes_need_their_registration(tmp_path):
    slope, offset, x = at.dscalars("slope", "offset", "x")
    f = loopjax.function([Line(slope, offset), x], Point(x, slope * x + offset), name="line")
    with pytest.raises(loopjax.errors.UnsupportedError, match=r"line: .*Line.*register_pytree_node_serialization"):
        f.export(tmp_path / "f.npz", [Line(1.0, 2.0), 3.0])
    assert not list(tmp_path.iterdir())
    encoded = {"serialize_auxdata": lambda data: b"", "deserialize_auxdata": lambda data: ()}
    jax.export.register_pytree_node_serialization(Line, serialized_name="tests.Line", **encoded)
    jax.export.register_namedtuple_serialization(Point, serialized_name="tests.Point")
    f.export(tmp_path / "f.npz", [Line(1.0, 2.0), 3.0], derivatives="reverse")
    found = loopjax.load(tmp_path / "f.npz")
    assert found(Line(2.0, 1.0), 3.0) == Point(3.0, 7.0)
    with pytest.raises(TypeError, match=r"line: argument 0 is .*expected .*Line"):
        found({"slope": 2.0, "offset": 1.0}, 3.0)
    slopes = jax.grad(lambda line: found(line, np.float32(3.0)).y)(Line(np.float32(2.0), np.float32(1.0)))
    assert slopes == Line(3.0, 1.0)


@pytest.mark.parametrize("kind", ["float64", "int8", "bfloat16", "until", "nested"])
def test_programs(tmp_path, kind):
    x = at.matrix("x", dtype=kind if kind in ("int8", "bfloat16") else "float64")
    value = jax.numpy.asarray(X * 10, x.dtype) if x.dtype != "float64" else X.astype("float64")
    if kind == "until":
        out, _ = loopjax.scan(
            lambda total, x: (total + x.sum(), loopjax.until(total > 3)),
            outputs_info=at.constant(0.0, dtype="float64"),
            non_sequences=x**2,
            n_steps=100,
        )
        out = out[-1]
    elif kind == "nested":
        out, _ = loopjax.scan(
            lambda row: loopjax.scan(lambda v, a: 0.5 * a + v, row, at.zeros((), dtype="float64"))[0], x
        )
    else:
        out, _ = loopjax.scan(lambda row, a: row + a, x, at.zeros(3, dtype=x.dtype))
    function = loopjax.function([x], out)
    function.export(tmp_path / "f.npz", [value])
    found = loopjax.load(tmp_path / "f.npz")(value)
    assert found.dtype == out.dtype
    np.testing.assert_allclose(np.asarray(found, "float64"), np.asarray(function(value), "float64"), rtol=1e-14)


def test_one_file_for_several_platforms(tmp_path):
    recurrent().export(tmp_path / "rnn.npz", [X], platforms=["cpu", "cuda"])
    assert loopjax.load(tmp_path / "rnn.npz")(X)["last"].shape == (3,)
    recurrent().export(tmp_path / "rnn.npz", [X], platforms=["cuda"])
    with pytest.raises(ValueError, match=r"rnn.* was exported for platforms .*cuda"):
        loopjax.load(tmp_path / "rnn.npz")(X)


def test_a_loaded_function_is_an_op_and_pickles(tmp_path):
    x = at.dvector("x")
    loopjax.function([x], (x**3).sum(), name="cubes").export(tmp_path / "f.npz", [np.ones(2)], derivatives="reverse")
    loaded = pickle.loads(pickle.dumps(loopjax.load(tmp_path / "f.npz")))
    slope = jax.grad(lambda v: loaded(v))(np.array([1.0, 2.0], "float32"))
    np.testing.assert_allclose(slope, [3.0, 12.0], rtol=1e-6)


def test_state_files_fit_both(tmp_path):
    exported = recurrent()
    exported(X)
    exported.export(tmp_path / "rnn.npz", [X])
    loaded = loopjax.load(tmp_path / "rnn.npz")
    loaded(X)
    loaded.save_state(tmp_path / "state.npz")
    exported.load_state(tmp_path / "state.npz")
    assert [int(one.get_value()) for one in exported.get_shared() if one.name == "calls"] == [2]
    exported.load_state(tmp_path / "rnn.npz")
    assert [int(one.get_value()) for one in exported.get_shared() if one.name == "calls"] == [1]


def test_a_call_with_other_shapes(tmp_path):
    recurrent().export(tmp_path / "rnn.npz", [X])
    with pytest.raises(ValueError, match=r"rnn: input 'x': expected shape float32\(5, 3\), got float32\(4, 3\)"):
        loopjax.load(tmp_path / "rnn.npz")(X[:4])


def test_programs_that_cannot_be_exported(tmp_path):
    n, v = at.lscalar("n"), at.fvector("v")
    steps = loopjax.function([n], at.arange(n))
    with pytest.raises(loopjax.errors.UnsupportedError, match=r"input 'n'.* decides .*givens={variable: 5}"):
        steps.export(tmp_path / "f.npz", [3])
    with pytest.raises(TypeError, match=r"input 'v'.*: expected float32\(\?,\), got ShapeDtypeStruct"):
        loopjax.function([v], v + 1).export(tmp_path / "f.npz", [jax.ShapeDtypeStruct((3, 3), "float32")])
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_program(tmp_path):
    recurrent().save_state(tmp_path / "state.npz")
    with pytest.raises(ValueError, match=r"state.npz' has format None of an exported program; expected 2"):
        loopjax.load(tmp_path / "state.npz")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("loopjax.runtime.export.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"load needs flatbuffers; install it with pip install 'loopjax\[export\]'"):
        loopjax.load(tmp_path / "any.npz")
