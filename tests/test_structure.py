"""The structure as architecture has it: imports run one way, nothing private of JAX, nothing done on import."""

import ast
import graphlib
import os
import pathlib
import statistics
import subprocess
import sys

import pytest

import loopjax

ROOT = pathlib.Path(loopjax.__file__).parent

FOLDERS = [
    ("error_codes",),
    ("errors",),
    ("config",),
    ("ir",),
    ("trace",),
    ("tensor", "checkpoint", "shapes", "lower"),
    ("random", "rewrite"),
    ("runtime",),
    ("interop", "report", "testing"),
    ("calibrate",),
    ("compat", "pytensor"),
    ("port",),
]
"""The folders from the ground up: each imports from itself and from floors below."""

FLOOR = {place: floor for floor, places in enumerate(FOLDERS) for place in places}


def imports(path):
    """The loopjax modules that a file imports while it runs, not for type checking alone."""
    tree = ast.parse(path.read_text())
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in guarded:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    place = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for module in imports(path):
        assert not module.startswith("jax._src")
        if place not in FLOOR or not module.startswith("loopjax."):
            continue
        target = module.split(".")[1]
        upward = (place, target) == ("tensor", "random") and path.name == "__init__.py"  # the name `at.random`
        assert target == place or upward or FLOOR[target] < FLOOR[place], f"{path.name} imports {module}"


def test_the_tensor_namespace_alone_reaches_random():
    """``at.random`` is the one upward name, in the package's list of names and nowhere else."""
    upward = [path.name for path in (ROOT / "tensor").glob("*.py") if "loopjax.random" in set(imports(path))]
    assert upward in ([], ["__init__.py"])


def test_import_changes_no_setting_of_jax():
    code = "import jax; before = dict(jax.config.values); import loopjax; assert dict(jax.config.values) == before"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_import_costs_little_more_than_jax(tmp_path):
    """Processor time, with compiled bytecode as an installed package has it; the figure to reach is 1.15.

    One process imports JAX and then LoopJAX, so both meet the same machine; the median of several processes counts.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    code = "import time, jax; jax_alone = time.process_time(); import loopjax; print(time.process_time() / jax_alone)"

    def ratio():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
        return float(done.stdout)

    ratio()  # which compiles the bytecode
    typical = statistics.median(ratio() for _ in range(11))
    assert typical <= 1.15, f"import loopjax takes {typical:.2f} times import jax"


def imported(path):
    """The modules of the package that a file imports anywhere: in functions and for type checking too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


MODULES = {
    ".".join(("loopjax", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in FILES
}


def test_no_import_circle():
    """Type-checking imports count: a circle of types is a circle of concepts."""
    order = graphlib.TopologicalSorter(
        {module: {name for name in imported(path) if name in MODULES} - {module} for module, path in MODULES.items()}
    )
    order.prepare()
