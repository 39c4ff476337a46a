"""The work of a served ``get``, as a number of function calls: times vary with the machine."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter

import pytest

from dub_uplink.testing import FakeDub

REQUESTS = 500


def count_calls(customer_count: int, event: str) -> int:
    """Get random customers on one connection; return the usual number of calls for a request."""
    calls = 0

    def count(frame: object, name: str, argument: object) -> None:
        nonlocal calls
        calls += name == event

    numbers = random.Random(1)
    counts: Counter[int] = Counter()
    fake = FakeDub()
    fake.add_many(customer_count)
    with fake.serve() as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        # The thread of the connection starts after the thread that listens, and is counted alone.
        threading.setprofile(count)
        try:
            with socket.create_connection(address, timeout=20) as connection:
                for _ in range(REQUESTS):
                    path = f"/customers/ext_user_{numbers.randint(1, customer_count)}"
                    request = f"GET {path} HTTP/1.1\r\nAuthorization: Bearer dub_test\r\n\r\n"
                    before = calls
                    connection.sendall(request.encode())
                    assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
                    counts[calls - before] += 1
        finally:
            threading.setprofile(None)  # type: ignore[arg-type]
    ((usual, times),) = counts.most_common(1)
    assert times > REQUESTS * 0.8
    return usual


@pytest.mark.parametrize("event", ["call", "c_call"], ids=["python", "builtin"])
def test_get_makes_equal_calls_with_100_and_20000_customers(event: str) -> None:
    assert count_calls(100, event) == count_calls(20_000, event) > 0
