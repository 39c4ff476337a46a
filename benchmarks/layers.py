"""Measure the time of each layer in one awaited ``get``: ``python -m benchmarks.layers``.

Each step adds one layer to the step before it. All steps run in one process, one after another; the
server is another process. The difference of two steps is the time of a layer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from dub_uplink import AsyncDub
from dub_uplink._internal.credentials import RedactedStr

from .concurrency_worker import HEADERS, aiohttp_with_options, plain_aiohttp, seconds
from .speed import run_server

Step = Callable[[], Awaitable[object]]
CALLS = {1: 60, 100: 200}


def own_steps(client: AsyncDub, url: str, options: Step) -> dict[str, Step]:
    """Return the steps of this package, from one attempt to the whole call."""
    customers: Any = client.customers
    transport = customers._transport
    path = f"{url}/customers/cus_1"
    info: dict[str, dict[str, str]] = {"headers": {}, "params": {}}
    token = RedactedStr(HEADERS["Authorization"])

    async def attempt() -> None:
        response = await transport._backend.send("GET", path, info, token, 30.0)
        json.loads(response.content)

    async def retries() -> None:
        response = await transport.send(("GET", path, info))
        response.json()

    async def request_built() -> None:
        customers._get_definition("cus_1").close()  # the coroutine that sends the request
        await options()

    return {
        "one attempt": attempt,
        "and retries": retries,
        "a request built by uplink": request_built,
        "get()": lambda: customers.get("cus_1"),
    }


async def measure(url: str, rounds: int) -> None:
    """Measure all steps and print their times."""
    async with (
        plain_aiohttp(url) as plain,
        aiohttp_with_options(url) as options,
        AsyncDub("dub_benchmark", server_url=url + "/") as client,
    ):
        steps = {
            "aiohttp + json": plain["get"],
            "with our options": options["get"],
            **own_steps(client, url, options["get"]),
        }
        for concurrency, calls in CALLS.items():
            samples: dict[str, list[float]] = {name: [] for name in steps}
            for _ in range(rounds):
                for name, step in steps.items():
                    samples[name].append(await seconds(step, calls, concurrency) * 1e6)
            for name, times in samples.items():
                above = statistics.median(
                    a - b for a, b in zip(times, samples["with our options"], strict=True)
                )
                print(  # noqa: T201
                    f"{concurrency:3} at once  {name:30} {statistics.median(times):5.0f} µs"
                    f"  least {min(times):4.0f}  above aiohttp with our options {above:+5.0f}"
                )


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    print(f"aiohttp {aiohttp.__version__}")  # noqa: T201
    with run_server("concurrency_server.py") as url:
        asyncio.run(measure(url, rounds))


if __name__ == "__main__":
    main()
