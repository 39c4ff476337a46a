"""The environments that the benchmarks compare, made once and kept beside them.

``python_of("dub==0.39.0")`` is the interpreter of an environment that holds just that. Imports
nothing of the package under test.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
ENVIRONMENTS = HERE / ".venvs"

#: The official SDK as it is today, and the version whose documentation this client follows.
OFFICIAL = "dub==0.39.0"
OFFICIAL_2024 = "dub==0.14.1"


def own_requirements() -> list[str]:
    """What the package under test installs, as ``setup.cfg`` says it."""
    config = configparser.ConfigParser()
    config.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    return config["options"]["install_requires"].split()


def python_of(*requirements: str, say: Callable[[str], object] = print) -> Path:
    """The interpreter of an environment with these requirements, which is made if need be.

    ``say`` is told what takes long.

    Raises:
        RuntimeError: they could not be installed; pip's words are in the message.
    """
    version = "{}.{}".format(*sys.version_info)
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"py{version}-{'-'.join(requirements)}")[:80]
    home = ENVIRONMENTS / name
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    # Written last: an environment that was broken off half-way is made again.
    seal = home / "complete.json"
    if seal.exists() and json.loads(seal.read_text(encoding="utf-8")) == list(requirements):
        return python
    say(f"making an environment for {', '.join(requirements)}")
    ENVIRONMENTS.mkdir(exist_ok=True)
    (ENVIRONMENTS / ".gitignore").write_text("*\n", encoding="utf-8")
    venv.create(home, clear=True, with_pip=True)
    _pip(python, requirements)
    seal.write_text(json.dumps(list(requirements)), encoding="utf-8")
    return python


def _pip(python: Path, requirements: Sequence[str]) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*command, *requirements], capture_output=True, text=True, check=False, cwd=ENVIRONMENTS
    )
    if done.returncode:
        raise RuntimeError(f"pip could not install {', '.join(requirements)}:\n{done.stderr}")


def versions_in(python: Path) -> dict[str, str]:
    """The distributions of an environment and their versions."""
    script = (
        "import importlib.metadata as m, json;"
        "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
    )
    found = subprocess.run(
        [str(python), "-I", "-c", script], capture_output=True, text=True, check=True
    )
    versions: dict[str, str] = json.loads(found.stdout)
    return versions
