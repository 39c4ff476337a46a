"""What a rate limit is told, what it shows of itself, and what it needs."""

from __future__ import annotations

import copy
import pickle
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from dub_uplink import AsyncDub, Clock, CustomersConsumer, Dub, RateLimit, utils
from dub_uplink._internal.credentials import RedactedStr
from dub_uplink._rate_limit.sliding_window import Notice, Ticket


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"limit": 0}, ValueError),
        ({"limit": -1}, ValueError),
        ({"limit": 1_000_001}, ValueError),
        ({"limit": True}, TypeError),
        ({"limit": 1.5}, TypeError),
        ({"limit": "600"}, TypeError),
        ({"limit": 1, "per": "week"}, ValueError),
        ({"limit": 1, "per": 0.01}, ValueError),
        ({"limit": 1, "per": 86_401}, ValueError),
        ({"limit": 1, "per": float("nan")}, ValueError),
        ({"limit": 1, "per": None}, TypeError),
        ({"limit": 1, "per": True}, TypeError),
        ({"limit": 1, "priority": "low"}, ValueError),
        ({"limit": 1, "storage": 6379}, TypeError),
        ({"limit": 1, "storage": ""}, ValueError),
        ({"limit": 1, "storage": "localhost:6379"}, ValueError),
        ({"limit": 1, "storage": "mongodb://localhost"}, ValueError),
    ],
)
def test_arguments_that_make_no_limit_are_refused(arguments: Any, error: Any) -> None:
    with pytest.raises(error, match=r"^(limit|per|priority|storage) "):
        RateLimit(**arguments)


@pytest.mark.parametrize("make", [Dub, AsyncDub, CustomersConsumer])
def test_a_client_takes_a_rate_limit_and_nothing_else_as_one(make: Any) -> None:
    with pytest.raises(TypeError, match="rate_limit must be a RateLimit or None, not 600"):
        make("dub_test", rate_limit=600)


def test_it_shows_what_it_was_told() -> None:
    assert repr(RateLimit(600)) == "RateLimit(600, per='minute')"
    assert repr(RateLimit(5, 0.5, priority="bulk")) == 'RateLimit(5, per=0.5, priority="bulk")'
    assert utils.RateLimit is RateLimit


def test_it_is_not_copied_into_another_process() -> None:
    with pytest.raises(TypeError, match="make one in each process"):
        pickle.dumps(RateLimit(5))
    with pytest.raises(TypeError, match="make one in each process"):
        copy.copy(RateLimit(5))


def test_tokens_that_are_renewed_leave_no_windows_behind() -> None:
    limit = RateLimit(5)
    for number in range(500):
        limit.turns("https://api.dub.co/", RedactedStr(f"Bearer {number}"))
    assert len(limit._turns) <= 65


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Blocked())
from dub_uplink import RateLimit
RateLimit(5).turns("x", "y")
try:
    RateLimit(5, storage="{storage}")
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("names", "storage", "said"),
    [
        (("limits",), "redis://:pa55@h", 'limits: run  pip install "dub-uplink[redis]"'),
        (("redis",), "redis://:pa55@h", "redis: run  pip install redis"),
        (("pymemcache",), "memcached://h:1", "pymemcache: run  pip install pymemcache"),
    ],
)
def test_a_library_that_is_missing_is_named_and_the_limit_of_a_process_needs_none(
    names: tuple[str], storage: str, said: str
) -> None:
    if names != ("limits",):
        pytest.importorskip("limits", reason="the extra redis is not installed")
    code = BLOCKED.format(names=names, storage=storage)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(said)
    assert "pa55" not in done.stdout


@pytest.fixture
def memcached() -> Iterator[str]:
    if shutil.which("memcached") is None:
        pytest.skip("there is no memcached here; Debian has it in the package memcached")
    pytest.importorskip("limits", reason="the extra redis is not installed")
    pytest.importorskip("pymemcache", reason="pymemcache is not installed")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    server = subprocess.Popen(["memcached", "-l", "127.0.0.1", "-p", str(port), "-u", "nobody"])
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.01)
    yield f"memcached://127.0.0.1:{port}"
    server.kill()
    server.wait()


def test_memcached_counts_for_several_and_heeds_a_pause(
    memcached: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "dub_uplink._rate_limit.shared_limiter._PATIENCE", 20.0
    )  # seconds; this machine's
    first, second = (RateLimit(4, 60.0, storage=memcached) for _ in range(2))
    tickets = [Ticket(Clock(), bulk=False) for _ in range(5)]
    both = [limit.turns("x", RedactedStr("Bearer a")) for limit in (first, second)]
    waits = [both[n % 2].ask(ticket, 60) for n, ticket in enumerate(tickets)]
    assert waits[:4] == [0.0] * 4
    assert 0 < waits[4] < 30
    both[0].heed(Notice(4, 0, 20.0, refused=True), tickets[0])
    both[0].ask(Ticket(Clock(), bulk=False), 60)  # after it has told of the pause
    assert both[1].ask(Ticket(Clock(), bulk=False), 60) > 15
    first.close()
    second.close()
