"""Count the functions that a call runs; times on shared machines vary too much.

If a bound is exceeded, move the new work out of the call. If that is impossible, raise the bound in
the same change.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import marshmallow
import pytest
import requests
import uplink

import dub_uplink


def own(*, python_311: int, later: int) -> int:
    """Return the bound of this package: a comprehension is a function before Python 3.12."""
    return python_311 if sys.version_info < (3, 12) else later


#: The number of Python functions that one call runs, by package. A coroutine counts once. The
#: number of uplink grows with the arguments, hooks and decorators of a declaration. With the oldest
#: releases of the dependencies, on Python 3.11, a synchronous call runs three more.
UPLINK = {"uplink": 124, "marshmallow": 0}
REQUESTS = {"requests": 29}  # a session of `requests` itself runs 61
GET_BOUNDS = {**UPLINK, **REQUESTS, "dub_uplink": own(python_311=89, later=85), "inspect": 8}
LIST_BOUNDS = {**UPLINK, **REQUESTS, "dub_uplink": own(python_311=97, later=90), "inspect": 10}
ASYNC_GET_BOUNDS = {**UPLINK, "dub_uplink": own(python_311=68, later=66), "inspect": 8}
ASYNC_LIST_BOUNDS = {**UPLINK, "dub_uplink": own(python_311=77, later=72), "inspect": 10}
#: Per additional customer in a list: the compiled function and the dataclass constructor.
CUSTOMER_BOUND = 2
#: Built-in functions per additional customer: one lookup of all fields, and the dates.
CUSTOMER_BUILTINS_BOUND = 3

ROOTS = {
    str(Path(package.__file__ or "").parent): package.__name__
    for package in (dub_uplink, uplink, marshmallow, requests)
} | {inspect.__file__: "inspect"}  # it computes signatures that are not cached

CUSTOMER = {
    "id": "cus_1",
    "name": "Ada",
    "email": "ada@example.com",
    "avatar": None,
    "externalId": "user_1",
    "stripeCustomerId": None,
    "country": "GB",
    "sales": 1,
    "saleAmount": 4900,
    "createdAt": "2026-08-21T21:14:02.000Z",
    "firstSaleAt": "2026-08-21T21:14:02.000Z",
    "subscriptionCanceledAt": None,
}


def count_calls(call: Callable[[], object]) -> tuple[Counter[str], Counter[str]]:
    """Return the functions that a call runs, by name, and their number by package."""
    names: Counter[str] = Counter()
    owners: Counter[str] = Counter()
    coroutines: set[FrameType] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "c_call":
            owners["built-in"] += 1
        if event != "call":
            return
        code = frame.f_code
        if code.co_flags & inspect.CO_COROUTINE:
            if frame in coroutines:  # a resumed coroutine
                return
            coroutines.add(frame)
        owner = next(
            (name for root, name in ROOTS.items() if code.co_filename.startswith(root)), ""
        )
        if code.co_filename.startswith(("<compiled", "<string")):  # a compiled schema or dataclass
            owner = "generated"
        owners[owner] += 1
        names[f"{owner or 'elsewhere'}: {code.co_name}"] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return names, owners


def check(call_name: str, call: Callable[[], object], bounds: dict[str, int]) -> None:
    for _ in range(3):  # warm up: connection, compiled schema, caches
        call()
    names, owners = count_calls(call)
    for owner, bound in bounds.items():
        most = [f"{n} x{count}" for n, count in names.most_common() if n.startswith(owner + ":")]
        assert owners[owner] <= bound, (
            f"{call_name} runs {owners[owner]} functions of {owner}, and the bound is {bound};"
            f" most often: {', '.join(most[:25])}"
        )


@pytest.fixture(autouse=True)
def _no_debug_messages(caplog: pytest.LogCaptureFixture) -> None:
    """Do not count the functions of debug messages, which another test may have enabled."""
    caplog.set_level(logging.WARNING, logger="dub_uplink")


@pytest.fixture
def make_client(serving: Any, connect: Any) -> Callable[[Any], Any]:
    """Make clients of a server with one response."""
    return lambda body: connect(serving(body=json.dumps(body)).url)


def test_get_calls_at_most_the_allowed_number_of_functions(make_client: Any) -> None:
    customers = make_client(CUSTOMER)
    check("get", lambda: customers.get("cus_1"), GET_BOUNDS)


def test_list_calls_at_most_the_allowed_number_of_functions(make_client: Any) -> None:
    customers = make_client([])
    check("list", customers.list, LIST_BOUNDS)


@pytest.fixture
def make_async_call(serving: Any, token: str) -> Iterator[Callable[..., Callable[[], object]]]:
    """Make functions that call an awaited operation of a server with one response."""
    with contextlib.ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def make(body: Any, operation: str, *args: str) -> Callable[[], object]:
            url = serving(body=json.dumps(body)).url
            client = dub_uplink.AsyncDub(token, server_url=url)
            stack.callback(lambda: runner.run(client.aclose()))
            call = getattr(client.customers, operation)
            return lambda: runner.run(call(*args))

        yield make


def test_async_get_calls_at_most_the_allowed_functions(make_async_call: Any) -> None:
    check("awaited get", make_async_call(CUSTOMER, "get", "cus_1"), ASYNC_GET_BOUNDS)


def test_async_list_calls_at_most_the_allowed_functions(make_async_call: Any) -> None:
    check("awaited list", make_async_call([], "list"), ASYNC_LIST_BOUNDS)


def test_list_calls_two_functions_for_each_customer(make_client: Any) -> None:
    counts = []
    for size in (50, 150):
        customers = make_client([CUSTOMER] * size)
        customers.list()
        counts.append(count_calls(customers.list))
    (few_names, few), (many_names, many) = counts
    increase = {n: c / 100 for n, c in (many_names - few_names).items() if c >= 50}
    functions = sum(many[owner] - few[owner] for owner in many if owner != "built-in") / 100
    # Reading a longer body from the socket also takes a few more calls.
    assert functions <= CUSTOMER_BOUND + 0.5, f"functions for each customer: {increase}"
    builtins = (many["built-in"] - few["built-in"]) / 100
    assert builtins <= CUSTOMER_BUILTINS_BOUND, f"{builtins} calls of built-ins for each customer"
