"""PyMC models: log densities and gradients, and what the context manager changes and puts back."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytensor
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pymc as pm
    from pytensor.graph.fg import FunctionGraph

    import loopjax.pytensor
    from benchmarks.pytensor.models import MODELS
    from benchmarks.pytensor.posteriors import on_grid
    from loopjax.pytensor.dispatch import jax_dispatch

PAGE = Path(__file__).parents[2] / "docs" / "pytensor.md"

pytestmark = pytest.mark.filterwarnings("ignore")

QUICK = ["missing-values", "scalar-kalman", "steady-state", "renewal", "masked-likelihood"]
"""Models for the suite; ``python -m benchmarks.pytensor models`` has all."""


@pytest.mark.parametrize("name", QUICK)
def test_log_density_and_gradient(name):
    model = MODELS[name]()
    point = {key: value + 0.1 for key, value in model.initial_point().items()}
    with loopjax.pytensor.pymc():
        value, gradient = model.compile_logp(), model.compile_dlogp()
    reference = {"mode": "FAST_COMPILE"}
    np.testing.assert_allclose(value(point), model.compile_logp(**reference)(point), rtol=1e-8)
    np.testing.assert_allclose(gradient(point), model.compile_dlogp(**reference)(point), rtol=1e-8, atol=1e-8)


def test_everything_is_put_back_after_an_error():
    convert, mode = jax_dispatch(), pytensor.config.mode
    before = convert.dispatch(FunctionGraph)
    with loopjax.pytensor.pymc():
        assert convert.dispatch(FunctionGraph) is not before
    with pytest.raises(KeyError), loopjax.pytensor.pymc():
        raise KeyError
    assert convert.dispatch(FunctionGraph) is before
    assert pytensor.config.mode is mode or pytensor.config.mode == mode


def test_a_model_with_a_while_loop_is_sampled():
    """PyTensor's JAX mode refuses the model. Its prior is drawn from too."""
    pytest.importorskip("numpyro")
    options = {"draws": 300, "tune": 300, "chains": 1, "random_seed": 1, "progressbar": False}
    with MODELS["steady-state"](), loopjax.pytensor.pymc():
        prior = pm.sample_prior_predictive(50, random_seed=2)
        trace = pm.sample(nuts_sampler="numpyro", compute_convergence_checks=False, **options)
    expected = on_grid("steady-state", points=200)
    for name in "ab":
        mean = float(trace["posterior"][name].mean())
        assert abs(mean - expected.mean[name]) < 0.35 * expected.deviation[name]  # 4 errors of 130 effective draws
    assert 0 < float(prior["prior"]["a"].std()) < 0.5


def test_the_page_prints_what_its_comments_say(capsys):
    """Code blocks marked ``py``, which need the extra and are left to this test."""
    pytest.importorskip("numpyro")
    blocks = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    namespace = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), namespace)
    wanted = re.findall(r"^ *print\(.*\)  # (.*)$", "".join(blocks), flags=re.MULTILINE)
    assert len(wanted) == 4
    assert capsys.readouterr().out.splitlines() == wanted
