"""The ``dub-uplink`` command; click and rich are imported in :func:`main` only."""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from io import TextIOWrapper

__all__ = ["main"]

_NEEDED = ("click", "rich")
_INTERRUPTED = 130  # as a shell counts a process that SIGINT ended


def main() -> None:
    """Run the command with the arguments of this process."""
    try:
        missing = [name for name in _NEEDED if not _installed(name)]
        if missing:
            sys.exit(
                f"dub-uplink needs {' and '.join(missing)}: "
                'run  pip install "dub-uplink[cli]"  and try again.'
            )
        from dub_uplink._cli.commands import cli  # noqa: PLC0415 - click is an optional dependency

        if isinstance(sys.stdout, TextIOWrapper):
            # A customer's name may hold characters that the terminal cannot show.
            sys.stdout.reconfigure(errors="replace")
        cli(prog_name="dub-uplink")
    except KeyboardInterrupt:  # before or after the command itself
        sys.exit(_INTERRUPTED)
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            # Nothing is left to save: Ctrl-C ends the process without a traceback.
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
