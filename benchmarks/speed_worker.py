"""Measure one client in a separate process.

``speed_worker.py NAME URL`` reads lines ``case count`` and writes the seconds of each call.
``speed_worker.py NAME URL fresh`` measures the import, the construction of a client and one call.
The script imports only the standard library and the client.
"""

# ruff: noqa: PLC0415 - the start-up time of a client includes its imports

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

TYPE_CHECKING = False  # an import of typing would add to the start-up time
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Cases = dict[str, Callable[[], object]]

TOKEN = "dub_benchmark"
NEW = {"externalId": "user_1", "email": "ada@example.com", "name": "Ada", "country": "GB"}
THREADS = 8
CALLS_PER_THREAD = 12
MANY = 10_000


def baseline(url: str, many: str) -> Cases:
    """Return the calls with requests and json alone: the least work of a client on requests."""
    import json

    import requests

    session = requests.Session()
    headers = {"Authorization": f"Bearer {TOKEN}"}

    def get(path: str, **params: str) -> Any:
        response = session.get(url + path, headers=headers, params=params or None)
        return json.loads(response.content)

    def error() -> None:
        response = session.get(url + "/customers/missing", headers=headers)
        if response.ok:
            raise AssertionError
        json.loads(response.content)

    def iterate() -> int:
        count = 0
        params: dict[str, str] | None = None
        while True:
            response = session.get(many + "/customers", headers=headers, params=params)
            page = json.loads(response.content)
            count += len(page)
            if len(page) < 100:
                return count
            params = {"startingAfter": page[-1]["id"]}

    return {
        "get": lambda: get("/customers/cus_1"),
        "create": lambda: json.loads(
            session.post(url + "/customers", headers=headers, json=NEW).content
        ),
        "list": lambda: get("/customers"),
        "expanded": lambda: get("/customers", includeExpandedFields="true"),
        "error": error,
        "iterate": iterate,
    }


def ours(url: str, many: str) -> Cases:
    """Return the calls with dub-uplink."""
    from dub_uplink import Dub

    customers = Dub(TOKEN, server_url=url).customers
    all_customers: Any = None

    def error() -> None:
        from dub_uplink.models import errors

        try:
            customers.get("missing")
        except errors.NotFound:
            return
        raise AssertionError

    def iterate() -> int:
        nonlocal all_customers
        all_customers = all_customers or Dub(TOKEN, server_url=many).customers
        return sum(1 for _ in all_customers.iterate())

    return {
        "get": lambda: customers.get("cus_1"),
        "create": lambda: customers.create(NEW),
        "list": customers.list,
        "expanded": lambda: customers.list(include_expanded_fields=True),
        "error": error,
        "iterate": iterate,
    }


def official(url: str, many: str) -> Cases:
    """Return the calls with the current official SDK, which has no ``create``."""
    from dub import Dub  # type: ignore[import-not-found]

    customers = Dub(token=TOKEN, server_url=url).customers
    all_customers: Any = None

    def error() -> None:
        from dub.models import errors  # type: ignore[import-not-found]

        try:
            customers.get(request={"id": "missing"})
        except errors.NotFound:
            return
        raise AssertionError

    def iterate() -> int:
        # The paging of the SDK ends after the first page.
        nonlocal all_customers
        all_customers = all_customers or Dub(token=TOKEN, server_url=many).customers
        count = 0
        request: dict[str, str] = {}
        while True:
            page = all_customers.list(request=request).result
            count += len(page)
            if len(page) < 100:
                return count
            request = {"starting_after": page[-1].id}

    return {
        "get": lambda: customers.get(request={"id": "cus_1"}),
        "list": lambda: customers.list(request={}),
        "expanded": lambda: customers.list(request={"include_expanded_fields": True}),
        "error": error,
        "iterate": iterate,
    }


def official_2024(url: str, many: str) -> Cases:
    """Return the calls with the official SDK of 2024, which has no filters and no pages."""
    from dub import Dub

    customers = Dub(token=TOKEN, server_url=url).customers

    def error() -> None:
        from dub.models import errors

        try:
            customers.get(request={"id": "missing"})
        except errors.NotFound:
            return
        raise AssertionError

    new = {"external_id": "user_1", "email": "ada@example.com", "name": "Ada"}

    return {
        "get": lambda: customers.get(request={"id": "cus_1"}),
        "create": lambda: customers.create(request=new),
        "list": customers.list,
        "error": error,
    }


CLIENTS = {"floor": baseline, "ours": ours, "official": official, "official_2024": official_2024}


def in_threads(call: Callable[[], object]) -> float:
    """Return the seconds per call when eight threads share a client."""
    import threading

    def work() -> None:
        for _ in range(CALLS_PER_THREAD):
            call()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - started) / (THREADS * CALLS_PER_THREAD)


def measure(cases: Cases, case: str, count: int) -> list[float]:
    """Return the seconds of each call."""
    if case == "threads":
        return [in_threads(cases["get"]) for _ in range(count)]
    call = cases[case]
    samples = []
    for _ in range(count):
        started = time.perf_counter()
        result = call()
        samples.append(time.perf_counter() - started)
        if case == "iterate" and result != MANY:
            raise AssertionError(result)
    return samples


def peak_kilobytes() -> int:
    """Return the peak memory of this process, without that of its parent process."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak


def main() -> None:
    """Measure the start-up, or the cases that the standard input names."""
    name, url, *fresh = sys.argv[1:]
    cases = CLIENTS[name](url, url + "/many")
    if fresh:
        cases["get"]()
        seconds = time.perf_counter() - STARTED
        print(seconds, peak_kilobytes())  # noqa: T201 - the parent reads it
        return
    print(*cases, "threads", flush=True)  # noqa: T201
    for line in sys.stdin:
        case, count = line.split()
        print(*measure(cases, case, int(count)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
