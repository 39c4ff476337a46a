"""Create the virtual environments of the compared clients.

``python_of("dub==0.39.0")`` returns the Python of an environment with that requirement. The
environments are kept in ``.venvs``. The module does not import the package under test.
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

#: The current official SDK, and the version whose documentation this client follows.
OFFICIAL = "dub==0.39.0"
OFFICIAL_2024 = "dub==0.14.1"


def own_requirements() -> list[str]:
    """Return the requirements of the package under test from ``setup.cfg``."""
    config = configparser.ConfigParser()
    config.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    return config["options"]["install_requires"].split()


def python_of(*requirements: str, log: Callable[[str], object] = print) -> Path:
    """Return the Python of an environment with these requirements; create it if it is missing.

    Args:
        *requirements: Requirements in the format of pip.
        log: Called with a message before an environment is created.

    Raises:
        RuntimeError: pip could not install the requirements; the message has its output.
    """
    version = "{}.{}".format(*sys.version_info)
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"py{version}-{'-'.join(requirements)}")[:80]
    home = ENVIRONMENTS / name
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    # Written last: an incomplete environment is created again.
    marker = home / "complete.json"
    if marker.exists() and json.loads(marker.read_text(encoding="utf-8")) == list(requirements):
        return python
    log(f"creating an environment for {', '.join(requirements)}")
    ENVIRONMENTS.mkdir(exist_ok=True)
    (ENVIRONMENTS / ".gitignore").write_text("*\n", encoding="utf-8")
    venv.create(home, clear=True, with_pip=True)
    _install(python, requirements)
    marker.write_text(json.dumps(list(requirements)), encoding="utf-8")
    return python


def _install(python: Path, requirements: Sequence[str]) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    completed = subprocess.run(
        [*command, *requirements], capture_output=True, text=True, check=False, cwd=ENVIRONMENTS
    )
    if completed.returncode:
        raise RuntimeError(f"pip could not install {', '.join(requirements)}:\n{completed.stderr}")


def versions_in(python: Path) -> dict[str, str]:
    """Return the versions of the distributions in an environment."""
    script = (
        "import importlib.metadata as m, json;"
        "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
    )
    completed = subprocess.run(
        [str(python), "-I", "-c", script], capture_output=True, text=True, check=True
    )
    versions: dict[str, str] = json.loads(completed.stdout)
    return versions
