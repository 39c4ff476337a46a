"""Test the file of failed rows: its creation and replacement."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dub_uplink.testing import FakeDub, faults

pytest.importorskip("click")

if TYPE_CHECKING:
    from click.testing import Result

    Invoke = Callable[..., Result]
    Live = tuple[FakeDub, dict[str, str]]

#: One worker, so that the rows are sent in the order of the file.
COMMAND = ("customers", "import", "--workers", "1", "--no-retries", "people.csv")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a directory with a file of ten rows."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"u{number},GB\n" for number in range(10))
    (tmp_path / "people.csv").write_text(f"external_id,country\n{rows}")
    return tmp_path


def failed_ids(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["reason"].startswith("409 conflict: ") for row in rows)
    return [row["external_id"] for row in rows]


def stop_after(fake: FakeDub, requests: int) -> None:
    """Add u1 and u9, and let the requests after the first ones fail."""
    fake.add(external_id="u1")
    fake.add(external_id="u9")
    fake.faults.add(faults.Delay(0), times=requests)
    fake.faults.add(faults.Status(500), times=None)


def test_stopped_import_writes_the_failed_rows_file(
    invoke_apart: Invoke, live: Live, folder: Path
) -> None:
    stop_after(live[0], 4)
    done = invoke_apart(*COMMAND)
    assert done.exit_code == 5
    assert done.stdout.splitlines()[-1].endswith(
        "3 created, 0 updated, 0 skipped, 1 failed, 6 remaining"
    )
    assert done.stderr.splitlines()[:2] == [
        "1 row failed: 409 conflict: A customer with this external ID already exists.",
        "The rows that failed so far are in people.failed.csv.",
    ]
    assert failed_ids(folder / "people.failed.csv") == ["u1"]


def test_resumed_import_completes_the_failed_rows_file(
    invoke_apart: Invoke, live: Live, folder: Path
) -> None:
    stop_after(live[0], 4)
    invoke_apart(*COMMAND)
    live[0].faults.clear()
    assert invoke_apart(*COMMAND).exit_code == 1
    assert failed_ids(folder / "people.failed.csv") == ["u1", "u9"]
    assert sorted(path.name for path in folder.iterdir()) == ["people.csv", "people.failed.csv"]


def test_resumed_import_keeps_an_edited_failed_rows_file(
    invoke_apart: Invoke, live: Live, folder: Path
) -> None:
    stop_after(live[0], 4)
    invoke_apart(*COMMAND)
    failed = folder / "people.failed.csv"
    failed.write_text(failed.read_text().replace("u1", "u100"))
    live[0].faults.clear()
    done = invoke_apart(*COMMAND)
    assert "The failed rows are in people.failed-2.csv." in done.stderr
    assert failed_ids(failed) == ["u100"]
    assert failed_ids(folder / "people.failed-2.csv") == ["u1", "u9"]


def test_interrupted_import_writes_the_failed_rows_file(
    live: Live, folder: Path, environment: dict[str, str]
) -> None:
    fake = live[0]
    fake.add(external_id="u1")
    fake.faults.add(faults.Delay(0), times=4)
    fake.faults.add(faults.RateLimited(60), times=None)
    process = subprocess.Popen(
        [sys.executable, "-m", "dub_uplink", *COMMAND[:4], "people.csv"],
        cwd=folder,
        env={**environment, **live[1]},
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    end = time.monotonic() + 30
    while len(fake.requests) < 5:
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "The rows that failed so far are in people.failed.csv.\n" in shown
    assert failed_ids(folder / "people.failed.csv") == ["u1"]


def test_directory_named_like_the_failed_rows_file_is_kept(
    invoke_apart: Invoke, live: Live, folder: Path
) -> None:
    live[0].add(external_id="u1")
    (folder / "people.failed.csv").mkdir()
    done = invoke_apart(*COMMAND)
    assert "The failed rows are in people.failed-2.csv." in done.stderr
    assert failed_ids(folder / "people.failed-2.csv") == ["u1"]


def test_unwritable_failed_rows_file_error_names_the_cause(
    invoke_apart: Invoke, live: Live, folder: Path
) -> None:
    live[0].add(external_id="u1")
    (folder / "people.failed.csv.tmp").mkdir()
    done = invoke_apart(*COMMAND)
    assert done.stderr.splitlines()[-1] == (
        "people.failed.csv cannot be written (Is a directory: people.failed.csv.tmp). Remove the"
        " cause, then run the same command again. It will write the file and send nothing."
    )


@pytest.mark.parametrize("header", ["external_id,country,reason", "external_id,country"])
@pytest.mark.parametrize("options", [(), ("--exact",)])
def test_escaped_id_in_a_failed_rows_file_is_unescaped(
    invoke_apart: Invoke, live: Live, folder: Path, header: str, options: tuple[str, ...]
) -> None:
    live[0].add(external_id="@ada")
    (folder / "people.csv").write_text("external_id,country\n@ada,GB\n")
    invoke_apart(*COMMAND, *options)
    failed = folder / "people.failed.csv"
    text = failed.read_text(encoding="utf-8-sig")
    assert '"\'@ada"' in text
    count = header.count(",") + 1
    rows = list(csv.reader(text.splitlines()))
    failed.write_text("\n".join(",".join(row[:count]) for row in rows))
    done = invoke_apart(*COMMAND[:-1], "--on-conflict", "skip", *options, str(failed))
    if options and "reason" not in header:  # the file has no marker of the command
        assert "is sent with its first apostrophe; to remove it" in done.stderr
    else:
        assert "is sent without its first apostrophe" in done.stderr
        assert [customer.external_id for customer in live[0].customers] == ["@ada"]


def test_exact_option_keeps_apostrophes_in_a_failed_rows_file(
    invoke_apart: Invoke, live: Live, folder: Path
) -> None:
    (folder / "people.csv").write_text("external_id,name,country,Reason\n'@ada,'=x,GB,vip\n")
    done = invoke_apart(*COMMAND, "--exact")
    assert "external_id is sent with its first apostrophe" in done.stderr
    assert [(c.external_id, c.name) for c in live[0].customers] == [("'@ada", "'=x")]


def test_import_unescapes_ids_from_customers_list_csv(
    invoke_apart: Invoke, live: Live, folder: Path
) -> None:
    for number in ("@ada", "'=b", "-x"):
        live[0].add(external_id=number, country="GB")
    listed = invoke_apart("customers", "list", "--output", "csv")
    (folder / "people.csv").write_text(listed.stdout)
    done = invoke_apart(*COMMAND, "--on-conflict", "skip")
    assert (done.exit_code, live[0].customer_count) == (0, 3)
    assert "externalId is sent without its first apostrophe" in done.stderr
