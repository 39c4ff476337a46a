"""A process of the benchmark of many workers: a few threads that call as fast as they may.

Run as a script with the server's URL, the limit, its window in seconds, the seconds to go on, and
``none``, ``own`` or the URL of the storage. It prints ``ready``, waits for a line, and prints what
came of its calls.
"""

from __future__ import annotations

import collections
import json
import sys
import threading
import time

from dub_uplink import Dub, RateLimit, errors

THREADS = 4


def main() -> None:
    """Call until the time is over."""
    url, limit, window, seconds, how = sys.argv[1:]
    rate_limit = None
    if how != "none":
        storage = None if how == "own" else how
        rate_limit = RateLimit(int(limit), float(window), storage=storage)
    came: collections.Counter[str] = collections.Counter()
    with Dub("dub_test", server_url=url, rate_limit=rate_limit) as dub:
        print("ready", flush=True)  # noqa: T201
        end = float(sys.stdin.readline()) + float(seconds)

        def work() -> None:
            while time.time() < end:
                try:
                    dub.customers.get("ext_1")
                    came["answered"] += 1
                except errors.RateLimitExceeded:
                    came["refused"] += 1
                except Exception as error:  # noqa: BLE001 - it is counted
                    came[type(error).__name__] += 1

        threads = [threading.Thread(target=work, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(end - time.time(), 0))
        print(json.dumps(came), flush=True)  # noqa: T201
    # Those that still wait for a turn are not waited for.


if __name__ == "__main__":
    main()
