"""``python -m loopjax.port FILE_OR_FOLDER ... [--write]``: reports on programs of the peers, and ports them."""

from __future__ import annotations

import argparse
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from loopjax.port.port import port
from loopjax.port.report import summary


def main(arguments: list[str] | None = None) -> int:
    """Report on files and folders; the exit status is 1 where something is left to do, 2 without ``fissix``."""
    parser = argparse.ArgumentParser(prog="python -m loopjax.port", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="FILE_OR_FOLDER")
    parser.add_argument("--write", action="store_true", help="change the files: imports, and what is mechanical")
    parser.add_argument("--summary", action="store_true", help="print the summary alone")
    options = parser.parse_args(arguments)
    if absent := [str(path) for path in options.paths if not path.exists()]:
        parser.error(f"no file or folder {', '.join(absent)}; expected a .py file or a folder of them")
    reports, encodings, files = [], [], list(_files(options.paths))
    own = {path.parent.name for path in files if path.name == "__init__.py"}
    for path in files:
        text, encoding = read(path)
        try:
            reports.append(port(text, str(path), own))
        except ImportError as error:
            print(f"{path}: {error}", file=sys.stderr)
            return 2
        encodings.append(encoding)
    for path, report, encoding in zip(files, reports, encodings, strict=True):
        if not options.summary and (report.findings or report.error or len(reports) == 1):
            print(report.as_text(options.write))
        if options.write and report.ported != report.source:
            path.write_bytes(report.ported.encode(encoding))
    if len(reports) != 1:
        print(summary(reports))
    return int(any(report.needs_hands for report in reports))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def read(path: Path) -> tuple[str, str]:
    """The text of a source and its encoding: as it says itself, UTF-8, or Latin-1 where it is none."""
    data = path.read_bytes()
    with path.open("rb") as file:
        try:
            encoding, _ = tokenize.detect_encoding(file.readline)
        except SyntaxError:
            encoding = "latin-1"
    try:
        return data.decode(encoding), encoding
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


if __name__ == "__main__":
    sys.exit(main())
