"""The extra's tests, which are left out where PyTensor is not installed."""

import importlib.util

collect_ignore = [] if importlib.util.find_spec("pytensor") else ["test_loops.py", "test_graphs.py", "programs.py"]
