"""Lines of code of the package by folder, without docstrings, comments and blank lines.

``python -m tests.docs.code_lines`` from the root of the repository.
"""

import ast
import io
import pathlib
import tokenize
from collections import Counter

PACKAGE = pathlib.Path(__file__).parents[2] / "loopjax"
BESIDE = ("tensor", "random", "compat", "port", "pytensor")
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """Number of lines that hold a token other than a comment or a docstring."""
    documented = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {line for one in tokens if one.type not in NOT_CODE for line in range(one.start[0], one.end[0] + 1)}
    return len(lines - documented)


def main() -> None:
    """Print the lines of each folder, all of them, and those of the compiler, without the folders `BESIDE` it."""
    found: Counter[str] = Counter()
    for path in sorted(PACKAGE.rglob("*.py")):
        found[path.relative_to(PACKAGE).parts[0]] += code_lines(path.read_text())
    for place, lines in found.items():
        print(f"{lines:6} {place}")
    compiler = found.total() - sum(found[place] for place in BESIDE)
    print(f"{found.total():6} in all; {compiler} without {', '.join(BESIDE)}")


if __name__ == "__main__":
    main()
