"""The pages' code blocks print what their comments, and blocks of text after them, say."""

import contextlib
import io
import pathlib
import re
import types

import pytest

import loopjax

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [
    page for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))] if "```python" in page.read_text()
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_programs_print_what_their_comments_say(page):
    text = page.read_text()
    namespace, printed, wanted = {}, io.StringIO(), []
    with contextlib.redirect_stdout(printed):
        for kind, block in re.findall(r"^```(python|text)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
            if kind == "text":
                wanted += block.splitlines()
                continue
            exec(compile(block, page.name, "exec"), namespace)
            wanted += re.findall(r"^ *print\(.*\)  # (.*)$", block, flags=re.MULTILINE)
    assert printed.getvalue().splitlines() == wanted


@pytest.mark.parametrize(
    "page", [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name
)
def test_files_that_a_page_names_are_there(page):
    named = re.findall(r"`((?:loopjax|tests|docs|examples|benchmarks)/[\w./-]*)`", page.read_text())
    assert not [name for name in named if not (ROOT / name).exists() and name != "docs/_build"]  # which a build makes


def test_contributing_names_every_folder_of_the_package():
    named = re.findall(r"`loopjax/(\w+)/`", (ROOT / "CONTRIBUTING.md").read_text())
    folders = {path.parent.name for path in (ROOT / "loopjax").glob("*/__init__.py")}
    assert folders == set(named) & folders


def test_every_public_name_is_on_a_page_of_the_api():
    """The build of the site checks the other namespaces, whose pages list modules."""
    listed = {word for page in (ROOT / "docs" / "api").glob("*.md") for word in re.findall(r"\w+", page.read_text())}
    names = {name for name in loopjax.__all__ if not isinstance(getattr(loopjax, name), types.ModuleType)}
    assert names <= listed
