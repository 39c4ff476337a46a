"""Test imports of the files of other programs, and of standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink.testing import FakeDub

if TYPE_CHECKING:
    from click.testing import Result

    Invoke = Callable[..., Result]
    Live = tuple[FakeDub, dict[str, str]]

ADA, ZOE = ("u1", "ada@example.com", "Ada", "GB"), ("u2", None, "Zoë 🙂", "US")
HEADER = "external_id,email,name,country\n"
TABLE = f"{HEADER}u1,ada@example.com,Ada,GB\nu2,,Zoë 🙂,US\n"
OBJECTS = [
    {"externalId": "u1", "email": "ada@example.com", "name": "Ada", "country": "GB"},
    {"externalId": "u2", "name": "Zoë 🙂", "country": "US"},
]

FILES: dict[str, tuple[str, str | bytes]] = {
    "rows of commas below": ("a.csv", TABLE + ",,,\n,,,\n"),
    "a column without a name": (
        "a.csv",
        "".join(f"{line},\n" for line in TABLE.splitlines()),
    ),
    "headers of people": (
        "a.csv",
        TABLE.replace("external_id,email,name,country", "External ID,E-MAIL,_name_, Country "),
    ),
    "semicolons": ("a.csv", TABLE.replace(",", ";")),
    "tabs": ("a.tsv", TABLE.replace(",", "\t")),
    "a sep line": ("a.csv", "sep=;\r\n" + TABLE.replace(",", ";").replace("\n", "\r\n")),
    "short rows": (
        "a.csv",
        "external_id,country,name,email\nu1,GB,Ada,ada@example.com\nu2,US,Zoë 🙂\n",
    ),
    "unicode text of Excel": ("a.txt", TABLE.replace(",", "\t").encode("utf-16")),
    "a byte order mark": ("a.csv", TABLE.encode("utf-8-sig")),
    "blanks and small letters": (
        "a.csv",
        TABLE.replace("ada@", " ada@").replace("GB", " gb ").replace("US", "us"),
    ),
    "placeholders": ("a.csv", TABLE.replace("u2,,", "u2,NULL,")),
    "an array": ("a.json", json.dumps(OBJECTS)),
    "an indented array in lines": ("a.jsonl", json.dumps(OBJECTS, indent=2)),
    "indented objects": ("a.json", "\n".join(json.dumps(each, indent=2) for each in OBJECTS)),
    "a space after each comma": (
        "a.csv",
        TABLE.replace(",", ", ").replace("Ada,", '"Ada",').replace("GB", '"gb"'),
    ),
    "an array that is called CSV": ("a.csv", json.dumps(OBJECTS)),
    "lines of json": ("a.ndjson", "\n".join(map(json.dumps, OBJECTS))),
}


@pytest.fixture
def invoke(invoke_apart: Invoke) -> Invoke:
    return invoke_apart


def stored(fake: FakeDub) -> list[tuple[Any, ...]]:
    found = [(c.external_id, c.email, c.name, c.country) for c in fake.customers]
    return sorted(found, key=str)


@pytest.mark.parametrize("case", FILES)
def test_csv_files_of_spreadsheet_programs_are_imported(
    invoke: Invoke, live: Live, tmp_path: Path, case: str
) -> None:
    name, content = FILES[case]
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    done = invoke("customers", "import", str(path))
    assert (done.exit_code, stored(live[0])) == (0, [ADA, ZOE]), done.stderr
    assert done.stdout == "2 rows: 2 created, 0 updated, 0 skipped, 0 failed\n"


def test_workbook_is_imported(invoke: Invoke, live: Live, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    workbook, path = openpyxl.Workbook(), tmp_path / "a.xlsx"
    for line in TABLE.splitlines():
        workbook.active.append([cell or None for cell in line.split(",")])
    workbook.save(path)
    done = invoke("customers", "import", str(path))
    assert (done.exit_code, stored(live[0])) == (0, [ADA, ZOE]), done.stderr


def test_workbook_import_without_openpyxl_shows_install_command(
    live: Live, tmp_path: Path, environment: dict[str, str]
) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"PK\x03\x04")
    # As without the extra: no module is named openpyxl.
    hidden = (
        "import importlib.util as u, sys; find = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name == 'openpyxl' else find(name, *a);"
        "from dub_uplink._cli import main; sys.argv[0] = 'dub-uplink'; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", hidden, "customers", "import", str(path)],
        env={**environment, **live[1]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f'Error: {path}: Excel files need openpyxl.  Hint: run  pip install "dub-uplink[excel]".\n'
    )


REFUSED: dict[str, tuple[str, bytes, str]] = {
    "two headers alike": (
        "a.csv",
        b"External ID,external-id,country\n1,2,GB\n",
        (
            "columns 'External ID', 'external-id' both mean external_id.  Hint: keep"
            " 'External ID' with --map 'external-id='."
        ),
    ),
    "three headers alike": (
        "a.csv",
        b"external_id,country,Country,country\n1,GB,GB,GB\n",
        "'country' all mean country.  Hint: rename all but one of them in the file.",
    ),
    "a title above the header": (
        "a.csv",
        b"Customers of ACME\n\nexternal_id,country\n1,GB\n",
        "Hint: the first row must contain the names of the columns: delete the rows above it",
    ),
    "no column of a country": (
        "a.csv",
        b"external_id,email\n1,a@example.com\n",
        "Hint: add the column, or give it with --map 'COLUMN=country'.",
    ),
    "a header with a mistake": (
        "a.csv",
        b"external_id,country,e_mial\n1,GB,\n",
        (
            "unknown columns: 'e_mial'; did you mean 'email'.  Hint: import a column with --map"
            " 'e_mial=email', ignore it with --map 'e_mial='"
        ),
    ),
    "a file of gzip": (
        "a.csv.gz",
        b"\x1f\x8b\x08\x00",
        "it is compressed by gzip.  Hint: unpack it",
    ),
    "lines in quotes": (
        "a.csv",
        b'"external_id,country"\n"1,gb"\n',
        "each line seems to be one cell in quotes",
    ),
    "a picture": ("a.csv", b"\x89PNG\r\n", "it is a picture (PNG), not a table."),
    "UTF-16 without a mark": (
        "a.csv",
        "external_id,country,name\n1,GB,Zo\xeb\n".encode("utf-16-le"),
        "Hint: give --encoding utf-16-le.",
    ),
    "CSV that is called JSON": (
        "a.json",
        b"external_id,country\n1,GB\n",
        "looks like CSV.  Hint: give --format csv.",
    ),
    "CSV that is called xlsx": (
        "a.xlsx",
        b"external_id,country\n1,GB\n",
        "cannot be read as an Excel workbook",
    ),
    "a number as id in JSON": (
        "a.json",
        b'[{"externalId": 1, "country": "GB"}]',
        'externalId is a number, not text; put it in quotes, such as "1": item 1 (1)',
    ),
    "an unknown key in JSON": (
        "a.json",
        b'[{"externalId": "1", "country": "GB", "address": 1}]',
        "address is unknown (--map 'address=FIELD' or --ignore-unknown): item 1",
    ),
    "JSON that is cut off": (
        "a.json",
        b'[{"externalId": "1", "country": "G',
        "item 1 is not JSON: Unterminated string.",
    ),
    "bytes of Windows": (
        "a.csv",
        HEADER.encode() + b"u1,,O\x92Brien,GB\n",
        "line 2, byte 6 (0x92) is not utf-8.  Hint: --encoding cp1252 (Windows) reads it as",
    ),
    "ids of Excel": (
        "a.csv",
        b"external_id,country\n1.0,GB\n1E+05,GB\n",
        (
            "external_id looks like a number that a spreadsheet changed; format the column as text"
            " in the spreadsheet; if the value is correct, import all cells unchanged with --exact:"
            ' lines 2 ("1.0"), 3 ("1E+05")'
        ),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_ambiguous_input_file_is_rejected_without_requests(
    invoke: Invoke, live: Live, tmp_path: Path, case: str
) -> None:
    name, content, expected = REFUSED[case]
    (tmp_path / name).write_bytes(content)
    done = invoke("customers", "import", str(tmp_path / name))
    assert (done.exit_code, live[0].requests) == (2, [])
    assert expected in done.stderr


def test_control_characters_from_a_wrong_encoding_are_rejected(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(HEADER.encode() + b"u1,,O\x92Brien,GB\n")
    done = invoke("customers", "import", "--encoding", "latin-1", str(path))
    assert (done.exit_code, live[0].requests) == (2, [])
    assert "name contains the control character U+0092: line 2" in done.stderr
    assert "Hint: try --encoding cp1252, or leave out --encoding if" in done.stderr
    done = invoke("customers", "import", "--encoding", "cp1252", str(path))
    assert (done.exit_code, live[0].customers[0].name) == (0, "O\u2019Brien")


def test_import_with_changed_options_needs_no_journal_option(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(HEADER.encode() + b"u1,,Zo\xc3\xab,GB\nu2,,Ada,GB\n")
    done = invoke("customers", "import", "--encoding", "cp1252", str(path))
    assert (done.exit_code, stored(live[0])[0][2]) == (0, "Zo\u00c3\u00ab")
    done = invoke("customers", "import", "--on-conflict", "upsert", str(path))
    assert (done.exit_code, stored(live[0])[0][2]) == (0, "Zoë")
    assert done.stdout == "2 rows: 0 created, 2 updated, 0 skipped, 0 failed\n"
    assert done.stderr == ""


def piped(path: str, content: bytes, live: Live, environment: dict[str, str], folder: Path) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "dub_uplink", "customers", "import", path],
        input=content,
        cwd=folder,
        env={**environment, **live[1]},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_repeated_import_of_standard_input_creates_no_customer(
    live: Live, tmp_path: Path, environment: dict[str, str], path: str
) -> None:
    content = TABLE.replace(",", ";").encode("utf-16")
    done = piped(path, content, live, environment, tmp_path)
    assert (done.returncode, stored(live[0])) == (0, [ADA, ZOE]), done.stderr
    done = piped(path, content, live, environment, tmp_path)
    assert (done.returncode, live[0].customer_count) == (1, 2)
    (failed,) = tmp_path.iterdir()
    assert (failed.name[:6], failed.name[-11:]) == ("stdin-", ".failed.csv")


def test_failed_rows_of_standard_input_can_be_imported(
    live: Live, tmp_path: Path, environment: dict[str, str]
) -> None:
    live[0].add(external_id="u1")
    done = piped("-", json.dumps(OBJECTS).encode(), live, environment, tmp_path)
    (failed,) = tmp_path.glob("stdin-*.failed.jsonl")
    assert done.returncode == 1
    assert failed.name.encode() in done.stderr


def test_failed_and_problem_files_are_next_to_the_journal(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    source, other = tmp_path / "source", tmp_path / "other"
    source.mkdir()
    other.mkdir()
    path, journal = source / "a.csv", other / "a.journal"
    path.write_text(HEADER + "u1,x,,\n" * 9)
    command = ("customers", "import", "--journal", str(journal), str(path))
    assert invoke(*command, "--dry-run").exit_code == 2
    live[0].add(external_id="u1")
    path.write_text(HEADER + "u1,,,GB\n")
    assert invoke(*command).exit_code == 1
    assert sorted(p.name for p in other.iterdir()) == [
        "a.failed.csv",
        "a.problems.csv",
    ]
    assert [p.name for p in source.iterdir()] == ["a.csv"]
    # The files contain personal data.
    assert {p.stat().st_mode & 0o777 for p in other.iterdir()} == {0o600}


def test_problems_are_printed_if_the_problem_file_is_unwritable(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "u1,x,,GB\n" * 9)
    (tmp_path / "a.problems.csv.tmp").mkdir()  # so writing fails, also for root
    done = invoke("customers", "import", "--dry-run", str(path))
    assert "email is not an email address: 9 rows, first lines 2" in done.stderr
    assert f"a.problems.csv with all problems cannot be written ({os.strerror(21)})" in done.stderr
    assert "Hint: choose another directory with --journal" in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("line ")]
    assert len(lines) == len(set(lines)) == 17

    live[0].add(external_id="u1")
    path.write_text(HEADER + "u1,,,GB\nu2,,,GB\n")
    obstacle = tmp_path / "a.failed.csv.tmp"
    obstacle.mkdir()
    done = invoke("customers", "import", str(path))
    assert (done.exit_code, "1 created" in done.stdout, "1 failed" in done.stdout) == (
        1,
        True,
        True,
    )
    assert "1 row failed: 409 conflict" in done.stderr
    assert "a.failed.csv cannot be written" in done.stderr
    obstacle.rmdir()
    sent = len(live[0].requests)
    done = invoke("customers", "import", str(path))
    assert (done.exit_code, len(live[0].requests)) == (1, sent)
    assert (tmp_path / "a.failed.csv").exists()


def test_unwritable_journal_error_suggests_the_journal_option(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLE)
    journal = tmp_path / "none" / "a.journal"
    done = invoke("customers", "import", "--journal", str(journal), str(path))
    assert (done.exit_code, live[0].requests) == (2, [])
    assert done.stderr == (
        f"Error: {journal}: No such file or directory. Nothing was sent.  Hint: choose another"
        " directory with --journal DIRECTORY/FILE.\n"
    )


def test_exported_file_can_be_imported_unchanged(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    rows = [("5E05", "NULL"), ("12E05", "N/A"), ("1.0", "#REF!"), ("a", "null"), ("b", "=1+1")]
    for external_id, name in rows:
        live[0].add(external_id=external_id, name=name, country="GB")
    path = tmp_path / "a.csv"
    assert invoke("customers", "export", str(path)).exit_code == 0
    refused = invoke("customers", "import", str(path))
    assert (refused.exit_code, "import all cells unchanged with --exact" in refused.stderr) == (
        2,
        True,
    )
    for customer in list(live[0].customers):
        invoke("customers", "delete", "--yes", customer.id)
    done = invoke("customers", "import", "--exact", str(path))
    assert done.exit_code == 0, done.stderr
    assert sorted((c.external_id, c.name) for c in live[0].customers) == sorted(rows)


def test_redirected_stdin_writes_no_files_into_dev(
    live: Live, tmp_path: Path, environment: dict[str, str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLE)
    live[0].add(external_id="u1")
    with path.open() as file:
        done = subprocess.run(
            [sys.executable, "-m", "dub_uplink", "customers", "import", "/dev/stdin"],
            stdin=file,
            cwd=tmp_path,
            env={**environment, **live[1]},
            capture_output=True,
            check=False,
        )
    assert done.returncode == 1
    assert [p.name[:6] for p in tmp_path.iterdir() if p != path] == ["stdin-"]


def test_conflict_with_unknown_cause_names_both_unique_fields(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    live[0].add(external_id="s1", stripe_customer_id="cus_9")
    path = tmp_path / "a.csv"
    path.write_text("external_id,country,stripe_customer_id\ns2,gb,cus_9\n")
    done = invoke("customers", "import", str(path))
    assert "(the external_id exists, or another customer has the stripe_customer_id)" in done.stderr
    done = invoke("customers", "import", "--on-conflict", "upsert", str(path))
    assert "no customer has this external_id: another one has the stripe" in done.stderr
    live[0].add(external_id="s2")
    done = invoke("customers", "import", "--on-conflict", "upsert", str(path))
    assert "(another customer has the stripe_customer_id; nothing was updated)" in done.stderr


def test_import_option_without_effect_prints_a_warning(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(TABLE.encode("utf-8-sig"))
    options = ("--dry-run", "--sheet", "A", "--encoding", "cp1252")
    done = invoke("customers", "import", *options, str(path))
    assert done.stderr.splitlines() == [
        "Warning: --sheet has no effect: the file is CSV.",
        "Warning: --encoding has no effect: the byte order mark of the file states the encoding.",
    ]


@pytest.mark.parametrize(
    ("content", "encoding", "warns"),
    [
        (TABLE, "cp1252", True),
        (TABLE, "mac_roman", True),
        (TABLE, "utf-8", False),
        (TABLE.replace("Zoë 🙂", "Zoe"), "cp1252", False),
        (TABLE.replace("Zoë 🙂", "Zoë").encode("cp1252"), "cp1252", False),
    ],
)
def test_import_of_utf_8_with_another_encoding_prints_a_warning(
    invoke: Invoke, tmp_path: Path, content: str | bytes, encoding: str, warns: bool
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content.replace("🙂", "").encode() if isinstance(content, str) else content)
    done = invoke("customers", "import", "--dry-run", "--encoding", encoding, str(path))
    name = encoding.replace("_", "-")
    warning = f"Warning: {path} is valid UTF-8, but it is read as {name}.  Hint: leave out --encod"
    assert (done.exit_code, done.stderr.startswith(warning)) == (0, warns), done.output
    assert ("looks like UTF-8 text" in done.stdout) == (warns and encoding == "cp1252")


def test_import_preview_shortens_long_values(invoke: Invoke, live: Live, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    url = f"https://example.com/{'x' * 300_000}"
    path.write_text(f"external_id,avatar,country\nu1,{url},GB\n")
    done = invoke("customers", "import", "--dry-run", str(path))
    assert (done.exit_code, len(done.stdout) < 1_000) == (0, True)
    assert "… (300,020 characters)" in done.stdout
