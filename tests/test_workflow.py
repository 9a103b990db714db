"""The rows of the hosted workflow: the oldest JAX and Python that the package accepts are among them."""

import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).parents[1]


def test_the_oldest_versions_that_the_package_accepts_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    oldest = re.search(r"jax>=([\d.]+)", project["project"]["dependencies"][0])[1]
    python = project["project"]["requires-python"].removeprefix(">=")
    rows = re.findall(r'python: "([\d.]+)", jax: "([^"]+)"', (ROOT / ".github/workflows/ci.yml").read_text())
    assert (python, f"jax=={oldest} jaxlib=={oldest}") in rows
    assert (python, "jax jaxlib") in rows
    assert project["tool"]["pytest"]["ini_options"]["filterwarnings"][0] == "error"
