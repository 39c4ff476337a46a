"""Test Redis that fails over, restarts, or rejects commands during calls.

All calls succeed, and the clients share the limit again within 5 seconds.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dub_uplink import Clock, RateLimit
from dub_uplink._internal.credentials import RedactedStr
from dub_uplink._rate_limit.sliding_window import Reservation

pytest.importorskip("redis", reason="the extra redis is not installed")


@pytest.fixture(autouse=True)
def storage_responds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a response of the storage on a slow machine."""
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._CALL_TIMEOUT", 1.0)


@pytest.fixture
def pair(start_redis: Any) -> tuple[Any, Any]:
    """Start a primary and its replica."""
    primary, replica = start_redis("--repl-diskless-sync-delay", "0"), start_redis()
    with replica.client() as client:
        client.replicaof("127.0.0.1", primary.port)
        assert wait_until(lambda: client.info("replication")["master_link_status"] == "up")
    return primary, replica


def loaded(server: Any) -> bool:
    with server.client() as client:
        return bool(client.info("persistence")["loading"] == 0)


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def promote(replica: Any, primary: Any) -> None:
    with replica.client() as new, primary.client() as old:
        new.replicaof("NO", "ONE")
        old.replicaof("127.0.0.1", replica.port)


def test_limiter_follows_a_failover_with_changed_host_name(
    pair: Any, forwarder: Any, traffic: Any
) -> None:
    """The existing connections stay open, to a server that is now a replica."""
    primary, replica = pair
    host = forwarder(primary.port)
    calls = traffic(host.url)
    assert calls.is_shared(primary)
    promote(replica, primary)
    host.port = replica.port
    assert calls.is_shared(replica)
    assert calls.errors == []


def test_limiter_follows_a_failover_before_the_host_name_change(
    pair: Any, forwarder: Any, traffic: Any
) -> None:
    primary, replica = pair
    host = forwarder(primary.port)
    calls = traffic(host.url)
    assert calls.is_shared(primary)
    promote(replica, primary)
    time.sleep(1.5)
    host.port = replica.port
    assert calls.is_shared(replica)
    assert calls.errors == []


def test_limiter_follows_the_failover_of_a_killed_primary(
    pair: Any, forwarder: Any, traffic: Any
) -> None:
    primary, replica = pair
    host = forwarder(primary.port)
    calls = traffic(host.url)
    assert calls.is_shared(primary)
    primary.kill()
    with replica.client() as client:
        client.replicaof("NO", "ONE")
    host.port = replica.port
    assert calls.is_shared(replica)
    assert calls.errors == []


def test_limiter_restores_slots_lost_in_a_redis_failover(pair: Any, forwarder: Any) -> None:
    primary, replica = pair
    host = forwarder(primary.port)
    limit = RateLimit(100, 60.0, storage=host.url)
    limiter: Any = limit._limiter_for("x", RedactedStr("Bearer dub_test"))
    for number in range(10):
        if number == 5:
            with replica.client() as client, primary.client() as old:
                old.wait(1, 10_000)
                client.replicaof("NO", "ONE")
        assert limiter.reserve(Reservation(Clock(), bulk=False), 60.0) == 0
    promote(replica, primary)
    host.port = replica.port
    assert limiter.reserve(Reservation(Clock(), bulk=False), 60.0) == 0
    limit._storage._worker.submit(lambda: None).result(30)  # type: ignore[union-attr]
    with replica.client() as client:
        assert client.zcard(client.keys("dub_uplink:*:slots")[0]) == 11
    limit.close()


@pytest.mark.parametrize(
    "error",
    [
        "READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "CLUSTERDOWN Hash slot not served",
        "MOVED 3999 127.0.0.1:6381",
        "NOREPLICAS Not enough good replicas to write.",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "UNBLOCKED force unblock from blocking operation, instance state changed",
        "ERR max number of clients reached",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "BUSY Redis is busy running a script.",
        "MISCONF Redis is configured to save RDB snapshots",
        "NOAUTH Authentication required.",
        "NOPERM this user has no permissions",
        "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write",
        "ERR unknown error of a proxy",
    ],
)
def test_redis_error_reply_opens_a_new_connection(
    redis: Any, forwarder: Any, traffic: Any, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The existing connections repeat the error; a new one works."""
    host = forwarder(redis.port)
    calls = traffic(host.url)
    assert calls.is_shared(redis)
    host.reply(error)
    assert calls.is_shared(redis)
    assert calls.errors == []
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []


def disturb_client_kill(client: Any) -> None:
    client.client_kill_filter(_type="normal", skipme=True)


def disturb_flushall(client: Any) -> None:
    client.flushall()


def disturb_script_flush(client: Any) -> None:
    client.script_flush()


def disturb_maxmemory(client: Any) -> None:
    client.config_set("maxmemory", "1")
    time.sleep(0.5)
    client.config_set("maxmemory", "0")


def disturb_maxmemory_with_eviction(client: Any) -> None:
    client.config_set("maxmemory-policy", "allkeys-lru")
    disturb_maxmemory(client)


def disturb_no_replicas(client: Any) -> None:
    client.config_set("min-replicas-to-write", "1")
    time.sleep(0.5)
    client.config_set("min-replicas-to-write", "0")


def disturb_maxclients(client: Any) -> None:
    client.config_set("maxclients", "1")
    client.client_kill_filter(_type="normal", skipme=True)
    time.sleep(0.5)
    client.config_set("maxclients", "100")


def disturb_busy_script(client: Any) -> None:
    client.config_set("busy-reply-threshold", "50")

    def run() -> None:
        with contextlib.suppress(Exception):
            client.eval("while true do end", 0)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.7)
    client.script_kill()
    thread.join(30)


def disturb_pause(client: Any) -> None:
    client.client_pause(1500)


def disturb_permissions(client: Any) -> None:
    client.execute_command("ACL", "SETUSER", "default", "-evalsha", "-eval")
    time.sleep(0.5)
    client.execute_command("ACL", "SETUSER", "default", "+evalsha", "+eval")


def disturb_wrong_type(client: Any) -> None:
    for key in client.keys("dub_uplink:*"):
        client.delete(key)
        client.set(key, "x", px=500)
    time.sleep(0.6)


@pytest.mark.parametrize(
    "disturb",
    [
        disturb_client_kill,
        disturb_flushall,
        disturb_script_flush,
        disturb_maxmemory,
        disturb_maxmemory_with_eviction,
        disturb_no_replicas,
        disturb_maxclients,
        disturb_busy_script,
        disturb_pause,
        disturb_permissions,
        disturb_wrong_type,
    ],
    ids=lambda function: function.__name__.removeprefix("disturb_"),
)
def test_calls_succeed_during_a_redis_error(start_redis: Any, traffic: Any, disturb: Any) -> None:
    server = start_redis()
    calls = traffic(server.url)
    assert calls.is_shared(server)
    with server.client() as client:
        disturb(client)
    assert calls.is_shared(server)
    assert calls.errors == []


def test_redis_is_used_after_loading_a_data_file(start_redis: Any, traffic: Any) -> None:
    server = start_redis(
        *("--dbfilename", "loading.rdb", "--key-load-delay", "10000"),
        *("--loading-process-events-interval-bytes", "1024"),
    )
    with server.client() as client:
        client.mset({f"k{number}": random.randbytes(200) for number in range(200)})  # 2 s
        client.save()
    try:
        calls = traffic(server.url)
        assert calls.is_shared(server)
        server.kill()
        server.start()
        with server.client() as client:
            assert client.info("persistence")["loading"] == 1
        assert wait_until(lambda: loaded(server))
        assert calls.is_shared(server)
        assert calls.errors == []
    finally:
        server.kill()
        Path(server._home, "loading.rdb").unlink()


def test_redis_cluster_is_used_after_the_slots_are_assigned(start_redis: Any, traffic: Any) -> None:
    server = start_redis("--cluster-enabled", "yes", "--cluster-config-file", "nodes-test.conf")
    try:
        calls = traffic(server.url)
        time.sleep(1.0)
        with server.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        assert calls.is_shared(server)
        assert calls.errors == []
    finally:
        server.kill()
        Path(server._home, "nodes-test.conf").unlink()
