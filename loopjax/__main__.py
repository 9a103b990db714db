"""``python -m loopjax``: runs ``examples/guide.py``, which a wheel holds in the package and a checkout beside it."""

import runpy
from pathlib import Path

PACKAGE = Path(__file__).parent
GUIDE = next(path for place in (PACKAGE, PACKAGE.parent) if (path := place / "examples" / "guide.py").exists())

if __name__ == "__main__":
    runpy.run_path(str(GUIDE), run_name="__main__")
