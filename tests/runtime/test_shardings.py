"""``in_shardings`` and ``out_shardings``, and shared variables that are sharded."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding

import loopjax
import loopjax.tensor as at

EIGHT = """
import jax, numpy as np, loopjax, loopjax.tensor as at
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P

x = at.dmatrix("x")
for kind in AxisType.Auto, AxisType.Explicit:
    mesh = jax.make_mesh((8,), ("data",), axis_types=(kind,))
    columns, everywhere = NamedSharding(mesh, P(None, "data")), NamedSharding(mesh, P())
    made = []
    for sharded in False, True:
        first = jax.device_put(np.ones(16, "float32"), NamedSharding(mesh, P("data")) if sharded else None)
        w = loopjax.shared(first)
        states, _ = loopjax.scan(lambda x_t, h: at.tanh(x_t + w * h), x, at.zeros(x.shape[1], dtype="float64"))
        cost = (states[-1] ** 2).mean()
        updates = {w: w - loopjax.grad(cost, w).astype("float32")}
        shardings = dict(in_shardings=[columns], out_shardings={"s": columns, "c": everywhere}) if sharded else {}
        f = loopjax.function([x], {"s": states, "c": cost}, updates=updates, results="jax", **shardings)
        made.append([f(np.linspace(-1, 1, n * 16).reshape(n, 16)) for n in (3, 4, 5, 7, 5)])
        assert f.bucket.padded.axes
        made[-1].append(w.get_value(borrow=True))
        assert made[-1][-1].sharding == first.sharding
    assert all(one["s"].sharding == columns and one["c"].sharding == everywhere for one in made[1][:-1])
    for one, other in zip(*map(jax.tree.leaves, made), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-5)
print("done")
"""


def test_eight_devices_compute_what_one_does():
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_ENABLE_X64": "0"}
    done = subprocess.run([sys.executable, "-c", EIGHT], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.split() == ["done"]


MESH = jax.make_mesh((1,), ("data",))
ROWS, ALL = (NamedSharding(MESH, PartitionSpec(*axes)) for axes in (("data",), ()))


def shardings_of(results):
    return jax.tree.map(lambda array: getattr(array, "sharding", None), results)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (ROWS, {"b": ROWS, "a": ROWS}),
        ({"b": ROWS, "a": ALL}, {"b": ROWS, "a": ALL}),
        ({"b": None, "a": ALL}, {"b": None, "a": ALL}),
        (jax.devices()[0], {"b": SingleDeviceSharding(jax.devices()[0]), "a": SingleDeviceSharding(jax.devices()[0])}),
    ],
)
def test_results_have_a_sharding_each(given, wanted):
    x = at.fvector("x")
    f = loopjax.function([x], {"b": x + 1, "a": x * 2}, out_shardings=given)
    for _ in range(3):
        found = f(np.ones(3, "float32"))
        assert list(found) == ["b", "a"]
        np.testing.assert_array_equal(found["b"], [2, 2, 2])
        shown = shardings_of(found)
        assert {key: shown[key] for key, value in wanted.items() if value} == {k: v for k, v in wanted.items() if v}


def test_one_sharding_for_all_leaves_of_an_argument():
    weights, x = {"W": at.fvector("W"), "b": at.fvector("b")}, at.fvector("x")
    f = loopjax.function([weights, x], [weights["W"], weights["b"], x], in_shardings=(ROWS, None))
    row = np.ones(2, "float32")
    W, b, _ = f({"W": row, "b": row}, row)
    assert W.sharding == b.sharding == ROWS
    traced = jax.jit(f)({"W": row, "b": row}, row)
    np.testing.assert_array_equal(traced, np.ones((3, 2)))


@pytest.mark.parametrize("option", ["in_shardings", "out_shardings"])
def test_what_is_no_sharding_and_what_does_not_fit(option):
    x, y = at.fvector("x"), at.fvector("y")
    with pytest.raises(TypeError, match=rf"f: {option} holds str 'data'; expected shardings, .*write jax.sharding"):
        loopjax.function([x, y], [x, y], name="f", **{option: "data"})
    with pytest.raises(ValueError, match=rf"f: {option}: expected one sharding, or a list of 2 with .*, got \[NamedSh"):
        loopjax.function([x, y], [x, y], name="f", **{option: [ROWS]})
