"""The extra is imported by those who ask for it only."""

import subprocess
import sys


def test_loopjax_imports_no_pytensor():
    code = "import sys, loopjax; sys.exit('pytensor' in sys.modules or 'loopjax.pytensor' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
