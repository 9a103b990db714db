"""The documentation site: ``python -m sphinx -W docs docs/_build/html``, with the packages of the extra ``docs``.

Pages are Markdown (MyST). Notebooks, in ``examples/``, run while the site is built; the code of other pages runs in
``tests/docs/test_pages.py``. Pages of the API are made from docstrings, figures of benchmarks from their results.
"""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))
sys.path.insert(0, str(DOCS.parent))

os.environ["MATPLOTLIBRC"] = str(DOCS / "matplotlibrc")  # notebooks inherit it

import loopjax  # noqa: E402

project = "LoopJAX"
author = "The LoopJAX authors"
copyright = "the LoopJAX authors"
version = release = loopjax.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "site_pages",
]
exclude_patterns = ["_build"]
suppress_warnings = ["config.cache"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types in docstrings are words, not links

# Pages; Sphinx reads one folder, so that the notebooks are copied into it
shutil.rmtree(DOCS / "examples", ignore_errors=True)
(DOCS / "examples").mkdir()
for notebook in (DOCS.parent / "examples").glob("*.md"):
    shutil.copy2(notebook, DOCS / "examples")
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
copybutton_exclude = ".linenos, .gp, .go"

# Notebooks
nb_execution_mode = "cache"
nb_execution_excludepatterns = [] if find_spec("pymc") else ["examples/pymc.md"]  # the extra pymc
nb_execution_cache_path = str(DOCS / "_build" / "notebooks")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

# API
autodoc_typehints = "none"  # signatures of NumPy-style sections say types
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
add_module_names = False

# Look
html_theme = "sphinx_book_theme"
html_math_renderer = "mathml"  # of site_pages: MathJax comes from the network
html_title = "LoopJAX"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "show_toc_level": 2,
    "show_navbar_depth": 1,
}
