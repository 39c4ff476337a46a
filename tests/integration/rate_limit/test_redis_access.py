"""Test Redis with TLS, a Unix socket, a password, and the permissions of an ACL user."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dub_uplink import Clock, RateLimit
from dub_uplink._internal.credentials import RedactedStr
from dub_uplink._rate_limit.sliding_window import Reservation, ServerFeedback

pytest.importorskip("redis", reason="the extra redis is not installed")

DOCS = Path(__file__).resolve().parents[3] / "docs" / "many-workers.rst"


def documented_permissions() -> list[str]:
    """Return the permissions that the docs list for an ACL user."""
    found = re.search(r"ACL SETUSER dub on >password ([^\n]+\n +[^\n]+)", DOCS.read_text("utf-8"))
    assert found is not None
    return found[1].split()


@pytest.fixture(autouse=True)
def storage_responds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a response of the storage on a slow machine."""
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._CALL_TIMEOUT", 20.0)


@pytest.fixture
def limit_on() -> Iterator[Callable[..., RateLimit]]:
    created: list[RateLimit] = []

    def make(url: str) -> RateLimit:
        created.append(RateLimit(10, 60.0, storage=url))
        return created[-1]

    yield make
    for limit in created:
        limit.close()


def reserve(limit: RateLimit) -> float:
    limiter = limit._limiter_for("x", RedactedStr("Bearer dub_test"))
    return limiter.reserve(Reservation(Clock(), bulk=False), 600.0)


def slots(client: Any) -> int:
    """Return the number of slots in Redis."""
    return sum(client.zcard(key) for key in client.keys("dub_uplink:*:slots"))


def is_available(limit: RateLimit, seconds: float = 5.0) -> bool:
    storage: Any = limit._storage
    end = time.monotonic() + seconds
    while not storage.is_available():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def tls_redis(start_redis: Any, certificate: tuple[Path, Path]) -> Any:
    """Start a server with TLS on the port after its own port."""
    cert, key = map(str, certificate)
    server = start_redis("--tls-auth-clients", "no", "--tls-cert-file", cert, "--tls-key-file", key)
    server.tls_port = server.port + 1
    with server.client() as client:
        client.config_set("tls-port", server.tls_port)
    return server


def test_redis_tls_with_a_trusted_certificate_is_used(
    tls_redis: Any, limit_on: Any, certificate: tuple[Path, Path]
) -> None:
    limit = limit_on(f"rediss://127.0.0.1:{tls_redis.tls_port}?ssl_ca_certs={certificate[0]}")
    assert [reserve(limit) for _ in range(3)] == [0.0] * 3
    with tls_redis.client() as client:
        assert slots(client) == 3


def test_redis_tls_with_an_untrusted_certificate_is_rejected(
    tls_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limit = limit_on(f"rediss://127.0.0.1:{tls_redis.tls_port}")
    with caplog.at_level(logging.WARNING, "dub_uplink"):
        assert reserve(limit) == 0
    assert not limit._storage.is_available()
    with tls_redis.client() as client:
        assert slots(client) == 0


def test_redis_unix_socket_url_is_used(start_redis: Any, limit_on: Any, tmp_path: Path) -> None:
    server = start_redis("--unixsocket", str(tmp_path / "redis.sock"))
    assert reserve(limit_on(f"unix://{tmp_path}/redis.sock")) == 0
    with server.client() as client:
        assert slots(client) == 1


def test_redis_database_number_in_the_url_is_used(start_redis: Any, limit_on: Any) -> None:
    server = start_redis()
    assert reserve(limit_on(f"{server.url}/3")) == 0
    with server.client(db=3) as client:
        assert slots(client) == 1


def test_redis_acl_user_with_documented_permissions_works(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "dub", "on", ">pa55", *documented_permissions())
        limit = limit_on(server.url.replace("//", "//dub:pa55@"))
        limiter = limit._limiter_for("x", RedactedStr("Bearer dub_test"))
        first, second = (Reservation(Clock(), bulk=False) for _ in range(2))
        assert [limiter.reserve(one, 600.0) for one in (first, second)] == [0.0] * 2
        limiter.postpone_slot(first)
        limiter.cancel(second)
        limiter.apply_feedback(ServerFeedback(10, 5, 60.0, rejected=False), first)
        assert reserve(limit) == 0
        limit._storage._worker.submit(limiter.restore).result(30)
        assert slots(client) == 5 + 1  # those of other clients, and this one
    assert caplog.messages == []


def test_redis_acl_user_works_after_permissions_are_granted(
    start_redis: Any, limit_on: Any
) -> None:
    server = start_redis()
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "dub", "on", ">pa55", "~dub_uplink:*", "+time")
        limit = limit_on(server.url.replace("//", "//dub:pa55@"))
        assert reserve(limit) == 0
        assert not limit._storage.is_available()
        client.execute_command("ACL", "SETUSER", "dub", *documented_permissions())
        assert is_available(limit)
        assert slots(client) == 1


def test_redis_password_is_used_after_it_becomes_valid(start_redis: Any, limit_on: Any) -> None:
    server = start_redis("--requirepass", "new")
    limit = limit_on(server.url.replace("//", "//:old@"))
    assert reserve(limit) == 0
    assert not limit._storage.is_available()
    with server.client(password="new") as client:
        client.config_set("requirepass", "old")
    assert is_available(limit)


def test_redis_without_hello_command_is_used(start_redis: Any, limit_on: Any) -> None:
    """Redis 5 does not have HELLO, the first command of RESP3."""
    server = start_redis("--rename-command", "HELLO", "")
    limit = limit_on(server.url)
    assert reserve(limit) == 0
    assert limit._storage.is_available()


def test_redis_url_with_one_connection_at_most_is_used(redis: Any, limit_on: Any) -> None:
    url = f"{redis.url}{'&' if '?' in redis.url else '?'}max_connections=1"
    limit = limit_on(url)
    with redis.client() as client:
        before = slots(client)
        assert is_available(limit)
        assert reserve(limit) == 0.0
        assert slots(client) == before + 1
