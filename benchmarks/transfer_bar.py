"""Run the command and measure the CPU time of its progress bar.

``python -m benchmarks.transfer_bar customers export …`` runs ``dub-uplink`` with these arguments.
At the end it prints the CPU seconds of importing, updating and drawing the bar. A comparison of two
runs cannot show this time, because their total times differ by more.
"""

from __future__ import annotations

import atexit
import functools
import time
from collections.abc import Callable
from typing import Any

START = "CPU of the bar: "


def main() -> None:
    """Run the command, and print the CPU time of its bar."""
    cpu_seconds = [0.0]
    started = time.thread_time()
    import rich.live  # noqa: PLC0415 - the import is part of the measured time
    import rich.progress  # noqa: PLC0415

    cpu_seconds[0] += time.thread_time() - started

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                cpu_seconds[0] += time.thread_time() - started

        return call

    for kind, name in (
        (rich.progress.Progress, "__init__"),
        (rich.progress.Progress, "update"),
        (rich.live.Live, "refresh"),  # called by the thread that draws
    ):
        setattr(kind, name, timed(getattr(kind, name)))
    atexit.register(lambda: print(f"{START}{cpu_seconds[0]:.4f}"))  # noqa: T201 - the output of a command

    from dub_uplink._cli import main as command  # noqa: PLC0415 - after the timed imports

    command()


if __name__ == "__main__":
    main()
