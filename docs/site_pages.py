"""Sphinx extension: pages of the API, notebooks, and formulas.

The directive ``public`` documents a module's names from their docstrings. Its argument is the module that users import
from, and the content lists its names. Without content, the option ``from`` names the module that adds them to it. The
build warns of public names that no page has.
"""

import importlib
import inspect

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

NAMESPACES = ("loopjax", "loopjax.tensor", "loopjax.tensor.linalg", "loopjax.tensor.nnet", "loopjax.checkpoint")

DOWNLOAD = "\n\n---\n\n{{nb-download}}`Download this notebook <{name}.ipynb>` with its results.\n"


class Public(SphinxDirective):
    """A table of names, each with the first line of its docstring, and the whole docstrings after it."""

    required_arguments = 1
    has_content = True
    option_spec = {"from": directives.unchanged}

    def run(self):
        where = self.arguments[0]
        space = importlib.import_module(where)
        names = " ".join(self.content).split()
        if not names:
            names = importlib.import_module(self.options["from"]).__all__
        names = [name for name in names if not isinstance(getattr(space, name), dict)]
        lines = [f".. currentmodule:: {where}", "", ".. autosummary::", ""]
        lines += [f"   {name}" for name in names]
        for name in names:
            lines += ["", f".. {directive(getattr(space, name))}:: {name}"]
        return self.parse_text_to_nodes("````{eval-rst}\n" + "\n".join(lines) + "\n````\n")


def directive(value):
    """The directive of autodoc for a public name, with its options."""
    if inspect.ismodule(value):
        return "automodule"
    if inspect.isclass(value):
        return "autoclass"
    return "autofunction" if inspect.isroutine(value) else "autodata"


def undocumented(names):
    """The public names that are not among those documented, but for aliases of documented ones and typed inputs."""
    documented, missing = {}, []
    for where in NAMESPACES:
        space = importlib.import_module(where)
        for name in space.__all__:
            value = getattr(space, name)
            if (
                inspect.ismodule(value)
                or isinstance(value, dict)
                or getattr(value, "__module__", None) == "loopjax.tensor.typed"
            ):
                continue
            if f"{where}.{name}" in names:
                documented[id(value)] = name
            else:
                missing.append((f"{where}.{name}", value))
    return [name for name, value in missing if id(value) not in documented]


def check(app, env):
    """Warn of public names that no page documents."""
    names = {name for name, *_ in env.domains["py"].get_objects()}
    for name in undocumented(names):
        logging.getLogger(__name__).warning("%s is on no page of the API", name)


def read_example(app, docname, source):
    """Makes links to pages those of the site, and adds a link to the executed notebook."""
    if docname.startswith("examples/"):
        source[0] = source[0].replace("](../docs/", "](../")
        if source[0].startswith("---\njupytext:"):
            source[0] += DOWNLOAD.format(name=docname.rpartition("/")[2])


def write_formula(translator, node):
    """Writes a formula as MathML, which browsers show without a script or a network."""
    written = tex2mathml(node.astext())
    if isinstance(node, nodes.math_block):
        written = '<div style="margin:1em 0">' + written.replace("<math ", '<math display="block" ', 1) + "</div>"
    translator.body.append(written)
    raise nodes.SkipNode


def setup(app):
    """Register the directive, the check, the reader of notebooks and the writer of formulas."""
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.add_directive("public", Public)
    app.connect("env-check-consistency", check)
    app.connect("source-read", read_example)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
