"""Test the journal of an import: its state after a crash, and when it may be replaced."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("click")

from dub_uplink._cli.import_job.journal import Journal, JournalError, Outcome

ABOUT = {"file": {"size": 1, "sha256": "ab"}, "server": "", "on_conflict": "fail"}
ROWS = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.csv.journal"


def test_committed_row_outcomes_are_read_by_the_next_process(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.raise_sent_limit(6)
        journal.record_outcome(0, "created")
        journal.record_outcome(1, "updated")
        journal.record_outcome(2, "skipped")
        journal.record_outcome(3, "failed", "409 conflict: Zoë\n")
        journal.mark_existing(4)
        journal.commit()
        journal.record_outcome(5, "created")  # not committed
    with Journal(path, ABOUT, ROWS) as journal:
        endings = [journal.get_outcome(row) for row in range(ROWS)]
        assert endings == ["created", "updated", "skipped", "failed", None, None, None, None]
        assert journal.get_reason(3) == "409 conflict: Zoë\n"
        assert journal.count_outcomes() == {"created": 1, "updated": 1, "skipped": 1, "failed": 1}
        assert [row for row in range(ROWS) if journal.is_known_to_exist(row)] == [4]
        assert [row for row in range(ROWS) if journal.is_in_doubt(row)] == [5]


def test_row_sent_by_this_process_is_not_in_doubt(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.raise_sent_limit(3)
        assert not journal.is_in_doubt(0)


def test_journal_counts_failure_reasons_most_frequent_first(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        for row, reason in enumerate(["a", "b", "b", "\ud800"]):
            journal.record_outcome(row, "failed", reason)
        assert journal.count_failure_reasons() == [("b", 2), ("a", 1), ("?", 1)]


def test_raising_the_sent_limit_commits_recorded_outcomes(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.record_outcome(0, "created")
        assert rows_on_disk(path) == (0, [])
        journal.raise_sent_limit(4)
        assert rows_on_disk(path) == (4, [(0, "created")])


def rows_on_disk(path: Path) -> tuple[int, list[Any]]:
    """Return the rows that a process after a crash would read."""
    copy = path.with_name("copy")
    for suffix in ("", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    with contextlib.closing(sqlite3.connect(copy)) as database:
        (begun,) = database.execute("SELECT sent_limit FROM import").fetchone()
        return begun, database.execute("SELECT number, outcome FROM rows").fetchall()


@pytest.mark.parametrize(
    ("change", "what"),
    [({"file": {"size": 1, "sha256": "cd"}}, "file"), ({"server": "http://x"}, "server")],
)
def test_unfinished_journal_of_another_file_is_rejected(
    path: Path, change: dict[str, Any], what: str
) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.raise_sent_limit(1)
        journal.record_outcome(0, "created")
        journal.commit()
    expected = f"created 1 of 8 customers .* the {what} changed.* --restart --on-conflict upsert,"
    with pytest.raises(JournalError, match=expected):
        Journal(path, {**ABOUT, **change}, ROWS)
    with Journal(path, ABOUT, ROWS) as journal:
        assert journal.get_outcome(0) == "created"
    with Journal(path, {**ABOUT, **change}, ROWS, restart=True) as journal:
        assert (journal.sent_limit, journal.get_outcome(0), journal.replaced_outcome_counts) == (
            0,
            None,
            None,
        )


def test_changed_option_is_named_with_rows_in_doubt(path: Path) -> None:
    options = {"delimiter": ";", "ignore_unknown": False}
    with Journal(path, {**ABOUT, "options": options}, ROWS) as journal:
        journal.raise_sent_limit(3)
    changed = {**ABOUT, "on_conflict": "skip", "options": {**options, "ignore_unknown": True}}
    expected = r"created 0 of 8 customers, and may have created 3 more .* --ignore-unknown changed"
    with pytest.raises(JournalError, match=expected):
        Journal(path, changed, ROWS)


@pytest.mark.parametrize("change", [{"file": "other"}, {"on_conflict": "skip"}])
def test_unfinished_import_without_created_customers_is_replaced(
    path: Path, change: dict[str, str]
) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.raise_sent_limit(3)
        journal.record_outcome(0, "failed", "409 conflict")
        journal.record_outcome(1, "skipped")
        journal.mark_not_applied(2)
        journal.commit()
    with Journal(path, {**ABOUT, **change}, ROWS) as journal:
        assert (journal.sent_limit, journal.get_outcome(0)) == (0, None)


def test_finished_journal_of_another_file_is_replaced(path: Path) -> None:
    finish_all(path)
    with Journal(path, {**ABOUT, "file": "other"}, 3) as journal:
        assert journal.replaced_outcome_counts == {
            "created": 8,
            "updated": 0,
            "skipped": 0,
            "failed": 0,
        }
        assert (journal.sent_limit, sum(journal.count_outcomes().values())) == (0, 0)


def test_finished_journal_of_same_import_is_kept(path: Path) -> None:
    finish_all(path)
    with Journal(path, ABOUT, ROWS) as journal:
        assert (journal.replaced_outcome_counts, journal.count_outcomes()["created"]) == (None, 8)


def finish_all(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.raise_sent_limit(ROWS)
        for row in range(ROWS):
            journal.record_outcome(row, "created")
        journal.commit()


def test_unfinished_import_resumes_with_changed_on_conflict(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.raise_sent_limit(2)
        journal.record_outcome(0, "created")
        journal.commit()
    with Journal(path, {**ABOUT, "on_conflict": "skip"}, ROWS) as journal:
        assert (journal.get_outcome(0), journal.is_in_doubt(1)) == ("created", True)


def test_finished_import_is_repeated_with_changed_on_conflict(path: Path) -> None:
    finish_all(path)
    with Journal(path, {**ABOUT, "on_conflict": "skip"}, ROWS) as journal:
        assert (journal.sent_limit, journal.get_outcome(0)) == (0, None)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("content", [b"external_id,country\nu1,GB\n", b"x", b'{"a":1}\n', b"[]\n"])
def test_opening_a_non_journal_file_keeps_the_file_unchanged(
    path: Path, content: bytes, restart: bool
) -> None:
    path.write_bytes(content)
    with pytest.raises(JournalError, match="is not a journal"):
        Journal(path, ABOUT, ROWS, restart=restart)
    assert path.read_bytes() == content


@pytest.mark.parametrize("restart", [False, True])
def test_opening_a_non_journal_database_keeps_data_unchanged(path: Path, restart: bool) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE theirs (x)")
    with pytest.raises(JournalError, match="was written by another version"):
        Journal(path, ABOUT, ROWS, restart=restart)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT * FROM theirs").fetchall() == []


def test_damaged_journal_is_rejected(path: Path) -> None:
    finish_all(path)
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 5000)
    with pytest.raises(JournalError, match="is damaged; delete it"):
        Journal(path, ABOUT, ROWS)


def test_device_as_journal_is_rejected() -> None:
    with pytest.raises(JournalError, match="/dev/zero is not a regular file"):
        Journal(Path("/dev/zero"), ABOUT, ROWS)


#: Opens a journal at the first open row, and prints the safe rows after each commit.
WRITER = f"""
import sys
from pathlib import Path
from dub_uplink._cli.import_job.journal import Journal
with Journal(Path(sys.argv[1]), {ABOUT!r}, 10**9) as journal:
    row = journal.count_outcomes()["created"]  # rows after it may have been begun before a kill
    print(row, flush=True)
    while True:
        journal.raise_sent_limit(row + 32)
        for row in range(row, row + 32):
            journal.record_outcome(row, "created")
        row += 1
        journal.commit()
        print(row, flush=True)
"""


@contextlib.contextmanager
def writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_committed_rows_survive_a_kill(path: Path) -> None:
    chance = random.Random(1)
    for _ in range(6):
        with writer(path) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(chance.randint(1, 60))]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        safe = int(lines[-1])
        with Journal(path, ABOUT, 10**9) as journal:
            done = journal.count_outcomes()["created"]
            assert safe <= done <= safe + 32
            assert journal.sent_limit in {done, done + 32}


def test_journal_in_use_rejects_a_second_process(path: Path) -> None:
    with writer(path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(JournalError, match="another import uses"):
            Journal(path, ABOUT, 10**9)
    Journal(path, ABOUT, 10**9).close()


def test_new_journal_is_locked_before_the_first_row(path: Path) -> None:
    with Journal(path, ABOUT, ROWS), pytest.raises(JournalError, match="another import uses"):
        Journal(path, ABOUT, ROWS)


def test_error_on_a_full_disk_names_the_journal(path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path, ABOUT, ROWS) as journal:
        journal.record_outcome(0, "created")
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size - 1, limits[1]))
        try:
            with pytest.raises(OSError, match="disk") as caught:
                journal.commit()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)


def test_journal_in_a_missing_directory_raises_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"Not a directory|No such file") as caught:
        Journal(tmp_path / "none" / "journal", ABOUT, ROWS)
    assert caught.value.filename == str(tmp_path / "none" / "journal")


OUTCOMES = st.one_of(
    st.tuples(st.just("begin"), st.integers(1, ROWS)),
    st.tuples(st.just("exists"), st.integers(0, ROWS - 1)),
    st.tuples(st.sampled_from(["created", "updated", "skipped"]), st.integers(0, ROWS - 1)),
    st.tuples(st.just("failed"), st.integers(0, ROWS - 1), st.text(max_size=5)),
)


@given(outcomes=st.lists(OUTCOMES, max_size=12))
def test_reopened_journal_has_the_state_before_closing(
    tmp_path_factory: pytest.TempPathFactory, outcomes: list[tuple[Any, ...]]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    with Journal(path, ABOUT, ROWS) as journal:
        for what, row, *reason in outcomes:
            if what == "begin":
                journal.raise_sent_limit(row)
            elif what == "exists":
                journal.mark_existing(row)
            else:
                ending: Outcome = what
                journal.record_outcome(row, ending, *reason)
        journal.commit()
        before = state(journal)
    with Journal(path, ABOUT, ROWS) as journal:
        assert state(journal) == before
    assert os.listdir(path.parent) == [path.name]


def state(journal: Journal) -> list[Any]:
    endings = [
        (journal.get_outcome(row), journal.get_reason(row), journal.is_known_to_exist(row))
        for row in range(ROWS)
    ]
    return [journal.sent_limit, journal.count_outcomes(), endings]


def test_journal_without_applied_rows_is_replaced(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.raise_sent_limit(4)
        journal.mark_not_applied(0)
        journal.lower_sent_limit(1)
        journal.commit()
    with Journal(path, {**ABOUT, "server": "http://x"}, ROWS) as journal:
        assert (journal.sent_limit, journal.replaced_outcome_counts) == (0, None)


def test_rejected_row_is_in_doubt_after_another_process(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.raise_sent_limit(4)
        journal.mark_not_applied(0)
        journal.commit()
    with Journal(path, ABOUT, ROWS) as journal:
        assert [journal.is_in_doubt(row) for row in (0, 1)] == [False, True]
        # End here like a crash after the row may have been sent again.
    with Journal(path, ABOUT, ROWS) as journal:
        assert journal.is_in_doubt(0)


def test_rejected_row_that_was_not_resent_is_not_in_doubt(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.raise_sent_limit(4)
        journal.mark_not_applied(2)
        journal.commit()
    with Journal(path, ABOUT, ROWS) as journal:
        journal.lower_sent_limit(2)
        journal.commit()
    with Journal(path, ABOUT, ROWS) as journal:
        assert [journal.is_in_doubt(row) for row in (1, 2)] == [True, False]


def test_delete_removes_the_journal_files(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.delete()
    assert not path.exists()
