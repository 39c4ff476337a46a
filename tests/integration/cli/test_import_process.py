"""Test imports that are killed, interrupted, or run in a terminal."""

from __future__ import annotations

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

ROWS = 100


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    rows = (f"user_{number},user_{number}@example.com,GB\n" for number in range(ROWS))
    path.write_text("external_id,email,country\n" + "".join(rows))
    return path


def end_by_signal(
    how: signal.Signals, when: Callable[[], bool], command: list[str], env: dict[str, str]
) -> tuple[int, str]:
    """Run the command, send it a signal when ``when`` is true, and return its status and stderr."""
    with subprocess.Popen(
        [sys.executable, "-m", "dub_uplink", "customers", *command],
        env=env,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        while not when() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
        return process.returncode, err


def apply_creates(fake: FakeDub, creates: int, then: faults.Fault) -> None:
    """Apply a number of creates, drop some of their responses, and fail the next ones."""
    fake.faults.clear()
    for number in range(creates):
        lost = {5: faults.DropAfter(), 15: faults.Truncate(9)}.get(number % 20)
        fake.faults.add(lost or faults.Delay(0), method="POST")
    fake.faults.add(then, times=None, method="POST")


def test_import_resumed_after_kill_and_interrupt_creates_once(
    run: Run, environment: dict[str, str], people: Path
) -> None:
    with FakeDub() as fake, fake.serve() as url:
        env = {**environment, "DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        command = ["import", "--workers", "4", str(people)]

        # The kill happens in the second block of rows, with requests in flight. The outcomes of
        # the first block are synced.
        apply_creates(fake, 45, faults.Delay(60))
        status, _ = end_by_signal(signal.SIGKILL, lambda: fake.customer_count > 36, command, env)
        assert (status, fake.customer_count < ROWS) == (-signal.SIGKILL, True)

        apply_creates(fake, 50, faults.RateLimited(60))
        status, err = end_by_signal(signal.SIGINT, lambda: fake.customer_count > 55, command, env)
        assert (status, fake.customer_count < ROWS) == (130, True)
        assert err.splitlines()[0].startswith("Resuming: ")
        assert "Stopped; run the same command again to continue." in err
        assert "Traceback" not in err

        apply_creates(fake, ROWS, faults.Delay(0))
        done = run("customers", *command, env=env)
        assert (done.returncode, done.stdout) == (
            0,
            f"{ROWS} rows: {ROWS} created, 0 updated, 0 skipped, 0 failed\n",
        )
        stored = [customer.external_id for customer in fake.customers]
        assert (len(stored), len(set(stored))) == (ROWS, ROWS)


def test_interrupted_import_waits_for_requests_in_flight(
    run: Run, environment: dict[str, str], people: Path
) -> None:
    with FakeDub(latency=0.7) as fake, fake.serve() as url:
        env = {**environment, "DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        status, err = end_by_signal(
            signal.SIGINT, lambda: len(fake.requests) > 9, ["import", str(people)], env
        )
        assert (status, "Stopped; " in err) == (130, True)
        fake.configure(latency=0.0)
        created = fake.customer_count
        done = run("customers", "import", str(people), env=env)
        assert f"Resuming: {created} of {ROWS} rows are complete." in done.stderr
        assert [request.method for request in fake.requests if request.method != "POST"] == []


def test_resumed_import_skips_customers_of_other_clients(
    run: Run, environment: dict[str, str], people: Path
) -> None:
    with FakeDub(latency=0.1) as fake, fake.serve() as url:
        for number in range(ROWS):
            fake.add(external_id=f"user_{number}", email=f"user_{number}@example.com", country="GB")
        env = {**environment, "DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        command = ["import", "--on-conflict", "skip", "--rate-limit", "40/second", str(people)]
        status, _ = end_by_signal(signal.SIGINT, lambda: len(fake.requests) > 9, command, env)
        assert status == 130
        done = run("customers", *command, env=env)
        assert done.stdout == f"{ROWS} rows: 0 created, 0 updated, {ROWS} skipped, 0 failed\n"


def test_import_on_a_terminal_shows_progress(terminal: Callable[..., Any], people: Path) -> None:
    with FakeDub(latency=0.15) as fake, fake.serve() as url:
        env = {"DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        shown = terminal("customers", "import", "--yes", str(people), env=env, columns=100)
        shown.wait_for(f"/{ROWS}")
        shown.wait_for("/s")
        shown.wait_for("ETA")
        assert shown.finish() == 0
        assert shown.shown.rstrip().endswith(
            f"{ROWS} rows: {ROWS} created, 0 updated, 0 skipped, 0 failed"
        )


PAGE = Path(__file__).parents[3] / "docs" / "cli-transfer.rst"


@pytest.mark.skipif(not PAGE.exists(), reason="docs/ is missing")
@pytest.mark.parametrize("command", ["export customers.csv", "import --yes new.csv"])
def test_interrupted_commands_print_the_documented_output(
    terminal: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    first = f"    $ dub-uplink customers {command}\n"
    session = re.search(
        f"^{re.escape(first)}(?:    .*\n|\n)+", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert session is not None
    rows = (f"u{number},GB\n" for number in range(1206))
    (tmp_path / "new.csv").write_text("external_id,country\n" + "".join(rows))
    with FakeDub(latency=0.03) as fake, fake.serve() as url:
        if command.startswith("export"):
            fake.add_many(12_000)
        else:
            for number in range(0, 1206, 201):
                fake.add(external_id=f"u{number}", country="GB")
        env = {"DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
        printed = ""
        for line in session[0].splitlines():
            if not line.startswith("    $"):
                continue
            shown = terminal(*line.split()[2:], env=env, columns=100)
            if not printed:
                shown.wait_for("ETA")
                shown.send("\x03")
            shown.finish(60)
            printed += shown.shown
    on_page = {form_of(line) for line in session[0].splitlines() if "$ " not in line}
    on_terminal = {form_of(line) for line in re.split(r"[\r\n]", printed.replace("^C", "\n^C\n"))}
    bars = {line for line in on_terminal if line.startswith(("Checking", "Export", "Import"))}
    assert on_terminal - bars <= on_page <= on_terminal


def form_of(line: str) -> str:
    """Return a line without numbers, plurals, bars and colours, which differ between runs."""
    line = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|[━╸╺]", "", line)
    return " ".join(re.sub(r"[\d,]+", "0", line).replace("rows", "row").split())


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_progress_bar_fits_the_width_of_the_terminal(
    terminal: Callable[..., Any], columns: int
) -> None:
    code = """
import time
from dub_uplink._cli.io.progress import Progress

with Progress("Importing", 100_000) as progress:
    for count, note in [(45_000, "429: waiting 60 s"), (99_000, "")]:
        progress.update(count)
        progress.show_note(note)
        time.sleep(0.7)  # until it is drawn
"""
    shown = terminal(code=code, columns=columns)
    assert shown.finish() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.shown)
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    assert [line for line in lines if len(line) > columns or not line.startswith("Import")] == []
    assert any("429: waiting" in line for line in lines)
    assert "99000/100000" in lines[-1]
