"""The extra's tests, which are left out where PyTensor is not installed."""

import importlib.util

WITHOUT_PYTENSOR = ["programs.py", "test_graphs.py", "test_loops.py"]

collect_ignore = [] if importlib.util.find_spec("pytensor") else WITHOUT_PYTENSOR
if importlib.util.find_spec("pymc") is None:
    collect_ignore = [*collect_ignore, "test_pymc.py"]
