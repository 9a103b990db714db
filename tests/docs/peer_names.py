"""Writes ``docs/names.md``: for each function of Aesara and PyTensor where it is, or why it is not.

    python -m tests.docs.peer_names

``peer_names.json`` has the names of Aesara 2.9.4 and PyTensor 3.0.7, by module; ``_methods`` are those of variables.
"""

import importlib
import json
import pathlib
import textwrap
import warnings

import loopjax.tensor as at

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "names.md"
NAMES = json.loads((HERE / "peer_names.json").read_text())

LEFT_OUT = {
    "as_symbolic": "register a Python object as a variable: pass variables",
    "crossentropy_categorical_1hot_grad": "the derivative is `grad`'s",
    "crossentropy_softmax_1hot_with_bias_dx": "the derivative is `grad`'s",
    "crossentropy_to_crossentropy_with_softmax": "a rewrite of the peer's graphs",
    "crossentropy_to_crossentropy_with_softmax_with_bias": "a rewrite of the peer's graphs",
    "function_dump": "use `f.export` of the core's function",
    "hyp2f1_der": "the derivative is `grad`'s",
    "load": "use `numpy.load` and `shared`",
    "ordqz": "JAX has no QZ decomposition",
    "pack": "use `concatenate` and `split`",
    "qz": "JAX has no QZ decomposition",
    "softmax_grad_legacy": "the derivative is `grad`'s",
    "softmax_simplifier": "a rewrite of the peer's graphs",
    "tridiagonal_lu_factor": "use `wrap_jax(jax.lax.linalg.tridiagonal_solve)`",
    "tridiagonal_lu_solve": "use `wrap_jax(jax.lax.linalg.tridiagonal_solve)`",
    "unpack": "use `concatenate` and `split`",
    "values_eq_approx_always_true": "a comparison of the peer's debug mode",
}
"""Names that are not provided, and why."""

INTRODUCTION = """# Names of Aesara and PyTensor

Where each function of Aesara 2.9.4 and PyTensor 3.0.7 is: *by the same name in the core* (`loopjax.tensor` and its
modules), *in `loopjax.compat`* under the library's module, or *left out*. `python -m tests.docs.peer_names` writes this
page. Theano's names are those of Aesara's modules and the older paths that [the page on programs](compat.md) mentions.
"""


def provided(library, module):
    """The names of a module that ``loopjax.compat`` has."""
    if module == "_methods":
        variable = type(importlib.import_module(f"loopjax.compat.{library}.tensor").dvector("x"))
        return {name for name in NAMES[library][module].split() if hasattr(variable, name)}
    found = importlib.import_module(f"loopjax.compat.{library}" + (f".{module}" if module else ""))
    return {name for name in NAMES[library][module].split() if hasattr(found, name)}


def core_names(module):
    """The names that the core has, too."""
    if module == "_methods":
        return set(dir(at.Variable))
    modules = [importlib.import_module(name) for name in ("loopjax", "loopjax.gradient")]
    modules += [at, at.linalg, at.nnet, at.random.RandomStream]
    return {name for one in modules for name in dir(one)}


def page():
    """The text of the page."""
    parts = [INTRODUCTION]
    for library, title in (("aesara", "Aesara"), ("pytensor", "PyTensor")):
        parts.append(f"## {title}\n")
        for module in sorted(NAMES[library]):
            names = NAMES[library][module].split()
            have, core = provided(library, module), core_names(module)
            heading = {"": f"`{library}`", "_methods": "Variables"}.get(module, f"`{library}.{module}`")
            parts.append(f"### {heading}: {len(have)} of {len(names)}\n")
            parts.append(_listed("In the core by the same name", [name for name in names if name in have & core]))
            parts.append(_listed("In `loopjax.compat`", [name for name in names if name in have - core]))
            parts += [f"- Left out: `{name}`: {LEFT_OUT[name]}.\n" for name in names if name not in have]
    return "\n".join(part for part in parts if part)


def _listed(what, names):
    if not names:
        return ""
    text = f"- {what}: " + ", ".join(f"`{name}`" for name in names) + "."
    return textwrap.fill(text, 120, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) + "\n"


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        PAGE.write_text(page())
