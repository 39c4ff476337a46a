"""Add the interpreters of pyenv to PATH; tox imports this file.

The shims of pyenv run activated versions only. The file imports the standard library only.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

PYENV_ROOT = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")


def newest_first(directory: Path) -> list[int]:
    """Return a sort key that puts 3.11.13 before 3.11.9."""
    return [-int(number) for number in re.findall(r"\d+", directory.parent.name)]


directories = sorted(PYENV_ROOT.glob("versions/3.*/bin"), key=newest_first)
# At the end, so that interpreters already on PATH take precedence.
os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, directories)])
