"""One client under the stopwatch, in a process of its own and the environment it is installed in.

``speed_worker.py NAME URL`` reads a line ``case count`` at a time and writes the seconds that each
call took; ``speed_worker.py NAME URL fresh`` is one import, client and call. Imports only the
standard library and the client that it measures.
"""

# ruff: noqa: PLC0415 - an import is measured with the client that needs it

from __future__ import annotations

import sys
import time

STARTED = time.perf_counter()

TYPE_CHECKING = False  # typing itself would be an import more to measure
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Cases = dict[str, Callable[[], object]]

TOKEN = "dub_benchmark"
NEW = {"externalId": "user_1", "email": "ada@example.com", "name": "Ada", "country": "GB"}
THREADS = 8
CALLS_A_THREAD = 12
MANY = 10_000


def floor(url: str, many: str) -> Cases:
    """requests and json: what every client on requests must at least do."""
    import json

    import requests

    session = requests.Session()
    headers = {"Authorization": f"Bearer {TOKEN}"}

    def get(path: str, **params: str) -> Any:
        answer = session.get(url + path, headers=headers, params=params or None)
        return json.loads(answer.content)

    def error() -> None:
        answer = session.get(url + "/customers/missing", headers=headers)
        if answer.ok:
            raise AssertionError
        json.loads(answer.content)

    def iterate() -> int:
        count = 0
        params: dict[str, str] | None = None
        while True:
            answer = session.get(many + "/customers", headers=headers, params=params)
            found = json.loads(answer.content)
            count += len(found)
            if len(found) < 100:
                return count
            params = {"startingAfter": found[-1]["id"]}

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
    from dub_uplink import Dub

    customers = Dub(TOKEN, server_url=url).customers
    everyone: Any = None

    def error() -> None:
        from dub_uplink.models import errors

        try:
            customers.get("missing")
        except errors.NotFound:
            return
        raise AssertionError

    def iterate() -> int:
        nonlocal everyone
        everyone = everyone or Dub(TOKEN, server_url=many).customers
        return sum(1 for _ in everyone.iterate())

    return {
        "get": lambda: customers.get("cus_1"),
        "create": lambda: customers.create(NEW),
        "list": customers.list,
        "expanded": lambda: customers.list(include_expanded_fields=True),
        "error": error,
        "iterate": iterate,
    }


def official(url: str, many: str) -> Cases:
    """The official SDK of today, which has no `create`."""
    from dub import Dub  # type: ignore[import-not-found]

    customers = Dub(token=TOKEN, server_url=url).customers
    everyone: Any = None

    def error() -> None:
        from dub.models import errors  # type: ignore[import-not-found]

        try:
            customers.get(request={"id": "missing"})
        except errors.NotFound:
            return
        raise AssertionError

    def iterate() -> int:
        # By hand, since its own paging ends after the first page.
        nonlocal everyone
        everyone = everyone or Dub(token=TOKEN, server_url=many).customers
        count = 0
        request: dict[str, str] = {}
        while True:
            found = everyone.list(request=request).result
            count += len(found)
            if len(found) < 100:
                return count
            request = {"starting_after": found[-1].id}

    return {
        "get": lambda: customers.get(request={"id": "cus_1"}),
        "list": lambda: customers.list(request={}),
        "expanded": lambda: customers.list(request={"include_expanded_fields": True}),
        "error": error,
        "iterate": iterate,
    }


def official_2024(url: str, many: str) -> Cases:
    """The official SDK of the seed document, which knows neither filters nor pages."""
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


PEERS = {"floor": floor, "ours": ours, "official": official, "official_2024": official_2024}


def in_threads(call: Callable[[], object]) -> float:
    """The time of a call where eight threads share a client."""
    import threading

    def work() -> None:
        for _ in range(CALLS_A_THREAD):
            call()

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - started) / (THREADS * CALLS_A_THREAD)


def measured(cases: Cases, case: str, count: int) -> list[float]:
    if case == "threads":
        return [in_threads(cases["get"]) for _ in range(count)]
    call = cases[case]
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        found = call()
        taken.append(time.perf_counter() - started)
        if case == "iterate" and found != MANY:
            raise AssertionError(found)
    return taken


def peak_kilobytes() -> int:
    """The most memory that this process has had; not what the one that started it had."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return used // 1024 if sys.platform == "darwin" else used


def main() -> None:
    name, url, *fresh = sys.argv[1:]
    cases = PEERS[name](url, url + "/many")
    if fresh:
        cases["get"]()
        taken = time.perf_counter() - STARTED
        print(taken, peak_kilobytes())  # noqa: T201 - read by the parent
        return
    print(*cases, "threads", flush=True)  # noqa: T201
    for line in sys.stdin:
        case, count = line.split()
        print(*measured(cases, case, int(count)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
