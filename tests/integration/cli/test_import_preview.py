"""Test the preview and the confirmation of ``customers import``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink.testing import FakeDub

pytest.importorskip("click")

if TYPE_CHECKING:
    from click.testing import Result

    Invoke = Callable[..., Result]
    Live = tuple[FakeDub, dict[str, str]]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(
        "External ID;E-Mail;Notes;Country\n"
        "u1;N/A;x;gb\nu2;ada@example.com;;US\nu3;;;Germany\nu4;;;FR\n",
        encoding="utf-8-sig",
    )
    return path


def preview(path: Path) -> list[str]:
    return [
        f"{path}: CSV, utf-8, delimiter ';'",
        "  External ID -> external_id",
        "  E-Mail      -> email",
        "  Notes       -> (left out)",
        "  Country     -> country",
        "The first customers as they would be sent:",
        '  {"externalId": "u1", "country": "GB"}',
        '  {"externalId": "u2", "email": "ada@example.com", "country": "US"}',
        '  {"externalId": "u3", "country": "Germany"}',
        "Check these values; they do not prevent the import:",
        '  E-Mail is treated as empty; import it as text with --exact: line 2 ("N/A")',
        '  Country is not a country code of two letters: line 4 ("Germany")',
    ]


def test_dry_run_shows_the_first_rows_as_they_would_be_sent(
    invoke_apart: Invoke, live: Live, people: Path
) -> None:
    done = invoke_apart("customers", "import", "--dry-run", "--map", "notes=", str(people))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        *preview(people),
        f"{people}: 4 rows without problems; nothing was sent.",
    ]
    assert (live[0].requests, list(people.parent.iterdir())) == ([], [people])


def test_dry_run_shows_the_columns_of_a_rejected_header(invoke_apart: Invoke, people: Path) -> None:
    done = invoke_apart("customers", "import", "--dry-run", str(people))
    assert done.exit_code == 2
    assert "  Notes       -> (unknown)" in done.stdout.splitlines()
    assert "unknown columns: 'Notes'" in done.stderr


def test_dry_run_shows_valid_rows_and_problems(invoke_apart: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "people.jsonl"
    path.write_text(
        '{"external id": "u1", "country": "GB"}\n{"externalId": "u2", "country": "GB", "a": 1}\n'
    )
    done = invoke_apart("customers", "import", "--dry-run", str(path))
    assert done.stdout.splitlines() == [
        f"{path}: JSON, utf-8",
        "  external id -> external_id",
        "  country     -> country",
        "  externalId  -> external_id",
        "The first customers as they would be sent:",
        '  {"externalId": "u1", "country": "GB"}',
    ]
    assert (
        "  a is unknown (--map 'a=FIELD' or --ignore-unknown): line 2" in done.stderr.splitlines()
    )


def test_import_without_a_terminal_prints_the_notes(
    invoke_apart: Invoke, live: Live, people: Path
) -> None:
    done = invoke_apart("customers", "import", "--map", "notes=", str(people))
    assert (done.exit_code, live[0].customer_count) == (0, 4)
    assert done.stderr.splitlines() == preview(people)[-3:]


@pytest.mark.parametrize(
    ("keys", "status", "count"),
    [("y\n", 0, 4), ("n\n", 1, 0), ("\n", 1, 0), ("\x03", 130, 0), ("\x04", 130, 0)],
)
def test_import_on_a_terminal_shows_the_preview_and_asks(
    terminal: Callable[..., Any], live: Live, people: Path, keys: str, status: int, count: int
) -> None:
    command = ("customers", "import", "--map", "notes=", str(people))
    shown = terminal(*command, env=live[1], columns=200)
    shown.wait_for("Import 4 rows? [y/N]")
    assert [line for line in preview(people) if line not in shown.shown] == []
    assert live[0].requests == []
    shown.send(keys)
    assert (shown.finish(), live[0].customer_count) == (status, count)


def test_import_with_yes_option_does_not_ask_on_a_terminal(
    terminal: Callable[..., Any], live: Live, people: Path
) -> None:
    shown = terminal("customers", "import", "--yes", "--map", "notes=", str(people), env=live[1])
    assert (shown.finish(), live[0].customer_count) == (0, 4)
    assert "[y/N]" not in shown.shown


def test_import_of_typed_input_ends_at_the_first_ctrl_d(
    terminal: Callable[..., Any], live: Live
) -> None:
    shown = terminal("customers", "import", "--yes", "-", env=live[1])
    shown.send("external_id,country\nu1,GB\n")
    shown.wait_for("u1,GB")
    shown.send("\x04")
    assert (shown.finish(), live[0].customer_count) == (0, 1)
