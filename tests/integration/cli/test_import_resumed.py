"""Test rows that were sent before a kill and have no outcome in the journal."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dub_uplink import Dub, errors
from dub_uplink.testing import FakeDub, faults

pytest.importorskip("click")

from dub_uplink._cli.import_job.job import Import, ImportAborted, OnConflict
from dub_uplink._cli.import_job.journal import Journal, Outcome
from dub_uplink._cli.io.text_file import BadFile
from dub_uplink._cli.reading.rows import Options, make_rows

ABOUT = {"file": 1}
Start = Callable[..., contextlib.AbstractContextManager[Import]]


@pytest.fixture
def fake() -> FakeDub:
    return FakeDub()


@pytest.fixture
def start(fake: FakeDub, tmp_path: Path) -> Start:
    """Return an import of the rows ``(external_id, email, stripe id)`` with the present journal."""

    @contextlib.contextmanager
    def start(
        *rows: tuple[str, str, str], on_conflict: OnConflict = "fail", workers: int = 1
    ) -> Iterator[Import]:
        path = tmp_path / "people.csv"
        lines = [f"{','.join(row)},GB" for row in rows]
        text = "\n".join(["external_id,email,stripe_customer_id,country", *lines])
        if not path.exists():
            path.write_text(text)
        with (
            path.open("rb") as file,
            Dub("dub_test", client=fake.session(), retry_config=None) as dub,
            Journal(tmp_path / "journal", ABOUT, len(rows)) as journal,
        ):
            read = make_rows(file, Options())
            yield Import(dub.customers, file, read, journal, on_conflict, workers)

    return start


def query_after_crash(folder: Path, query: str) -> list[Any]:
    """Return the result of a query on the journal files, like a process after a crash."""
    for name in ("journal", "journal-journal"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(folder / name, folder / f"copy-of-{name}")
    copy = folder / "copy"
    (folder / "copy-of-journal").replace(copy)
    with contextlib.suppress(FileNotFoundError):
        (folder / "copy-of-journal-journal").replace(folder / "copy-journal")
    with contextlib.closing(sqlite3.connect(copy)) as database:
        return database.execute(query).fetchall()


ROW = ("u1", "u1@example.com", "")


def killed_after_sending(start: Start) -> None:
    with start(ROW) as run:
        run.journal.raise_sent_limit(1)


@pytest.mark.parametrize("on_conflict", ["fail", "skip", "upsert"])
def test_customer_created_before_a_kill_counts_as_created(
    fake: FakeDub, start: Start, on_conflict: OnConflict
) -> None:
    killed_after_sending(start)
    fake.add(external_id="u1", email="u1@example.com", country="GB")
    with start(ROW, on_conflict=on_conflict) as run:
        assert run.run() == 0
        assert run.journal.count_outcomes()["created"] == 1
    assert [request.method for request in fake.requests] == ["POST", "GET"]


@pytest.mark.parametrize(
    ("on_conflict", "expected"), [("fail", "failed"), ("skip", "skipped"), ("upsert", "updated")]
)
@pytest.mark.parametrize(
    "theirs", [{"email": None}, {"country": "FR"}, {"stripe_customer_id": "x"}]
)
def test_customer_created_by_another_client_is_not_counted(
    fake: FakeDub,
    start: Start,
    on_conflict: OnConflict,
    expected: Outcome,
    theirs: dict[str, str | None],
) -> None:
    killed_after_sending(start)
    fake.add(**{"external_id": "u1", "email": ROW[1], "country": "GB", **theirs})  # type: ignore[arg-type]
    with start(ROW, on_conflict=on_conflict) as run:
        run.run()
        assert run.journal.get_outcome(0) == expected


def test_customer_that_existed_before_the_import_is_a_conflict(fake: FakeDub, start: Start) -> None:
    fake.add(external_id="u1", email="u1@example.com", country="GB")
    with start(ROW) as run:
        run.run()
        assert run.journal.get_outcome(0) == "failed"
    assert [request.method for request in fake.requests] == ["POST"]


def test_interrupted_update_counts_as_updated(fake: FakeDub, start: Start) -> None:
    fake.add(external_id="u1")
    fake.faults.add(faults.DropAfter(), method="PATCH")
    with start(ROW, on_conflict="upsert") as run:
        assert run.run() == 1
        assert run.journal.get_outcome(0) is None
    assert fake.customers[0].email == "u1@example.com"
    with start(ROW, on_conflict="upsert") as run:
        assert run.run() == 0
        assert run.journal.get_outcome(0) == "updated"
    assert [request.method for request in fake.requests] == ["POST", "PATCH", "PATCH"]


@pytest.mark.parametrize("on_conflict", ["skip", "upsert"])
def test_row_with_stripe_id_of_another_customer_fails(
    fake: FakeDub, start: Start, on_conflict: OnConflict
) -> None:
    fake.add(external_id="other", stripe_customer_id="cus_1")
    with start(("u1", "", "cus_1"), on_conflict=on_conflict) as run:
        run.run()
        assert run.journal.get_outcome(0) == "failed"
        assert run.journal.get_reason(0).startswith("409 conflict: ")


def test_existing_customer_with_the_stripe_id_is_skipped(fake: FakeDub, start: Start) -> None:
    fake.add(external_id="u1", stripe_customer_id="cus_1", country="GB")
    with start(("u1", "", "cus_1"), on_conflict="skip") as run:
        run.run()
        assert run.journal.get_outcome(0) == "skipped"


def test_update_is_sent_after_the_journal_records_the_customer(
    fake: FakeDub, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.add(external_id="u1")
    handle, seen = fake.handle, []

    def handled(request: Any) -> Any:
        if request.method == "PATCH":
            seen.append(query_after_crash(tmp_path, "SELECT outcome FROM rows") == [("exists",)])
        return handle(request)

    monkeypatch.setattr(fake, "handle", handled)
    with start(ROW, on_conflict="upsert") as run:
        run.run()
    assert seen == [True]


def test_three_consecutive_server_errors_abort_the_import(fake: FakeDub, start: Start) -> None:
    rows = [(f"u{number}", "", "") for number in range(20)]
    # Two errors and a success do not abort the import.
    for fault in (*[faults.Status(500)] * 2, faults.Delay(0), *[faults.Status(503)] * 20):
        fake.faults.add(fault)
    with start(*rows) as run:
        with pytest.raises(ImportAborted) as caught:
            run.run()
        assert isinstance(caught.value.error, errors.SDKError)
        assert (run.journal.count_outcomes()["created"], len(fake.requests)) == (1, 6)
    fake.faults.clear()
    with start(*rows) as run:
        assert run.run() == 0
        assert run.journal.count_outcomes()["created"] == 20


def test_error_response_for_a_row_fails_only_that_row(fake: FakeDub, start: Start) -> None:
    fake.faults.add(faults.Status(422))
    with start(ROW, ("u2", "", "")) as run:
        assert run.run() == 0
        assert run.journal.get_reason(0) == "422 unprocessable_entity: Fault: 422"
        assert run.journal.get_outcome(1) == "created"


def test_row_is_sent_only_after_the_journal_records_the_row(
    fake: FakeDub, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(f"u{number}", "", "") for number in range(70)]
    begun: list[bool] = []
    handle = fake.handle

    def handled(request: object) -> object:
        ((until,),) = query_after_crash(tmp_path, "SELECT sent_limit FROM import")
        begun.append(len(begun) < until)
        return handle(request)  # type: ignore[arg-type]

    monkeypatch.setattr(fake, "handle", handled)
    with start(*rows) as run:
        run.run()
    assert begun == [True] * 70


def test_reported_rows_are_already_in_the_journal_file(
    fake: FakeDub, start: Start, tmp_path: Path
) -> None:
    rows = [(f"u{number}", "", "") for number in range(70)]
    reported: list[tuple[int, int]] = []
    with start(*rows) as run:
        run.on_progress = lambda count: reported.append(
            (count, len(query_after_crash(tmp_path, "SELECT * FROM rows")))
        )
        run.run()
    assert reported[-1] == (70, 70)
    assert [pair for pair in reported if pair[0] > pair[1]] == []


def test_change_of_the_input_file_during_the_import_stops_import(
    fake: FakeDub, start: Start, tmp_path: Path
) -> None:
    rows = [(f"u{number}", "", "") for number in range(500)]
    with start(*rows) as run:
        path = tmp_path / "people.csv"

        def append_a_line(count: int) -> None:
            if count == 32:
                path.write_text(path.read_text() + "\n")

        run.on_progress = append_a_line
        with pytest.raises(BadFile, match="was changed"):
            run.run()
        assert run.journal.count_outcomes()["created"] < 100


def delete_before_updates(fake: FakeDub, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let another client delete the customer before an update, and recreate it afterwards."""
    handle, left = fake.handle, [times]
    other = Dub("dub_test", client=fake.session())

    def handled(request: Any) -> Any:
        if request.method != "PATCH" or not left[0]:
            return handle(request)
        left[0] -= 1
        other.customers.delete("ext_u1")
        response = handle(request)
        if left[0]:
            fake.add(external_id="u1")
        return response

    monkeypatch.setattr(fake, "handle", handled)


@pytest.mark.parametrize("stripe_id", ["", "cus_1"])
def test_customer_deleted_before_the_update_is_created(
    fake: FakeDub, start: Start, monkeypatch: pytest.MonkeyPatch, stripe_id: str
) -> None:
    fake.add(external_id="u1")
    delete_before_updates(fake, monkeypatch, 1)
    with start(("u1", "", stripe_id), on_conflict="upsert") as run:
        assert run.run() == 0
        assert run.journal.get_outcome(0) == "created"
    assert [customer.external_id for customer in fake.customers] == ["u1"]


@pytest.mark.parametrize(
    ("stripe_id", "cause"), [("", "(other clients"), ("cus_1", "stripe_customer_id, or other")]
)
def test_row_of_a_repeatedly_deleted_customer_fails(
    fake: FakeDub, start: Start, monkeypatch: pytest.MonkeyPatch, stripe_id: str, cause: str
) -> None:
    fake.add(external_id="u1")
    delete_before_updates(fake, monkeypatch, 9)
    with start(("u1", "", stripe_id), on_conflict="upsert") as run:
        assert run.run() == 0
        assert run.journal.get_outcome(0) == "failed"
        assert cause in run.journal.get_reason(0)
    assert [request.method for request in fake.requests] == ["POST", "DELETE", "PATCH"] * 3
