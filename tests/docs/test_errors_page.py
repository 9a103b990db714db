"""The page of errors: each wrong program raises the error of its section, and each right one runs."""

import pathlib
import re
import warnings

import pytest

from loopjax.error_codes import KINDS, PAGE, code_of

TEXT = (pathlib.Path(__file__).parents[2] / "docs" / "errors.md").read_text()
PRELUDE, *SECTIONS = re.split(r"^\(lj\d+\)=\n\n(?=## )", TEXT, flags=re.MULTILINE)


def blocks(text):
    return re.findall(r"^```py\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_each_kind_has_a_section_of_its_title():
    assert re.findall(r"^## (.*)$", TEXT, flags=re.MULTILINE) == [f"{kind.code}: {kind.title}" for kind in KINDS]
    assert re.findall(r"^\((lj\d+)\)=$", TEXT, flags=re.MULTILINE) == [kind.code.lower() for kind in KINDS]
    assert len({kind.code for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section[3:8])
def test_the_wrong_program_raises_and_the_right_one_runs(section):
    (start,) = blocks(PRELUDE)
    wrong, right = blocks(section)
    names: dict[str, object] = {}
    exec(compile(start + right, "right.py", "exec"), names)
    with pytest.raises(Exception, match=r".") as caught, warnings.catch_warnings():
        exec(compile(start + wrong, "wrong.py", "exec"), {})
    assert code_of(caught.value) == section[3:8], f"{caught.value!r}"
    assert any(note.endswith(f"{PAGE}#{section[3:8].lower()}") for note in caught.value.__notes__)
