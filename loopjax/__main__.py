"""``python -m loopjax``: runs ``examples/guide.py``, which a wheel holds in the package and a checkout beside it.

``python -m loopjax LJ105`` prints what the page of errors says of a code.
"""

import re
import runpy
import sys

from loopjax.error_codes import sections, shipped


def main(arguments: list[str]) -> None:
    """Print the sections of error codes, or run the guide with the arguments."""
    if not arguments or not all(re.fullmatch(r"LJ\d+", one) for one in arguments):
        runpy.run_path(str(shipped("examples/guide.py")), run_name="__main__")
        return
    for code in arguments:
        if code not in sections():
            raise SystemExit(f"there is no error {code}; codes are {', '.join(sorted(sections()))}")
        print(sections()[code])


if __name__ == "__main__":
    main(sys.argv[1:])
