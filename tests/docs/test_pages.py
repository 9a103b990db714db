"""The pages' code blocks print what their comments, and blocks of text after them, say."""

import contextlib
import io
import pathlib
import re

import pytest

PAGES = {
    "compat.md": 2,
    "debugging.md": 0,
    "explain.md": 5,
    "gpu.md": 0,
    "inside-jax.md": 15,
    "internals.md": 3,
    "lengths.md": 5,
    "names.md": 0,
    "numbers.md": 6,
    "rewrites.md": 4,
    "saving.md": 2,
}
"""Number of prints with a comment that says the output, by page."""

ROOT = pathlib.Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize(("page", "prints"), PAGES.items())
def test_programs_print_what_their_comments_say(page, prints):
    text = (DOCS / page).read_text()
    namespace, printed, wanted, comments = {}, io.StringIO(), [], 0
    with contextlib.redirect_stdout(printed):
        for kind, block in re.findall(r"^```(python|text)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
            if kind == "text":
                wanted += block.splitlines()
                continue
            exec(compile(block, page, "exec"), namespace)
            said = re.findall(r"^ *print\(.*\)  # (.*)$", block, flags=re.MULTILINE)
            wanted += said
            comments += len(said)
    assert comments == prints
    assert printed.getvalue().splitlines() == wanted


def test_every_page_is_run():
    assert {page.name for page in DOCS.glob("*.md")} == set(PAGES)


@pytest.mark.parametrize(
    "page", [*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name
)
def test_files_that_a_page_names_are_there(page):
    named = re.findall(r"`((?:loopjax|tests|docs|examples|benchmarks)/[\w./-]*)`", page.read_text())
    assert not [name for name in named if not (ROOT / name).exists()]


def test_contributing_names_every_folder_of_the_package():
    named = re.findall(r"`loopjax/(\w+)/`", (ROOT / "CONTRIBUTING.md").read_text())
    folders = {path.parent.name for path in (ROOT / "loopjax").glob("*/__init__.py")}
    assert folders == set(named) & folders
