"""Test the requests, the report and the end of ``customers import`` with a served fake."""

from __future__ import annotations

import csv
import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dub_uplink.testing import FakeDub, faults, no_sleep

pytest.importorskip("click")

if TYPE_CHECKING:
    from click.testing import Result

    Invoke = Callable[..., Result]
    Live = tuple[FakeDub, dict[str, str]]

HEADER = "external_id,email,country\n"


@pytest.fixture
def invoke(invoke_apart: Invoke) -> Invoke:
    return invoke_apart


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Return a file of ten valid rows."""
    path = tmp_path / "people.csv"
    write(path, range(10))
    return path


def write(path: Path, numbers: range) -> None:
    rows = (f"user_{number},user_{number}@example.com,GB\n" for number in numbers)
    path.write_text(HEADER + "".join(rows))


def posts(fake: FakeDub) -> int:
    return sum(request.method == "POST" for request in fake.requests)


def last(done: Result) -> str:
    return done.stdout.splitlines()[-1]


def test_complete_import_deletes_the_journal(invoke: Invoke, live: Live, people: Path) -> None:
    done = invoke("customers", "import", str(people))
    assert (done.exit_code, done.stderr) == (0, "")
    assert last(done) == "10 rows: 10 created, 0 updated, 0 skipped, 0 failed"
    assert min(str(c.email) for c in live[0].customers) == "user_0@example.com"
    assert list(people.parent.iterdir()) == [people]
    again = invoke("customers", "import", "--on-conflict", "skip", str(people))
    assert (again.exit_code, again.stderr) == (0, "")
    assert last(again) == "10 rows: 0 created, 0 updated, 10 skipped, 0 failed"


def test_customers_deleted_since_an_import_are_imported(
    invoke: Invoke, live: Live, people: Path
) -> None:
    invoke("customers", "import", str(people))
    deleted = invoke("customers", "delete", "--yes", "ext_user_1", "ext_user_2")
    assert (deleted.exit_code, live[0].customer_count) == (0, 8)
    invoke("customers", "import", "--on-conflict", "skip", str(people))
    assert live[0].customer_count == 10


def test_unfinished_import_with_another_api_key_is_rejected(
    invoke: Invoke, live: Live, people: Path
) -> None:
    live[0].faults.add(faults.Delay(0), times=3)
    live[0].faults.add(faults.Status(500), times=None)
    stop = ("customers", "import", "--workers", "1", "--no-retries", str(people))
    assert invoke(*stop).exit_code == 5
    journal = people.with_name("people.csv.journal")
    assert b"dub_test" not in journal.read_bytes()
    done = invoke("customers", "import", str(people), env={"DUB_API_KEY": "dub_prod"})
    assert done.exit_code == 2
    assert "an interrupted import has created 3 of 10 customers" in done.stderr
    assert "Since then, the API key changed." in done.stderr


def test_import_with_nothing_sent_restarts_with_changed_options(
    invoke: Invoke, live: Live, people: Path
) -> None:
    command = ("customers", "import", "--no-retries", str(people))
    gone = invoke(*command, env={"DUB_SERVER_URL": "http://127.0.0.1:9"})
    assert gone.exit_code == 5
    done = invoke("customers", "import", "--encoding", "latin-1", str(people))
    assert (done.exit_code, done.stderr, live[0].customer_count) == (0, "", 10)


@pytest.mark.parametrize(
    ("policy", "expected", "name", "code"),
    [
        ("fail", "8 created, 0 updated, 0 skipped, 2 failed", "Theirs", 1),
        ("skip", "8 created, 0 updated, 2 skipped, 0 failed", "Theirs", 0),
        ("upsert", "8 created, 2 updated, 0 skipped, 0 failed", "user_1@example.com", 0),
    ],
)
def test_on_conflict_option_fails_skips_or_updates_rows(
    invoke: Invoke, live: Live, people: Path, policy: str, expected: str, name: str, code: int
) -> None:
    live[0].add(external_id="user_1", email="theirs@example.com")
    live[0].add(external_id="user_2")
    done = invoke("customers", "import", "--on-conflict", policy, str(people))
    assert done.exit_code == code
    assert expected in last(done)
    stored = {c.external_id: c.email for c in live[0].customers}
    kept = "theirs@example.com" if name == "Theirs" else name
    assert (len(stored), stored["user_1"]) == (10, kept)
    assert people.with_name("people.failed.csv").exists() == (policy == "fail")


def test_failed_rows_can_be_corrected_and_imported(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    people.write_text('User ID;country;name;Notes\na;GB;"x;\ry";1\nb;GB;;2\nc;GB;=1+1;3\n')
    live[0].add(external_id="a")
    live[0].add(external_id="c")
    options = ("--map", "User ID=external_id", "--map", "Notes=")
    done = invoke("customers", "import", *options, str(people))
    failed = tmp_path / "people.failed.csv"
    assert last(done) == "3 rows: 1 created, 0 updated, 0 skipped, 2 failed"
    reason = "409 conflict: A customer with this external ID already exists."
    assert done.stderr.splitlines() == [
        f"2 rows failed: {reason}",
        f"The failed rows are in {failed}. Correct them there, then run:",
        f"  dub-uplink customers import {failed}",
        "To update the customers whose external_id exists, run:",
        f"  dub-uplink customers import --on-conflict upsert {failed}",
    ]
    assert failed.read_bytes().startswith(b"\xef\xbb\xbf")
    with failed.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file, delimiter=";"))
    assert rows == [
        ["external_id", "name", "country", "reason"],
        ["a", "x;\ry", "GB", reason],
        ["c", "'=1+1", "GB", reason],
    ]

    assert invoke("customers", "import", str(failed)).exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people.csv", "people.failed.csv"]
    done = invoke("customers", "import", "--on-conflict", "upsert", str(failed))
    assert (done.exit_code, last(done)) == (0, "2 rows: 0 created, 2 updated, 0 skipped, 0 failed")
    assert {c.external_id: c.name for c in live[0].customers if c.external_id != "b"} == {
        "a": "x;\ry",
        "c": "=1+1",
    }

    corrected = failed.read_bytes().replace(b'"a"', b'"a2"')
    failed.write_bytes(corrected)
    done = invoke("customers", "import", "--on-conflict", "skip", str(failed))
    assert last(done) == "2 rows: 1 created, 0 updated, 1 skipped, 0 failed"


def test_command_suggested_after_failures_keeps_needed_options(
    invoke: Invoke, live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-x.csv").write_text("Id;country\nu1;GB\n")
    Path("key").write_text("dub_test")
    live[0].faults.add(faults.Status(422), times=None)
    url = live[1]["DUB_SERVER_URL"]
    options = ["--on-conflict", "upsert", "--workers", "2", "--journal", "j", "--rate-limit", "9"]
    options += ["--token-file", "key", "--server-url", url, "--timeout", "9", "--no-retries"]
    mapping = ("--map", "Id=external_id", "--delimiter", ";")
    env = {"DUB_SERVER_URL": "http://127.0.0.1:9", "DUB_API_KEY": None}
    done = invoke("customers", "import", *options, *mapping, "./-x.csv", env=env)
    suggested = shlex.split(done.stderr.splitlines()[-1])
    assert suggested[:3] == ["dub-uplink", "customers", "import"]
    assert suggested[-1] == "./-x.failed.csv"
    options[options.index("9")] = "9/minute"
    pairs = [" ".join(options[at : at + 2]) for at in range(0, len(options), 2)]
    assert [pair for pair in pairs if pair not in " ".join(suggested)] == []
    assert "--map" not in suggested
    live[0].faults.clear()
    again = invoke(*suggested[1:], env=env)
    assert (again.exit_code, live[0].customer_count) == (0, 1)


@pytest.mark.parametrize("other", ["edited", "of another input"])
def test_failed_rows_file_does_not_replace_another_file(
    invoke: Invoke, live: Live, people: Path, other: str
) -> None:
    failed = people.with_name("people.failed.csv")
    failed.write_text(other)
    live[0].add(external_id="user_1")
    done = invoke("customers", "import", str(people))
    numbered = people.with_name("people.failed-2.csv")
    assert (failed.read_text(), numbered.stat().st_mode & 0o777) == (other, 0o600)
    assert f"The failed rows are in {numbered}. " in done.stderr
    # The same rows fail again, because the customers exist.
    assert invoke("customers", "import", str(numbered)).exit_code == 1
    assert not people.with_name("people.failed-3.csv").exists()


def test_existing_failed_rows_file_is_mentioned_after_an_import(
    invoke: Invoke, live: Live, people: Path
) -> None:
    failed = people.with_name("people.failed.csv")
    failed.write_text("old")
    done = invoke("customers", "import", str(people))
    assert done.stderr == (
        f"{failed} is from an earlier import; this import did not change it. Delete it if you do"
        " not need it.\n"
    )


def test_problem_file_does_not_replace_another_file(
    invoke: Invoke, live: Live, people: Path
) -> None:
    problems = people.with_name("people.problems.csv")
    problems.write_text("mine")
    people.write_text(HEADER + "user_1,ada@,GB\n" * 30)
    done = invoke("customers", "import", str(people))
    numbered = people.with_name("people.problems-2.csv")
    assert (problems.read_text(), numbered.exists()) == ("mine", True)
    assert f"all problems are in {numbered}." in done.stderr


def test_failed_rows_of_a_json_import_are_written_as_jsonl(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    people = tmp_path / "people.json"
    row = {"externalId": "a", "country": "GB", "name": "Zoë\u2028", "email": None, "sales": 1}
    people.write_text(json.dumps([row], indent=2))
    live[0].add(external_id="a")
    assert invoke("customers", "import", str(people)).exit_code == 1
    failed = tmp_path / "people.failed.jsonl"
    (line,) = failed.read_text().splitlines()
    found = json.loads(line)
    assert found.pop("reason").startswith("409 conflict")
    assert found == {"external_id": "a", "country": "GB", "name": "Zoë\u2028", "email": None}
    done = invoke("customers", "import", "--on-conflict", "upsert", str(failed))
    assert last(done) == "1 row: 0 created, 1 updated, 0 skipped, 0 failed"


def test_dry_run_sends_no_request_and_writes_no_file(
    invoke: Invoke, live: Live, people: Path
) -> None:
    done = invoke("customers", "import", "--dry-run", str(people), env={"DUB_API_KEY": None})
    assert (done.exit_code, done.stderr) == (0, "")
    assert last(done) == f"{people}: 10 rows without problems; nothing was sent."
    assert (live[0].requests, list(people.parent.iterdir())) == ([], [people])


def test_import_with_an_invalid_row_sends_nothing(invoke: Invoke, live: Live, people: Path) -> None:
    people.write_text(people.read_text() + "user_3,ada@,\n" * 30)
    done = invoke("customers", "import", str(people))
    rest = people.with_name("people.problems.csv")
    twice = ", ".join(f'{line} ("user_3", also in line 5)' for line in range(12, 17))
    bad = ", ".join(f'{line} ("ada@")' for line in range(12, 17))
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "Problems:",
        f"  email is not an email address: 30 rows, first lines {bad}",
        "  country is missing: 30 rows, first lines 12, 13, 14, 15, 16",
        f"  external_id occurs twice: 30 rows, first lines {twice}",
        (
            f"Error: {people}: 30 of 40 rows cannot be imported; all problems are in {rest}."
            " Nothing was sent."
        ),
    ]
    assert len(rest.read_text().splitlines()) == 91
    assert live[0].requests == []
    assert not people.with_name("people.csv.journal").exists()


def test_rejected_api_key_stops_import_and_valid_one_resumes(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    write(people, range(200))
    done = invoke("customers", "import", str(people), env={"DUB_API_KEY": "dub_wrong"})
    assert done.exit_code == 3
    assert last(done) == "200 rows: 0 created, 0 updated, 0 skipped, 0 failed, 200 remaining"
    assert " had no usable response: 401 unauthorized: " in done.stderr
    assert "\nError: 401 unauthorized: " in done.stderr
    assert "Run the same command again to continue." in done.stderr
    assert len(live[0].requests) <= 8
    done = invoke("customers", "import", str(people))
    assert (done.exit_code, live[0].customer_count) == (0, 200)


def test_import_with_wrong_server_path_stops_and_can_start_over(
    invoke: Invoke, live: Live, people: Path
) -> None:
    wrong = f"{live[1]['DUB_SERVER_URL']}/nope"
    done = invoke("customers", "import", "--server-url", wrong, str(people))
    assert (done.exit_code, live[0].customer_count) == (5, 0)
    assert "is the URL of Dub's API. Then run the command again." in done.stderr
    done = invoke("customers", "import", str(people))
    assert (done.exit_code, live[0].customer_count) == (0, 10)


def test_plan_limit_error_stops_the_import(invoke: Invoke, live: Live, people: Path) -> None:
    body = {"error": {"code": "exceeded_limit", "message": "Too many.", "doc_url": ""}}
    live[0].faults.add(faults.Status(403, body=body), times=None, method="POST")
    done = invoke("customers", "import", "--workers", "1", str(people))
    assert done.exit_code == 3
    assert "the workspace has reached a limit of its plan" in done.stderr
    assert posts(live[0]) == 1


def test_network_failure_stops_the_import_without_failed_rows(
    invoke: Invoke, live: Live, people: Path
) -> None:
    gone = invoke(
        *("customers", "import", "--no-retries", "--workers", "1", "-v", str(people)),
        env={"DUB_SERVER_URL": "http://127.0.0.1:9"},
    )
    assert (gone.exit_code, gone.stderr.count("attempt 1")) == (5, 1)
    assert "0 failed, 10 remaining" in last(gone)
    live[0].faults.add(faults.DropBefore(), times=None)
    with no_sleep():
        done = invoke("customers", "import", "--no-retries", str(people))
    assert (done.exit_code, posts(live[0]) < 12) == (5, True)
    assert "had no usable response: " in done.stderr
    assert done.stderr.rstrip().endswith("(DUB_SERVER_URL). Then run the command again.")
    live[0].faults.clear()
    done = invoke("customers", "import", str(people))
    assert (done.exit_code, live[0].customer_count) == (0, 10)


def test_row_with_a_500_response_is_counted_as_remaining(
    invoke: Invoke, live: Live, people: Path
) -> None:
    live[0].faults.add(faults.Status(500, carried_out=True), method="POST")
    done = invoke("customers", "import", "--no-retries", "--workers", "1", str(people))
    assert done.exit_code == 5
    assert last(done) == "10 rows: 9 created, 0 updated, 0 skipped, 0 failed, 1 remaining"
    assert "1 row had no usable response" in done.stderr
    # The customer was created, and now counts as created instead of as a conflict.
    done = invoke("customers", "import", str(people))
    assert (done.exit_code, last(done)) == (
        0,
        "10 rows: 10 created, 0 updated, 0 skipped, 0 failed",
    )


def test_rows_without_usable_response_are_reported(
    invoke: Invoke, live: Live, people: Path
) -> None:
    write(people, range(4))
    # The last request is the 429, because other rows would also wait.
    for fault in (faults.Status(500), faults.Delay(0), faults.Status(500), faults.RateLimited(9)):
        live[0].faults.add(fault)
    done = invoke("customers", "import", "--no-retries", "--workers", "1", str(people))
    assert done.exit_code == 5
    shown = [line.partition(": An internal server error")[0] for line in done.stderr.splitlines()]
    assert shown == [
        "2 rows had no usable response: 500 internal_server_error",
        "1 row had no usable response: 429 rate_limit_exceeded: Too many requests.",
        "Dub requested a wait of 9 s.",
        "Error: 3 rows had no usable response.  Hint: Run the same command again to continue.",
    ]


@pytest.mark.parametrize("option", ["--retries", "--no-retries"])
def test_long_retry_after_stops_the_import_immediately(
    invoke: Invoke, live: Live, people: Path, option: str
) -> None:
    write(people, range(100))
    live[0].faults.add(faults.Delay(0), times=3)
    live[0].faults.add(faults.RateLimited(3600))
    started = time.monotonic()
    done = invoke("customers", "import", option, "--workers", "4", str(people))
    assert (done.exit_code, time.monotonic() - started < 20) == (5, True)
    assert "Hint: try again in 3600 s. Run the same command again to continue." in done.stderr
    assert posts(live[0]) < 20


def test_rate_limited_import_waits_and_creates_all(
    invoke: Invoke, live: Live, people: Path
) -> None:
    live[0].faults.add(faults.RateLimited(30, "unix_ms"))
    with no_sleep() as clock:
        done = invoke("customers", "import", "--workers", "1", str(people))
    assert (done.exit_code, live[0].customer_count) == (0, 10)
    assert sum(clock.slept) >= 30


def test_rate_limit_option_is_respected(invoke: Invoke, live: Live, people: Path) -> None:
    with no_sleep() as clock:
        arguments = ("import", "--workers", "1", "--rate-limit", "5/minute", str(people))
        done = invoke("customers", *arguments)
    assert (done.exit_code, live[0].customer_count) == (0, 10)
    assert sum(clock.slept) >= 45
    done = invoke("customers", "import", "--rate-limit", "fast", str(people))
    assert (done.exit_code, "600/minute" in done.stderr) == (2, True)


def test_finished_journal_does_not_block_a_changed_file(
    invoke: Invoke, live: Live, people: Path
) -> None:
    invoke("customers", "import", str(people))
    people.write_text(people.read_text().replace("user_9", "user_x"))
    done = invoke("customers", "import", "--on-conflict", "skip", str(people))
    assert (done.exit_code, live[0].customer_count) == (0, 11)
    assert last(done) == "10 rows: 1 created, 0 updated, 9 skipped, 0 failed"


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("", (), "the file is empty"),
        ("name\n", (), "there is no column external_id"),
        ("Zo\xeb", (), "line 1, byte 3 (0xeb) is not utf-8.  Hint: --encoding cp1252"),
        ("external_id,country,Plan\n", (), "unknown columns: 'Plan'"),
        (
            HEADER,
            ("--map", "email=mail"),
            "is not COLUMN=FIELD; FIELD is one of external_id, email",
        ),
        (HEADER, ("--map", "nonsense"), "is not COLUMN=FIELD"),
        (HEADER, ("--map", "a=name", "--map", "a=email"), "'a' is given twice"),
        (HEADER, ("--encoding", "klingon"), "'klingon' is not the name of a text encoding"),
        (HEADER, ("--encoding", "hex"), "'hex' is not the name of a text encoding"),
        (HEADER, ("--delimiter", "::"), "'::' is not a delimiter; give one such as ;"),
        ("a\0b", (), "line 1 contains a NUL byte"),
    ],
)
def test_invalid_input_or_option_exits_with_2(
    invoke: Invoke, live: Live, people: Path, content: str, options: tuple[str, ...], expected: str
) -> None:
    people.write_bytes(content.encode("latin-1"))
    done = invoke("customers", "import", *options, str(people))
    assert done.exit_code == 2
    assert expected in done.stderr.splitlines()[-1]
    assert (live[0].requests, list(people.parent.iterdir())) == ([], [people])


def test_import_of_a_path_that_is_not_a_file_prints_one_line(
    invoke: Invoke, tmp_path: Path
) -> None:
    (tmp_path / "people.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    for path, expected in (
        (str(tmp_path), "is a directory"),
        (str(tmp_path / "none.csv"), "No such file or directory"),
        ("/dev/null", "is a device; give the path of a file"),
        (str(tmp_path / "people.xls"), "save it as .xlsx"),
    ):
        done = invoke("customers", "import", path)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert expected in done.stderr


def test_file_with_only_a_header_imports_nothing(invoke: Invoke, live: Live, people: Path) -> None:
    people.write_text(HEADER)
    done = invoke("customers", "import", str(people))
    assert (done.exit_code, "there is nothing to import" in done.stdout) == (0, True)
    assert list(people.parent.iterdir()) == [people]


def test_journal_path_must_not_be_another_file(
    invoke: Invoke, live: Live, people: Path, tmp_path: Path
) -> None:
    done = invoke("customers", "import", "--journal", str(people), str(people))
    assert (done.exit_code, "is not a journal" in done.stderr) == (2, True)
    journal = tmp_path / "elsewhere"
    live[0].faults.add(faults.Status(500), times=None)
    stop = ("customers", "import", "--no-retries", "--journal", str(journal), str(people))
    assert invoke(*stop).exit_code == 5
    assert journal.read_bytes().startswith(b"SQLite format 3")


def test_empty_optional_string_in_json_is_not_sent(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    live[0].add(external_id="u1", name="Ada", stripe_customer_id="cus_9")
    empty = '"name": "", "email": "", "stripeCustomerId": "", "country": "GB"'
    (tmp_path / "a.jsonl").write_text(
        "".join(f'{{"externalId": "u{number}", {empty}}}\n' for number in (1, 2, 3))
    )
    done = invoke("customers", "import", "--on-conflict", "upsert", str(tmp_path / "a.jsonl"))
    assert "3 rows: 2 created, 1 updated, 0 skipped, 0 failed" in done.output
    (update,) = (request for request in live[0].requests if request.method == "PATCH")
    assert json.loads(update.body) == {"country": "GB"}


def test_empty_required_string_in_json_is_reported_as_problem(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    (tmp_path / "a.jsonl").write_text('{"externalId": "", "country": " "}\n')
    done = invoke("customers", "import", str(tmp_path / "a.jsonl"))
    assert done.exit_code == 2
    assert "externalId is missing: line 1" in done.stderr
    assert "country is missing: line 1" in done.stderr
