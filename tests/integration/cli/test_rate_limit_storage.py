"""Test a limit that the command shares with other processes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dub_uplink.testing import FakeDub

Invoke = Callable[..., Any]

pytest.importorskip("redis", reason="the extra redis is not installed")


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("external_id,country\n" + "".join(f"user_{n},GB\n" for n in range(5)))
    return path


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Wait for the threads of the test, so that they do not log during later tests."""
    yield
    for thread in threading.enumerate():
        if thread.name == "dub_uplink_storage":
            thread.join(30)
            assert not thread.is_alive()


@pytest.mark.parametrize("by", ["option", "environment"])
def test_rate_limit_storage_outage_does_not_stop_the_command(
    invoke_apart: Invoke,
    live: tuple[FakeDub, dict[str, str]],
    people: Path,
    monkeypatch: pytest.MonkeyPatch,
    by: str,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        arguments = ["--rate-limit", "1000"]
        if by == "option":
            arguments += ["--rate-limit-storage", url]
        else:
            monkeypatch.setenv("DUB_RATE_LIMIT_STORAGE", url)
        done = invoke_apart("customers", "import", *arguments, str(people))
        silent.settimeout(5)
        silent.accept()[0].close()
    assert (done.exit_code, live[0].customer_count) == (0, 5)


def test_rate_limit_storage_option_needs_a_limit(
    invoke_apart: Invoke, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = invoke_apart("customers", "import", "--rate-limit-storage", "redis://x", str(people))
    assert (done.exit_code, "needs --rate-limit" in done.stderr) == (2, True)
    monkeypatch.setenv("DUB_RATE_LIMIT_STORAGE", "redis://x")
    assert invoke_apart("customers", "import", str(people)).exit_code == 0


@pytest.mark.parametrize("url", ["postgres://:pa55@x", "redis://:pa55@[::1", "redis://x:pa55"])
def test_invalid_rate_limit_storage_hides_the_password(
    invoke_apart: Invoke, people: Path, url: str
) -> None:
    arguments = ["--rate-limit", "5", "--rate-limit-storage", url, str(people)]
    done = invoke_apart("customers", "import", *arguments)
    assert (done.exit_code, "--rate-limit-storage: storage" in done.stderr) == (2, True)
    assert "pa55" not in done.output


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:9/3", "redis://127.0.0.1:9/3"),
        ("redis://ada:pa55@127.0.0.1:9/3?password=pa55", "'redis://***@127.0.0.1:9/3?***'"),
    ],
)
def test_suggested_command_keeps_storage_url_without_password(
    invoke_apart: Invoke, live: tuple[FakeDub, dict[str, str]], people: Path, url: str, shown: str
) -> None:
    live[0].add(external_id="user_1")
    arguments = ["--rate-limit", "500", "--rate-limit-storage", url, str(people)]
    done = invoke_apart("customers", "import", *arguments)
    assert done.exit_code == 1
    assert f"--rate-limit-storage {shown} --rate-limit 500/minute " in done.stderr
    assert "pa55" not in done.output
