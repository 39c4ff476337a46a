"""Test exports that are killed, interrupted, or have a closed output pipe."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink.testing import FakeDub, faults

if TYPE_CHECKING:
    Run = Callable[..., subprocess.CompletedProcess[str]]

COMMAND = [sys.executable, "-m", "dub_uplink", "customers", "export"]
CUSTOMERS = 3_100


def test_export_resumes_after_kill_and_interrupt(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    target = tmp_path / "customers.jsonl"
    record = tmp_path / "customers.jsonl.part.json"

    def customers() -> int:
        return int(json.loads(record.read_bytes())["customers"]) if record.exists() else 0

    with FakeDub() as fake, fake.serve() as url:
        fake.add_many(CUSTOMERS)
        env = {**environment, "DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        for how, status in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
            before = customers()
            # Twelve requests succeed; the next one gets no response.
            fake.faults.add(faults.Delay(0), times=12)
            fake.faults.add(faults.Delay(60), times=None)
            with subprocess.Popen(
                [*COMMAND, "--resume", str(target)], env=env, stderr=subprocess.PIPE, text=True
            ) as process:
                while customers() == before and process.poll() is None:
                    time.sleep(0.005)
                process.send_signal(how)
                _, err = process.communicate(timeout=60)
            fake.faults.clear()
            assert (process.returncode, target.exists()) == (status, False)
            assert "Traceback" not in err
        assert "customers are in" in err
        assert "continue with --resume." in err
        done = run("customers", "export", "--resume", str(target), env=env)
        assert done.returncode == 0
        ids = [json.loads(line)["id"] for line in target.read_text().splitlines()]
        assert (len(ids), set(ids)) == (CUSTOMERS, {c.id for c in fake.customers})
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("option", [(), ("--force",), ("--resume",)])
def test_running_export_is_not_called_interrupted(
    run: Run, environment: dict[str, str], tmp_path: Path, option: tuple[str, ...]
) -> None:
    target = tmp_path / "customers.jsonl"
    with FakeDub() as fake, fake.serve() as url:
        fake.add_many(CUSTOMERS)
        env = {**environment, "DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        fake.faults.add(faults.Delay(0), times=12)
        fake.faults.add(faults.Delay(60), times=None)
        with subprocess.Popen([*COMMAND, str(target)], env=env, stderr=subprocess.DEVNULL) as first:
            while not (tmp_path / "customers.jsonl.part.json").exists() and first.poll() is None:
                time.sleep(0.005)
            second = run("customers", "export", *option, str(target), env=env)
            first.kill()
    assert (second.returncode, first.returncode) == (2, -signal.SIGKILL)
    assert second.stderr == (
        f"Error: another export is writing {target}.part.  Hint: wait until it ends, or export to"
        " another file.\n"
    )


def test_export_progress_bar_without_a_total_shows_no_eta(
    terminal: Callable[..., Any], tmp_path: Path
) -> None:
    with FakeDub(latency=0.05) as fake, fake.serve() as url:
        fake.add_many(1_500)
        fake.faults.add(faults.Status(404), times=None, path="/customers/count")
        env = {"DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        shown = terminal("customers", "export", str(tmp_path / "c.jsonl"), env=env, columns=100)
        shown.wait_for("/?")
        assert shown.finish() == 0
        assert "1500/1500" in shown.shown
        assert "ETA" not in shown.shown
        assert shown.shown.rstrip().endswith("1,500 customers in " + str(tmp_path / "c.jsonl"))


def test_export_progress_bar_total_is_the_customer_count(
    terminal: Callable[..., Any], tmp_path: Path
) -> None:
    with FakeDub(latency=0.05) as fake, fake.serve() as url:
        fake.add_many(1_500)
        for number in range(3):
            fake.add(external_id=f"french_{number}", country="FR")
        env = {"DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        file = str(tmp_path / "c.jsonl")
        shown = terminal("customers", "export", "--search", "user", file, env=env, columns=100)
        shown.wait_for("/1500")
        assert shown.finish() == 0
        counts = [request for request in fake.requests if request.path == "/customers/count"]
        assert [request.query for request in counts] == [{"search": "user"}]


def test_export_to_a_fifo_shows_the_total(terminal: Callable[..., Any], tmp_path: Path) -> None:
    fifo = tmp_path / "customers"
    os.mkfifo(fifo)
    with FakeDub(latency=0.05) as fake, fake.serve() as url:
        fake.add_many(1_500)
        env = {"DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        arguments = ("customers", "export", str(fifo), "--format", "jsonl")
        shown = terminal(*arguments, env=env, columns=100)
        with fifo.open() as file:
            lines = file.readlines()
        assert shown.finish() == 0
        assert not re.search(r"[1-9]\d*/\?", shown.shown)
        assert len(lines) == 1_500
        assert [request.path for request in fake.requests].count("/customers/count") == 1


def test_export_to_stdout_sends_no_count_request(run: Run, environment: dict[str, str]) -> None:
    with FakeDub() as fake, fake.serve() as url:
        env = {**environment, "DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        assert run("customers", "export", "-", env=env).returncode == 0
        assert [request.path for request in fake.requests] == ["/customers"]


def test_export_to_a_closed_pipe_exits_without_message(environment: dict[str, str]) -> None:
    with FakeDub() as fake, fake.serve() as url:
        fake.add_many(2_000)
        env = {**environment, "DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        with subprocess.Popen(
            [*COMMAND, "-"], env=env, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            json.loads(process.stdout.readline())
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait(timeout=30) == 141
