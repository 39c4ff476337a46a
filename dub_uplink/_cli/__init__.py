"""The ``dub-uplink`` command. Importing this module does not import ``click`` or ``rich``."""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from io import TextIOWrapper

from dub_uplink._cli.startup import end_on_ctrl_c

__all__ = ["main"]

_REQUIRED_PACKAGES = ("click", "rich")
#: The exit code that a shell reports if SIGINT ends a process.
_INTERRUPTED = 130


def main() -> None:
    """Run the command with the arguments of this process."""
    try:
        with end_on_ctrl_c():
            missing = [name for name in _REQUIRED_PACKAGES if not _is_installed(name)]
            if missing:
                sys.exit(
                    f"dub-uplink needs {' and '.join(missing)}; "
                    'run  pip install "dub-uplink[cli]"  and try again.'
                )
            # click is an optional dependency.
            from dub_uplink._cli.commands import cli  # noqa: PLC0415

        if isinstance(sys.stdout, TextIOWrapper):
            # If the terminal cannot encode a character, write ? for it.
            sys.stdout.reconfigure(errors="replace")
        cli(prog_name="dub-uplink")
    except KeyboardInterrupt:  # Ctrl-C before the command starts or after it ends
        sys.exit(_INTERRUPTED)
    finally:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            # All files are closed. From here on, Ctrl-C ends the process without a traceback.
            signal.signal(signal.SIGINT, signal.SIG_DFL)


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
