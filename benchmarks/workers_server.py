"""The server of the benchmark of many workers: a fake in a process of its own.

Run as a script with a host, a limit and its window in seconds, it prints its URL. For each line
that it reads it prints the requests since the last one, each as its Unix time and status.
"""

from __future__ import annotations

import json
import sys
import time

from dub_uplink.testing import FakeDub
from dub_uplink.testing.server import Server


def main() -> None:
    """Serve until the input ends."""
    host, limit, window = sys.argv[1:]
    fake = FakeDub(rate_limit=int(limit), window=float(window), keep_requests=1)
    fake.add(external_id="1", country="GB")
    seen: list[tuple[float, int]] = []

    def log(line: str) -> None:
        seen.append((time.time(), int(line.split()[2])))

    with Server(fake, host, log=log) as url:
        print(url, flush=True)  # noqa: T201
        for _ in sys.stdin:
            told, seen[:] = list(seen), []
            print(json.dumps(told), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
