"""Docstrings: their examples run, and those of public names have the sections of the NumPy style."""

import doctest
import importlib
import inspect
import io
import pkgutil
import re
import types

import pytest

import loopjax
import loopjax.checkpoint
import loopjax.random
import loopjax.tensor as at

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

MODULES = ["loopjax", *sorted(one.name for one in pkgutil.walk_packages(loopjax.__path__, "loopjax."))]
MODULES = [name for name in MODULES if not name.startswith("loopjax.pytensor")]  # an extra: tests/pytensor

NAMESPACES = {
    "loopjax": loopjax,
    "loopjax.tensor": at,
    "loopjax.tensor.linalg": at.linalg,
    "loopjax.tensor.nnet": at.nnet,
    "loopjax.random": loopjax.random,
    "loopjax.checkpoint": loopjax.checkpoint,
}

PUBLIC = {f"{where}.{name}": getattr(space, name) for where, space in NAMESPACES.items() for name in space.__all__}
PUBLIC |= {
    f"loopjax.random.RandomStream.{name}": method
    for name, method in inspect.getmembers(loopjax.random.RandomStream, inspect.isfunction)
    if not name.startswith("_")
}

TYPED = {getattr(at, prefix + noun) for prefix in at.constructors.PREFIXES for noun in at.constructors.SHAPES}


def doctests(module):
    """The examples in a module's docstrings, of functions too that another module makes for it."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = finder.find(module, globs={})
    seen = {test.docstring for test in found}
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) == module.__name__ and getattr(value, "__doc__", None) not in seen:
            more = finder.find(value, f"{module.__name__}.{name}", module=False, globs={})
            seen |= {test.docstring for test in more}
            found += more
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    """With nothing but what they import themselves."""
    printed = io.StringIO()
    for test in doctests(importlib.import_module(name)):
        doctest.DocTestRunner(verbose=False, optionflags=FLAGS).run(test, out=printed.write)
    assert not printed.getvalue(), printed.getvalue()


def test_the_example_of_every_public_function_is_run():
    run = {test.docstring for name in MODULES for test in doctests(importlib.import_module(name))}
    missed = [
        name
        for name, value in PUBLIC.items()
        if callable(value) and not isinstance(value, types.ModuleType)
        if value.__doc__ not in run
    ]
    assert not missed


def sections(value):
    """The texts under the headings of a docstring, by heading."""
    found = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.getdoc(value) or "", flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def documented(text):
    """The names that a section of parameters lists, in order."""
    heads = re.findall(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: :.*)?$", text, flags=re.MULTILINE)
    return [name for head in heads for name in head.split(", ")]


def parameters(value):
    """The names in a signature as a docstring lists them."""
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    found = inspect.signature(value).parameters.values()
    return [stars.get(one.kind, "") + one.name for one in found if one.name != "self"]


def faults(value):
    """What the docstring of a public name misses.

    A function has the four sections (a constructor of inputs of a fixed type three), a class those that say how to make
    one and use it, a constant the example of the class that it is of, a module a text.
    """
    if isinstance(value, (types.ModuleType, dict)):
        return [] if (inspect.getdoc(value) or "").strip() else ["text"]
    there = sections(value)
    if not callable(value):
        return [] if ">>>" in there.get("Examples", "") else ["Examples"]
    takes = parameters(value)
    wanted = ["Parameters"] * bool(takes) + ([] if inspect.isclass(value) else ["Returns", "Raises"]) + ["Examples"]
    if value in TYPED:  # makes an input of a fixed type, which cannot fail
        wanted.remove("Raises")
    missing = [one for one in wanted if not there.get(one, "").strip()]
    if "Parameters" in there and documented(there["Parameters"]) != takes:
        missing.append(f"Parameters {takes}")
    if "Examples" in there and ">>>" not in there["Examples"]:
        missing.append(">>>")
    return missing


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_public_name_is_documented(name):
    assert not faults(PUBLIC[name])
