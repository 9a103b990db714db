"""The scripts in ``examples/jax/``: LoopJAX with the libraries of the JAX world. Each asserts what it computes."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

NEEDS = {
    "blackjax_nuts": "blackjax",
    "data_parallel": "jax",
    "diffrax_in_loop": "diffrax",
    "equinox_module": "equinox",
    "export_reload": "flatbuffers",
    "nnx_module": "flax",
    "numpyro_nuts": "numpyro",
    "optax_training": "optax",
    "shard_map": "jax",
    "streaming": "jax",
    "two_processes": "jax",
}


def test_every_script_is_run():
    assert {path.stem for path in (ROOT / "examples" / "jax").glob("*.py")} == set(NEEDS)


@pytest.mark.parametrize(("script", "library"), NEEDS.items())
def test_script(script, library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed; it is in the extra loopjax[neighbours]")
    command = [sys.executable, "-m", f"examples.jax.{script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
