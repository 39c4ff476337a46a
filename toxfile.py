"""Lets tox see the interpreters that pyenv keeps; imports the standard library only.

tox reads this file by itself. pyenv's shims answer only for the versions that it was told to
activate, so the others are found only with their own directories on PATH.
"""

from __future__ import annotations

import os
from pathlib import Path

PYENV_ROOT = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")

# At the end, newest first: whatever PATH already finds stays what is found.
os.environ["PATH"] = os.pathsep.join(
    [
        os.environ.get("PATH", os.defpath),
        *map(str, sorted(PYENV_ROOT.glob("versions/3.*/bin"), reverse=True)),
    ]
)
