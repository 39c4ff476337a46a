"""The ``dub-uplink`` command. Importing this costs nothing: click and rich come in with main()."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from io import TextIOWrapper

__all__ = ["main"]

_NEEDED = ("click", "rich")


def main() -> None:
    """Run the command with the arguments of this process."""
    missing = [name for name in _NEEDED if not _installed(name)]
    if missing:
        sys.exit(
            f"dub-uplink needs {' and '.join(missing)}: "
            'run  pip install "dub-uplink[cli]"  and try again.'
        )
    try:
        from dub_uplink._cli.commands import cli  # noqa: PLC0415 - click is an optional dependency
    except KeyboardInterrupt:
        sys.exit(130)  # as a command ends that Ctrl-C finds later
    if isinstance(sys.stdout, TextIOWrapper):
        # A customer's name may hold what this terminal cannot write.
        sys.stdout.reconfigure(errors="replace")
    cli(prog_name="dub-uplink")


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
