"""Lets tox see the interpreters that pyenv keeps; imports the standard library only.

tox reads this file by itself. pyenv's shims run only activated versions, so the
others need their own directories on PATH.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

PYENV_ROOT = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")


def newest_first(directory: Path) -> list[int]:
    """Order by version, and not 3.11.9 above 3.11.13."""
    return [-int(number) for number in re.findall(r"\d+", directory.parent.name)]


kept = sorted(PYENV_ROOT.glob("versions/3.*/bin"), key=newest_first)
# At the end: whatever PATH already finds stays what is found.
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, kept)])
