"""Send requests from four threads as fast as the limit allows, for ``benchmarks.workers``.

Arguments: the server's URL, the limit, its window in seconds, the duration in seconds, and
``none``, ``own`` or the URL of the storage. Prints ``ready``, waits for a line, and prints the
results of its calls.
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
    """Call until the time has elapsed."""
    url, limit, window, seconds, how = sys.argv[1:]
    rate_limit = None
    if how != "none":
        storage = None if how == "own" else how
        rate_limit = RateLimit(int(limit), float(window), storage=storage)
    results: collections.Counter[str] = collections.Counter()
    with Dub("dub_test", server_url=url, rate_limit=rate_limit) as dub:
        print("ready", flush=True)  # noqa: T201
        end = float(sys.stdin.readline()) + float(seconds)

        def work() -> None:
            while time.time() < end:
                try:
                    dub.customers.get("ext_1")
                    results["successful"] += 1
                except errors.RateLimitExceeded:
                    results["rejected"] += 1
                except Exception as error:  # noqa: BLE001 - counted by its class
                    results[type(error).__name__] += 1

        threads = [threading.Thread(target=work, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(end - time.time(), 0))
        print(json.dumps(results), flush=True)  # noqa: T201
    # The threads are daemons, because some may still wait for a slot.


if __name__ == "__main__":
    main()
