"""Two processes train one model, each with half of every batch, on the CPU by ``jax.distributed``.

The series differ in length from batch to batch: from the third length on one program serves all. Both processes make
the same calls, as JAX asks for. Run it with ``python -m examples.jax.two_processes``, which starts both.
"""

from __future__ import annotations

import socket
import subprocess
import sys

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import loopjax
import loopjax.tensor as at

LENGTHS = [3, 5, 7, 8, 6, 7]
"""Of the series, batch by batch."""


def train(place: NamedSharding | None) -> tuple[list[float], loopjax.Function]:
    """Trains by gradient descent, with series that are sharded by ``place``; the losses and the function."""
    x, w = at.fmatrix("x"), loopjax.shared(np.float32(0.5), name="w")
    levels, _ = loopjax.scan(lambda x_t, h: at.tanh(x_t + w * h), x, at.zeros(x.shape[1], dtype="float32"))
    loss = (levels[-1] ** 2).mean()
    step = loopjax.function([x], loss, updates={w: w - at.constant(0.5, dtype="float32") * loopjax.grad(loss, w)})
    losses = []
    for seed, length in enumerate(LENGTHS):
        series = np.random.default_rng(seed).normal(size=(length, 8)).astype("float32")
        if place is not None:  # each process makes the part of its own devices
            series = jax.make_array_from_callback(series.shape, place, series.__getitem__)
        losses.append(float(step(series)))
    return losses, step


def process(number: int, port: str) -> None:
    """One of the two processes, with two devices."""
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=number)
    mesh = jax.make_mesh((4,), ("series",))
    losses, step = train(NamedSharding(mesh, PartitionSpec(None, "series")))
    assert step.bucket.padded.axes, "one program serves many lengths"
    print("losses", *losses)


def main() -> list[float]:
    """Starts both processes, and compares their losses with those of one process."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "examples.jax.two_processes"]
    running = [
        subprocess.Popen([*command, str(number), port], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(2)
    ]
    wanted, _ = train(None)
    for one in running:
        printed, errors = one.communicate(timeout=120)
        assert one.returncode == 0, errors
        (line,) = (line for line in printed.splitlines() if line.startswith("losses"))
        np.testing.assert_allclose([float(word) for word in line.split()[1:]], wanted, rtol=1e-5)
    return wanted


if __name__ == "__main__":
    if len(sys.argv) > 1:
        process(int(sys.argv[1]), sys.argv[2])
    else:
        print("two processes and one have the same losses:", *(f"{loss:.3f}" for loss in main()))
