"""The page on rewrites names them all."""

import re
from pathlib import Path

from loopjax.rewrite.target import REWRITES

PAGE = Path(__file__).parents[2] / "docs" / "rewrites.md"


def test_the_page_has_the_table():
    table = PAGE.read_text().partition("| name | what it does |")[2].partition("\n\n")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, flags=re.MULTILINE)) == REWRITES
