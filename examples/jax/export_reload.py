"""A filter is exported with its state, and a process that has no source of it runs it.

Needs flatbuffers. Run it with ``python -m examples.jax.export_reload``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import loopjax
import loopjax.tensor as at

SERVER = """
import sys
import numpy as np
import loopjax
smooth = loopjax.load(sys.argv[1])
for _ in range(2):
    print(smooth(np.ones((4, 2)))[-1].tolist(), smooth.get_shared()[0].get_value().tolist())
"""


def main() -> list[str]:
    """Exports an exponential average that goes on where it stopped; returns what another process prints."""
    x, level = at.dmatrix("x"), loopjax.shared(np.zeros(2), name="level")
    levels, _ = loopjax.scan(lambda x_t, m: m + 0.5 * (x_t - m), x, level)
    smooth = loopjax.function([x], levels, updates={level: levels[-1]}, name="smooth")
    smooth(np.ones((4, 2)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "smooth.npz"
        smooth.export(path, [np.zeros((4, 2))], platforms=["cpu", "cuda"])
        done = subprocess.run([sys.executable, "-c", SERVER, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


if __name__ == "__main__":
    lines = main()
    print("\n".join(lines))
    expected = [1 - 0.5**8, 1 - 0.5**12]
    assert lines == [f"{[value, value]} {[value, value]}" for value in expected]
