"""Run a fake with a rate limit as the server process of ``benchmarks.workers``.

Arguments: a host, a limit and its window in seconds. Prints its URL. For each line of input, prints
the requests since the previous one, each as its Unix time and status.
"""

from __future__ import annotations

import json
import sys
import time

from dub_uplink.testing import FakeDub
from dub_uplink.testing._server import Server


def main() -> None:
    """Serve until the input ends."""
    host, limit, window = sys.argv[1:]
    fake = FakeDub(rate_limit=int(limit), window=float(window), keep_requests=1)
    fake.add(external_id="1", country="GB")
    received: list[tuple[float, int]] = []

    def log(line: str) -> None:
        received.append((time.time(), int(line.split()[2])))

    with Server(fake, host, log=log) as url:
        print(url, flush=True)  # noqa: T201
        for _ in sys.stdin:
            requests, received[:] = list(received), []
            print(json.dumps(requests), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
