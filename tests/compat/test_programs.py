"""Programs in the habits of Theano's time: run with their imports changed and nothing else, each trains."""

import importlib.util
import pathlib

import numpy as np
import pytest

PROGRAMS = sorted((pathlib.Path(__file__).parent / "programs").glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::loopjax.compat.notes.CompatNote")
def test_a_program_trains(path):
    spec = importlib.util.spec_from_file_location(f"program_{path.stem}", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    losses = np.asarray(program.train(), dtype="float64")
    assert np.all(np.isfinite(losses))
    tenth = max(1, len(losses) // 10)
    assert losses[-tenth:].mean() < 0.75 * losses[:tenth].mean()
