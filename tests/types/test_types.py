"""Type checkers use the package's types in a user's file: right lines have their types, wrong ones are errors."""

import pathlib
import shutil
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).parent / "user_program.py"
ROOT = PROGRAM.parents[2]


def output(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_mypy():
    pytest.importorskip("mypy")
    options = ["--strict", "--warn-unused-ignores", "--config-file=", "--follow-imports=silent"]
    code, text = output([sys.executable, "-m", "mypy", *options, str(PROGRAM)])
    assert code == 0, text


def test_pyright():
    if shutil.which("pyright") is None:
        pytest.skip("pyright is not installed")
    code, text = output(["pyright", "--pythonpath", sys.executable, str(PROGRAM)])
    if "error" not in text and code:
        pytest.skip(f"pyright did not start: {text[-200:]}")  # it fetches itself once
    assert code == 0, text
