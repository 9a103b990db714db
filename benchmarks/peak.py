"""Peak memory of a process that builds and calls one contender."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.resident import most_resident
from benchmarks.workload import Scale


def peak(workload: str, contender: str, scale: Scale) -> int:
    """Bytes by which the peak memory of a new process grows."""
    command = [sys.executable, "-m", "benchmarks.peak", workload, contender, json.dumps(scale)]
    ran = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True)
    return int(ran.stdout.splitlines()[-1])


def main(workload: str, contender: str, scale: str) -> None:
    """Print the bytes. JAX's one-time setup and the workload's arrays are allocated before and do not count."""
    import jax

    from benchmarks.program import waited
    from benchmarks.workloads import WORKLOADS

    (found,) = (one for one in WORKLOADS if one.name == workload)
    build = found.make(Scale(*json.loads(scale)))._asdict()[contender]
    waited(jax.jit(lambda x: x @ x)(jax.numpy.ones((8, 8))))
    before = most_resident()
    waited(build().call())
    print(most_resident() - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
