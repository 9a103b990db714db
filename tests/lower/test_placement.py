"""Sharding in types: loops under an explicit mesh and within ``shard_map`` with its defaults, on eight devices."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAMS = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
import loopjax, loopjax.tensor as at

STEPS, ROWS, WIDTH = 12, 16, 3
rng = np.random.default_rng(0)
values = rng.normal(size=(STEPS, ROWS, WIDTH)).astype("float32")
weights = (0.3 * rng.normal(size=(WIDTH, WIDTH))).astype("float32")
mesh = jax.make_mesh((8,), ("data",))
x_of = jax.device_put(values, NamedSharding(mesh, P(None, "data")))
w_of = jax.device_put(weights, NamedSharding(mesh, P()))


def zeros(x, *leading):
    return at.zeros((*leading, x.shape[1], WIDTH), dtype="float32")


def states(x, W, step=lambda x_t, h, W: at.tanh(x_t + h @ W), **options):
    return loopjax.scan(step, x, options.pop("start", zeros(x)), W, **options)[0]


def nested(x_t, h, W):
    return 0.5 * h + loopjax.scan(lambda g, W: at.tanh(g @ W + x_t), None, at.zeros_like(h), W, n_steps=3)[0][-1]


def far(x, depth):
    return {"initial": zeros(x, depth), "taps": [-1, -depth]}


def until(x, W):
    def step(x_t, h, W):
        h = at.tanh(x_t + h @ W)
        return h, loopjax.until((h**2).mean() > 0.6)

    return states(x, W, step)[-1]


def written(x_t, h, W):
    h = at.concatenate([h[:, 1:], at.tanh(x_t @ W + h)[:, :1]], axis=1)
    return at.set_subtensor(h[:, 1], at.tanh((x_t @ W).sum(axis=1) + h[:, 0]))


def chosen(x_t, h, W):
    return at.switch(at.abs(h) > 0.5, at.exp(-x_t), at.tanh(x_t + h @ W))


# Rows of the results belong to rows of the values.
BY_ROW = {
    "all": lambda x, W: states(x, W),
    "best": lambda x, W: states(x, W).argmax(axis=0),
    "map": lambda x, W: loopjax.scan(lambda x_t, W: at.tanh(x_t @ W), x, None, W)[0],
    "linear": lambda x, W: states(x, W, lambda x_t, h, W: 0.5 * h + x_t * W[0, 0]),
    "far taps": lambda x, W: states(x, W, lambda x_t, h, late, W: at.tanh(x_t + h @ W + 0.5 * late), start=far(x, 5)),
    "written": lambda x, W: states(x, W, written),
    "chosen": lambda x, W: states(x, W, chosen)[-1],
}
DERIVED = ("map", "far taps", "written")


def by_parts(run):
    return [run(values[:, 2 * part : 2 * part + 2], weights) for part in range(8)]


def same(name, results, wanted):
    for one, other in zip(jax.tree.leaves(results), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5, err_msg=name)


def check(name, f, out):
    plain = f(values, weights)
    if name == "written":  # `jax.jit` sets no mesh: types have it all the same
        same(name, jax.jit(f)(x_of, w_of), plain)
    with jax.set_mesh(mesh):
        same(name, jax.jit(f)(x_of, w_of), plain)
    mapped = jax.shard_map(f, mesh=mesh, in_specs=(P(None, "data"), P()), out_specs=out)
    return jax.jit(mapped)(x_of, w_of), plain


def gradients(name, x, W, cost, wrt):
    # Of a device's own cost with respect to its own values; of shared weights, the sum over devices.
    f = loopjax.to_jax([x, W], [cost, *loopjax.grad(cost, wrt)])
    with jax.set_mesh(mesh):
        same(name, jax.jit(f)(x_of, w_of), f(values, weights))
    lead = lambda x, W: (f(x, W)[0][None], *f(x, W)[1:])
    out = P("data"), *(P() if one is W else P(None, "data") for one in wrt)
    got = jax.jit(jax.shard_map(lead, mesh=mesh, in_specs=(P(None, "data"), P()), out_specs=out))(x_of, w_of)
    costs, *parts = zip(*by_parts(f), strict=True)
    wanted = [sum(part) if one is W else jnp.concatenate(part, axis=1) for one, part in zip(wrt, parts, strict=True)]
    same(name, got, [jnp.stack(costs), *wanted])


for name, build in BY_ROW.items():
    x, W = at.ftensor3("x"), at.fmatrix("W")
    out = build(x, W)
    f = loopjax.to_jax([x, W], out)
    got, plain = check(name, f, P(*[None] * (out.ndim - 2), "data"))
    same(name, got, plain)
    if name in DERIVED:
        gradients(name, x, W, (out**2).sum(), [W, x])
        slopes = jax.grad(lambda x, W: (f(x, W) ** 2).sum(), (0, 1))
        with jax.set_mesh(mesh):
            same(name, jax.jit(slopes)(x_of, w_of), slopes(values, weights))
        specs = P(None, "data"), P()
        mapped = jax.jit(jax.shard_map(slopes, mesh=mesh, in_specs=specs, out_specs=specs))
        same(name, mapped(x_of, w_of), slopes(values, weights))

x, W = at.ftensor3("x"), at.fmatrix("W")
middle = 2 * at.tanh(x)
gradients("intermediate", x, W, (states(middle, W, nested)[-1] ** 2).sum(), [middle])
gradients("checkpoint", x, W, (states(x, W, checkpoint="sqrt")[-1] ** 2).sum(), [W, x])

# Each device stops after its own number of steps.
f = loopjax.to_jax([x, W], until(x, W))
mapped = jax.shard_map(f, mesh=mesh, in_specs=(P(None, "data"), P()), out_specs=P("data"))
same("until", jax.jit(mapped)(x_of, w_of), jnp.concatenate(by_parts(f)))
with jax.set_mesh(mesh):
    same("until", jax.jit(f)(x_of, w_of), f(values, weights))
gradients("until", x, W, (until(x, W) ** 2).sum(), [W])

# One opaque operation, of 64 bits while the flag is off: its results vary as its arguments do.
x, W = at.dtensor3("x"), at.dmatrix("W")
start = at.zeros((x.shape[1], WIDTH), dtype="float64")
f = loopjax.to_jax([x, W], (states(x, W, start=start)[-1] ** 2).mean())
apart = jax.shard_map(f, mesh=mesh, in_specs=(P(None, "data"), P()), out_specs=P())
try:
    jax.jit(apart)(x_of, w_of)
except ValueError as error:
    assert "require replication" in str(error)
else:
    raise AssertionError("a value of each device passes for one that all share")
mean = lambda x, W: jax.lax.pmean(f(x, W), "data")
mapped = jax.shard_map(mean, mesh=mesh, in_specs=(P(None, "data"), P()), out_specs=P())
same("wide", jax.jit(jax.grad(mapped, 1))(x_of, w_of), jax.grad(f, 1)(values, weights))

# Draws by rejection, with parameters that vary.
draws = loopjax.tensor.random.utils.RandomStream(1).vonmises(x, 2.0, size=x.shape)
g = loopjax.to_jax([x], draws)
state = g.init()
drawn = lambda state, x: g(state, x)[0]
mapped = jax.shard_map(drawn, mesh=mesh, in_specs=(P(), P(None, "data")), out_specs=P(None, "data"))
assert (abs(jax.jit(mapped)(state, x_of)) <= np.pi).all()
print("done")
"""


def test_programs_on_eight_devices() -> None:
    """Results are those of one device, gradients those that JAX has under a mesh."""
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_ENABLE_X64": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.split() == ["done"]
