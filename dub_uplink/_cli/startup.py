"""Handle Ctrl-C while the command imports its modules."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def end_on_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end the process at once while modules are imported.

    By default, ``KeyboardInterrupt`` prints a traceback. During its import, an extension module can
    even replace ``KeyboardInterrupt`` by another exception. A process that ignores SIGINT continues
    to ignore it.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
