"""``python -m loopjax``: runs ``examples/guide.py``, which a wheel holds in the package and a checkout beside it.

``python -m loopjax LJ105`` prints what the page of errors says of a code.
"""

import re
import runpy
import sys

from loopjax.error_codes import KINDS, section_of, shipped


def main(arguments: list[str]) -> None:
    """Print the sections of error codes, or run the guide with the arguments."""
    if not arguments or not all(re.fullmatch(r"LJ\d+", one) for one in arguments):
        runpy.run_path(str(shipped("examples/guide.py")), run_name="__main__")
        return
    known = {kind.code for kind in KINDS}
    for code in arguments:
        if code not in known:
            raise SystemExit(f"there is no error {code}; codes are {', '.join(sorted(known))}")
        print(section_of(code))


if __name__ == "__main__":
    main(sys.argv[1:])
