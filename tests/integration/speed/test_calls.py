"""How many functions a call runs through: counted, since times on shared machines say nothing.

A bound that is passed is no error of itself. It asks whether what was added has to run at every
call; if it has to, raise the bound in the same change.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
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
    """Return the bound of this package: until Python 3.11 a comprehension is a function, too."""
    return python_311 if sys.version_info < (3, 12) else later


#: Functions written in Python that run in one call, by package. A coroutine counts once. uplink's
#: grow with what is declared: an argument, a hook, a decorator costs some each. On the oldest
#: releases of the dependencies, tested on Python 3.11, a synchronous call runs three more.
UPLINK = {"uplink": 124, "marshmallow": 0}
REQUESTS = {"requests": 29}  # of the 61 functions of `requests` with its own session
GET_BOUNDS = {**UPLINK, **REQUESTS, "dub_uplink": own(python_311=89, later=85), "inspect": 8}
LIST_BOUNDS = {**UPLINK, **REQUESTS, "dub_uplink": own(python_311=97, later=90), "inspect": 10}
ASYNC_GET_BOUNDS = {**UPLINK, "dub_uplink": own(python_311=68, later=66), "inspect": 8}
ASYNC_LIST_BOUNDS = {**UPLINK, "dub_uplink": own(python_311=77, later=72), "inspect": 10}
#: For one more customer in a list: the compiled function and the dataclass's constructor.
CUSTOMER_BOUND = 2
#: Calls of built-in functions for it: one lookup of all fields, and its dates.
CUSTOMER_BUILTINS_BOUND = 3

ROOTS = {
    str(Path(package.__file__ or "").parent): package.__name__
    for package in (dub_uplink, uplink, marshmallow, requests)
} | {inspect.__file__: "inspect"}  # what a signature that is not kept is worked out by

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


def counted(call: Callable[[], object]) -> tuple[Counter[str], Counter[str]]:
    """The functions that run in a call, by name, and how many are whose."""
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
            if frame in coroutines:  # it is resumed
                return
            coroutines.add(frame)
        owner = next(
            (name for root, name in ROOTS.items() if code.co_filename.startswith(root)), ""
        )
        if code.co_filename.startswith(("<compiled", "<string")):  # of a schema, of a dataclass
            owner = "made"
        owners[owner] += 1
        names[f"{owner or 'elsewhere'}: {code.co_name}"] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return names, owners


def check(what: str, call: Callable[[], object], bounds: dict[str, int]) -> None:
    for _ in range(3):  # what happens once: the connection, the compiled schema, caches
        call()
    names, owners = counted(call)
    for owner, bound in bounds.items():
        most = [f"{n} x{count}" for n, count in names.most_common() if n.startswith(owner + ":")]
        assert owners[owner] <= bound, (
            f"{what} runs {owners[owner]} functions of {owner}, where {bound} did so far;"
            f" most often: {', '.join(most[:25])}"
        )


@pytest.fixture
def getting(serving: Any, connect: Any) -> Callable[[Any], Any]:
    """A client of a server that always answers this."""
    return lambda body: connect(serving(body=json.dumps(body)).url)


def test_get_calls_at_most_the_allowed_number_of_functions(getting: Any) -> None:
    customers = getting(CUSTOMER)
    check("get", lambda: customers.get("cus_1"), GET_BOUNDS)


def test_list_calls_at_most_the_allowed_number_of_functions(getting: Any) -> None:
    customers = getting([])
    check("list", customers.list, LIST_BOUNDS)


@pytest.fixture
def awaiting(serving: Any, token: str) -> Iterator[Callable[..., Callable[[], object]]]:
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


def test_async_get_calls_at_most_the_allowed_functions(awaiting: Any) -> None:
    check("awaited get", awaiting(CUSTOMER, "get", "cus_1"), ASYNC_GET_BOUNDS)


def test_async_list_calls_at_most_the_allowed_functions(awaiting: Any) -> None:
    check("awaited list", awaiting([], "list"), ASYNC_LIST_BOUNDS)


def test_list_calls_two_functions_for_each_customer(getting: Any) -> None:
    counts = []
    for size in (50, 150):
        customers = getting([CUSTOMER] * size)
        customers.list()
        counts.append(counted(customers.list))
    (few_names, few), (many_names, many) = counts
    grown = {n: c / 100 for n, c in (many_names - few_names).items() if c >= 50}
    functions = sum(many[owner] - few[owner] for owner in many if owner != "built-in") / 100
    # What is read from the socket grows a little, too.
    assert functions <= CUSTOMER_BOUND + 0.5, f"functions for each customer: {grown}"
    builtins = (many["built-in"] - few["built-in"]) / 100
    assert builtins <= CUSTOMER_BUILTINS_BOUND, f"{builtins} calls of built-ins for each customer"
