"""The command with a watch on its progress bar.

``python -m benchmarks.transfer_bar customers export …`` does what ``dub-uplink`` does, and ends
with the seconds of CPU that loading, moving and drawing the bar took: two runs of the same command
differ by more than that.
"""

from __future__ import annotations

import atexit
import functools
import time
from collections.abc import Callable
from typing import Any

START = "CPU of the bar: "


def main() -> None:
    """Run the command, and tell what its bar took."""
    took = [0.0]
    started = time.thread_time()
    import rich.live  # noqa: PLC0415 - what that takes is part of it
    import rich.progress  # noqa: PLC0415

    took[0] += time.thread_time() - started

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                took[0] += time.thread_time() - started

        return call

    for kind, name in (
        (rich.progress.Progress, "__init__"),
        (rich.progress.Progress, "update"),
        (rich.live.Live, "refresh"),  # from the thread that draws
    ):
        setattr(kind, name, watched(getattr(kind, name)))
    atexit.register(lambda: print(f"{START}{took[0]:.4f}"))  # noqa: T201 - what it is for

    from dub_uplink._cli import main as command  # noqa: PLC0415 - after what is watched

    command()


if __name__ == "__main__":
    main()
