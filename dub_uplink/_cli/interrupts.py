"""Turn Ctrl-C into a flag that the loop of a long command checks."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
import threading
from types import FrameType, TracebackType

from dub_uplink import Clock
from dub_uplink._cli.failures import ExitCode
from dub_uplink._cli.io.text import is_terminal
from dub_uplink.retries import current_clock

#: A progress bar hides the cursor. This escape sequence shows it again.
_SHOW_CURSOR = "\x1b[?25h"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C was pressed. This exception is raised only where the files are consistent."""


class InterruptHandler:
    """A context manager for Ctrl-C: the first sets a flag, the second ends the process at once.

    By default, Python raises ``KeyboardInterrupt`` between any two instructions of the main thread.
    If the exception is raised within ``threading`` or ``queue``, a lock can stay acquired. The
    command then hangs when another thread needs the lock.

    A shell makes its background processes ignore SIGINT. This handler replaces only Python's
    default handler, so background processes still ignore SIGINT.
    """

    def __init__(self) -> None:
        self._stop_requested = False
        self._is_installed = False

    def check(self) -> None:
        """Raise :class:`Interrupted` if Ctrl-C was pressed."""
        if self._stop_requested:
            raise Interrupted

    def ignore(self) -> None:
        """Ignore Ctrl-C from now on, because the result of the command is complete."""
        if self._is_installed:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._is_installed = False

    def make_clock(self) -> Clock:
        """Create a clock whose ``sleep`` raises ``Interrupted`` if Ctrl-C was pressed."""
        clock = current_clock()

        def sleep(seconds: float) -> None:
            self.check()
            clock.sleep(seconds)
            self.check()

        return dataclasses.replace(clock, sleep=sleep)

    def _handle(self, _signum: int, _frame: FrameType | None) -> None:
        # The interrupted main thread may hold any lock. Therefore, this handler acquires no lock:
        # it uses neither sys.stderr nor threading.
        if self._stop_requested:
            _write_stderr(_SHOW_CURSOR if is_terminal(sys.stderr) else "")
            os._exit(ExitCode.INTERRUPTED)
        self._stop_requested = True
        _write_stderr("\nStopping. Press Ctrl-C again to end at once.\n")

    def __enter__(self) -> InterruptHandler:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._is_installed = True
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _write_stderr(text: str) -> None:
    with contextlib.suppress(OSError):  # stderr may be closed
        os.write(2, text.encode())
