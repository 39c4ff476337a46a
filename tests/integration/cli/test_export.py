"""Test the files of ``customers export``: their content, and that no incomplete file remains."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dub_uplink import Dub
from dub_uplink.models.components import Customer
from dub_uplink.testing import FakeDub, faults

pytest.importorskip("click")

from dub_uplink._cli.export import job
from dub_uplink._cli.export.job import CustomerWriter, PartFile
from dub_uplink._cli.interrupts import Interrupted
from dub_uplink._cli.io.files import open_with_mode
from dub_uplink._cli.io.records import list_column_names
from dub_uplink._cli.reading.rows import Options, make_rows

if TYPE_CHECKING:
    from click.testing import Result

    Invoke = Callable[..., Result]
    Live = tuple[FakeDub, dict[str, str]]

#: Names that are difficult to write to files of lines and cells.
NASTY = (
    'a "quoted" one',
    "a, comma; and\ttab",
    "two\nlines",
    "two\r\nlines",
    "a bare\rreturn",
    "line\u2028separator\u2029next",
    " blanks around ",
    "=1+1",
    "'single",
    "Zoë 李 🙂",
    "null",
    "\ufeffmark",
    "\x7f\x1b[2J",
    "\\",
)


def make_customers() -> list[Customer]:
    fake = FakeDub()
    fake.add_many(3)
    return list(Dub(fake.token, client=fake.session()).customers.iterate())


@pytest.fixture
def invoke(invoke_apart: Invoke) -> Invoke:
    return invoke_apart


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "customers.csv"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def ids_in(path: Path) -> list[str]:
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return [row["id"] for row in csv.DictReader(file)]
    return [json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_export_writes_every_customer_once(
    invoke: Invoke, live: Live, tmp_path: Path, suffix: str
) -> None:
    live[0].add_many(250)
    target = tmp_path / f"customers.{suffix}"
    done = invoke("customers", "export", str(target))
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"250 customers in {target}\n"
    assert sorted(ids_in(target)) == sorted(c.id for c in live[0].customers)
    assert names(tmp_path) == [target.name]


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_export_can_be_imported_unchanged(
    invoke: Invoke, live: Live, tmp_path: Path, suffix: str
) -> None:
    fake, _ = live
    for number, name in enumerate(NASTY):
        fake.add(
            external_id=f"{number}{name}.",
            name=name,
            email=f"user_{number}@example.com",
            avatar="https://example.com/a,b.png" if number % 2 else None,
            stripe_customer_id=f"cus_{number}" if number % 3 else None,
            country="GB",
            link={"id": "l", "url": "https://example.com/?q=1,2"},
        )
    # Without the avatar, because Dub hosts a copy of each picture at another URL.
    fields = ("external_id", "name", "email", "stripe_customer_id", "country")

    def stored() -> set[tuple[Any, ...]]:
        return {tuple(getattr(c, name) for name in fields) for c in fake.customers}

    before, target = stored(), tmp_path / f"customers.{suffix}"
    assert invoke("customers", "export", "--expand", str(target)).exit_code == 0
    fake.clear()
    done = invoke("customers", "import", *(["--exact"] if suffix == "csv" else []), str(target))
    warning, *details = done.stderr.splitlines()
    assert done.exit_code == 0
    assert warning == "Check these values; they do not prevent the import:"
    assert [line.split(":")[0] for line in details] == [
        "  name contains a control character, which is sent",
        "  externalId contains an invisible character, which is sent as part of the id",
    ]
    assert stored() == before


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


#: CSV cannot represent NUL.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(TEXT, st.none() | TEXT), max_size=4), st.sampled_from(["csv", "jsonl"]))
def test_export_of_any_text_is_read_with_the_written_text(
    folder: Path, customers: list[tuple[str, str | None]], file_format: Any
) -> None:
    path = folder / "customers"
    with path.open("wb") as file:
        writer = CustomerWriter(
            file, file_format, list_column_names(expanded=False) if file_format == "csv" else None
        )
        writer.write_header()
        writer.write(Customer(id="c", external_id="first", country="GB"))
        for external_id, name in customers:
            writer.write(Customer(id="c", external_id=external_id, name=name, country="GB"))
        writer.detach()
    with path.open("rb") as read:
        rows = list(make_rows(read, Options(file_format)))
    found = [(row.request.get("external_id"), row.request.get("name")) for row in rows]
    assert found == [("first", None), *customers]


def test_export_sends_the_filters(invoke: Invoke, live: Live, target: Path) -> None:
    live[0].add(external_id="a", country="GB")
    live[0].add(external_id="b", country="FR")
    invoke("customers", "export", "--country", "FR", "--sort-order", "asc", str(target))
    assert len(ids_in(target)) == 1
    query = live[0].requests[-1].query
    assert (query["country"], query["sortOrder"]) == ("FR", "asc")


def test_export_contains_dates_and_nested_objects(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    link = {"id": "l1", "domain": "dub.sh", "tier": "new"}
    live[0].add(
        external_id="a", link=link, created_at=dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)
    )
    for suffix in ("csv", "jsonl"):
        invoke("customers", "export", "--expand", str(tmp_path / f"c.{suffix}"))
    with (tmp_path / "c.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    found = json.loads((tmp_path / "c.jsonl").read_text())
    assert row["createdAt"] == found["createdAt"] == "2026-01-02T00:00:00.000Z"
    assert (row["link.id"], found["link"]["id"]) == ("l1", "l1")
    assert (row["discount.id"], found["sales"]) == ("", 0)


def test_export_replaces_a_file_only_with_force(invoke: Invoke, live: Live, target: Path) -> None:
    target.write_text("mine")
    for options, problem in (
        ((), "exists.  Hint: replace it with --force."),
        (
            ("--resume",),
            ("exists, and no export to it is interrupted.  Hint: replace it with --force."),
        ),
    ):
        done = invoke("customers", "export", *options, str(target))
        assert (done.exit_code, target.read_text()) == (2, "mine")
        assert done.stderr == f"Error: {target} {problem}\n"
    assert live[0].requests == []
    assert invoke("customers", "export", "--force", str(target)).exit_code == 0
    assert target.read_text().startswith("id,name,")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask_022() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask_022")
def test_new_export_file_is_readable_only_by_the_owner(
    invoke: Invoke, live: Live, target: Path
) -> None:
    broken(invoke, live, target)
    assert [mode_of(path) for path in target.parent.iterdir()] == [0o600, 0o600]
    assert invoke("customers", "export", "--resume", str(target)).exit_code == 0
    assert mode_of(target) == 0o600


@pytest.mark.usefixtures("umask_022")
@pytest.mark.parametrize(
    ("name", "mode"),
    [("c.csv", 0o600), ("c.csv", 0o640), ("c.csv", 0o666), ("c.csv", 0o444), ("c.parquet", 0o444)],
)
def test_export_keeps_the_mode_of_a_replaced_file(
    invoke: Invoke, live: Live, tmp_path: Path, name: str, mode: int
) -> None:
    if name == "c.parquet":
        pytest.importorskip("pyarrow")
    target = tmp_path / name
    target.touch()
    target.chmod(mode)
    broken(invoke, live, target, "--force")
    parts = [path for path in target.parent.iterdir() if path != target]
    assert [mode_of(path) for path in parts] == [mode | 0o600] * 2
    assert invoke("customers", "export", "--resume", "--force", str(target)).exit_code == 0
    assert (mode_of(target), target.stat().st_size > 0) == (mode, True)


@pytest.mark.parametrize("umask", [0, 0o077])
@pytest.mark.parametrize("existing", [False, True])
def test_export_file_has_the_given_mode_before_the_first_write(
    tmp_path: Path, umask: int, existing: bool
) -> None:
    path = tmp_path / "a"
    if existing:
        path.touch()
    before = os.umask(umask)
    try:
        with open_with_mode(path, "a+b", 0o640):
            assert mode_of(path) == 0o640
    finally:
        os.umask(before)


@pytest.mark.usefixtures("umask_022")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_export_mode_option_sets_the_permissions(
    invoke: Invoke, live: Live, tmp_path: Path, suffix: str
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    target = tmp_path / f"customers.{suffix}"
    live[0].add_many(1)
    assert invoke("customers", "export", "--mode", "664", str(target)).exit_code == 0
    assert mode_of(target) == 0o664
    done = invoke("customers", "export", "--force", "--mode", "0600", str(target))
    assert (done.exit_code, mode_of(target)) == (0, 0o600)


@pytest.mark.parametrize("mode", ["888", "rw-r--r--", "444", "7777", ""])
def test_export_invalid_mode_is_rejected(invoke: Invoke, target: Path, mode: str) -> None:
    done = invoke("customers", "export", "--mode", mode, str(target))
    assert (done.exit_code, "octal mode" in done.stderr, target.exists()) == (2, True, False)


def test_export_columns_option_selects_and_orders_columns(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    live[0].add(external_id="a", country="GB", link={"id": "l1", "key": "k"})
    chosen = ("--expand", "--columns", "country, link.id,external_id")
    assert invoke("customers", "export", *chosen, str(tmp_path / "c.csv")).exit_code == 0
    assert (tmp_path / "c.csv").read_text() == "country,link.id,externalId\nGB,l1,a\n"
    names = ("--columns", "country,externalId")
    assert invoke("customers", "export", *names, str(tmp_path / "c.jsonl")).exit_code == 0
    assert (tmp_path / "c.jsonl").read_text() == '{"country": "GB", "externalId": "a"}\n'
    assert invoke("customers", "export", *names, "-").stdout == (
        '{"country": "GB", "externalId": "a"}\n'
    )


def test_export_columns_option_selects_parquet_columns(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    live[0].add(external_id="a", country="GB", sale_amount=7, link={"id": "l1"})
    chosen = ("--expand", "--columns", "saleAmount,link,externalId")
    target = tmp_path / "c.parquet"
    assert invoke("customers", "export", *chosen, str(target)).exit_code == 0
    table = pq.read_table(target)
    assert table.column_names == ["saleAmount", "link", "externalId"]
    assert table.to_pylist()[0]["link"]["id"] == "l1"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("id,nmae", "there is no column 'nmae'; choose from id, name, email,"),
        ("id,link.id", "there is no column 'link.id'; add --expand"),
        ("id,name,id", "'id' is given twice"),
        ("", "there is no column ''"),
    ],
)
def test_export_with_unknown_columns_is_rejected(
    invoke: Invoke, live: Live, target: Path, columns: str, message: str
) -> None:
    done = invoke("customers", "export", "--columns", columns, str(target))
    assert (done.exit_code, message in done.stderr, live[0].requests) == (2, True, [])


def test_export_resume_with_changed_columns_is_rejected(
    invoke: Invoke, live: Live, target: Path
) -> None:
    broken(invoke, live, target)
    done = invoke("customers", "export", "--resume", "--columns", "id", str(target))
    assert (done.exit_code, "belongs to an export with different columns" in done.stderr) == (
        2,
        True,
    )
    assert "repeat the options of that export" in done.stderr


def test_export_keeps_a_symbolic_link(invoke: Invoke, live: Live, tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    assert invoke("customers", "export", str(tmp_path / "link.csv")).exit_code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").exists()


def broken(invoke: Invoke, live: Live, target: Path, *options: str) -> Result:
    """Return an export of 2,550 customers that fails at the page after 1,900 customers."""
    live[0].add_many(2_550)
    for _ in range(21):
        live[0].faults.add(faults.Delay(0))
    live[0].faults.add(faults.Status(500), times=None)
    done = invoke("customers", "export", "--no-retries", *options, str(target))
    live[0].faults.clear()
    return done


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_export_resumes_after_a_failure(
    invoke: Invoke, live: Live, tmp_path: Path, suffix: str
) -> None:
    target = tmp_path / f"customers.{suffix}"
    done = broken(invoke, live, target)
    assert (done.exit_code, target.exists()) == (5, False)
    assert f"customers are in {target}.part; continue with --resume." in done.stderr
    part = target.with_name(target.name + ".part")
    saved = json.loads(target.with_name(target.name + ".part.json").read_text())
    assert saved["bytes"] == part.stat().st_size
    with part.open("a") as file:
        file.write('{"id": "torn')  # like after a killed process
    before = len(live[0].requests)
    done = invoke("customers", "export", "--resume", str(target))
    assert (done.exit_code, f"Continuing after {saved['customers']:,}" in done.stderr) == (0, True)
    assert sorted(ids_in(target)) == sorted(c.id for c in live[0].customers)
    assert len(live[0].requests) - before < 12
    assert names(tmp_path) == [target.name]


def test_export_after_an_interruption_needs_resume_or_force(
    invoke: Invoke, live: Live, target: Path
) -> None:
    broken(invoke, live, target)
    done = invoke("customers", "export", str(target))
    assert done.exit_code == 2
    assert "continue it with --resume, or start over with --force" in done.stderr
    done = invoke("customers", "export", "--resume", "--country", "GB", str(target))
    assert (done.exit_code, "belongs to an export with different filters" in done.stderr) == (
        2,
        True,
    )
    done = invoke("customers", "export", "--force", str(target))
    assert (done.exit_code, len(set(ids_in(target)))) == (0, 2_550)
    assert "Continuing" not in done.stderr
    assert names(target.parent) == [target.name]


def test_export_resumes_with_a_changed_page_size(invoke: Invoke, live: Live, target: Path) -> None:
    broken(invoke, live, target, "--page-size", "90")
    done = invoke("customers", "export", "--resume", "--page-size", "7", str(target))
    assert (done.exit_code, "Continuing after 1,799" in done.stderr) == (0, True)
    assert sorted(ids_in(target)) == sorted(c.id for c in live[0].customers)


def test_export_rejected_resume_keeps_the_file_mode(
    invoke: Invoke, live: Live, target: Path
) -> None:
    broken(invoke, live, target)
    part = target.with_name(target.name + ".part")
    resume = ("customers", "export", "--resume", "--mode", "644", str(target))
    assert invoke(*resume, "--country", "GB").exit_code == 2
    assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert invoke(*resume).exit_code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


@pytest.mark.parametrize("record", [b"", b"{}", b"\xff", b"[]", b'{"export": 1, "bytes": 1}'])
def test_export_invalid_checkpoint_is_rejected(
    invoke: Invoke, live: Live, target: Path, record: bytes
) -> None:
    broken(invoke, live, target)
    target.with_name(target.name + ".part.json").write_bytes(record)
    done = invoke("customers", "export", "--resume", str(target))
    assert (done.exit_code, "is damaged" in done.stderr) == (2, True)
    assert "start over with --force instead of --resume." in done.stderr
    assert invoke("customers", "export", "--force", str(target)).exit_code == 0


def test_export_resume_of_a_truncated_part_file_is_rejected(
    invoke: Invoke, live: Live, target: Path
) -> None:
    broken(invoke, live, target)
    target.with_name(target.name + ".part").write_text("")
    done = invoke("customers", "export", "--resume", str(target))
    assert (done.exit_code, "has fewer bytes than" in done.stderr) == (2, True)
    assert "start over with --force instead of --resume." in done.stderr


@pytest.mark.parametrize("options", [(), ("--force",), ("--resume",)])
def test_export_to_a_locked_part_suggests_another_file(
    invoke: Invoke, live: Live, target: Path, options: tuple[str, ...]
) -> None:
    with PartFile(target, {}, resume=False, mode=0o600):
        done = invoke("customers", "export", *options, str(target))
    assert (done.exit_code, "another export is writing" in done.stderr) == (2, True)
    assert "Hint: wait until it ends, or export to another file." in done.stderr
    assert "--force" not in done.stderr


def test_export_interrupted_right_after_a_resume_can_be_resumed(target: Path) -> None:
    customers = make_customers()

    def interrupted() -> Iterator[Any]:
        yield customers, "cursor_1"
        raise Interrupted

    def resume(batches: Iterator[Any]) -> None:
        with (
            PartFile(target, {}, resume=True, mode=0o600) as part_file,
            pytest.raises(Interrupted),
        ):
            part_file.append(batches, "jsonl", None)

    def interrupted_at_once() -> Iterator[Any]:
        yield from ()
        raise Interrupted

    resume(interrupted())
    part_path = target.with_name(target.name + ".part")
    checkpointed = part_path.read_bytes()
    part_path.write_bytes(checkpointed + b"written after the checkpoint")
    resume(interrupted_at_once())
    resume(interrupted_at_once())
    assert part_path.read_bytes() == checkpointed


def test_export_killed_at_the_end_leaves_no_checkpoint(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint_path = target.with_name(target.name + ".part.json")

    def fail(*_: Any) -> None:
        assert not checkpoint_path.exists()
        raise OSError("killed")

    monkeypatch.setattr(job, "replace_atomically", fail)
    with PartFile(target, {}, resume=False, mode=0o600, clock=itertools.count(0, 60).__next__) as f:
        f.append(iter([(make_customers(), "cursor_1")]), "jsonl", None)
        assert checkpoint_path.exists()
        with pytest.raises(OSError, match="killed"):
            f.finish()


def test_export_resume_of_a_complete_file_is_rejected(
    invoke: Invoke, live: Live, target: Path
) -> None:
    live[0].add_many(3)
    assert invoke("customers", "export", str(target)).exit_code == 0
    before = target.read_bytes()
    done = invoke("customers", "export", "--resume", str(target))
    assert (done.exit_code, target.read_bytes()) == (2, before)
    assert (
        "exists, and no export to it is interrupted.  Hint: replace it with --force" in done.stderr
    )
    live[0].add_many(4)
    assert invoke("customers", "export", "--resume", "--force", str(target)).exit_code == 0
    assert len(ids_in(target)) == 4


def test_export_with_resume_and_force_continues(invoke: Invoke, live: Live, target: Path) -> None:
    target.write_text("old")
    broken(invoke, live, target, "--force")
    done = invoke("customers", "export", "--resume", "--force", str(target))
    assert (done.exit_code, "Continuing after" in done.stderr) == (0, True)
    assert len(set(ids_in(target))) == 2_550


def test_export_resume_without_a_part_file_starts_over(
    invoke: Invoke, live: Live, target: Path
) -> None:
    live[0].add_many(3)
    assert invoke("customers", "export", "--resume", str(target)).exit_code == 0
    assert len(ids_in(target)) == 3


def test_export_with_a_rejected_api_key_leaves_no_files(
    invoke: Invoke, live: Live, target: Path
) -> None:
    env = {"DUB_API_KEY": "dub_wrong"}
    done = invoke("customers", "export", str(target), env=env)
    assert (done.exit_code, names(target.parent)) == (3, [])


def test_export_from_unreachable_server_leaves_no_files(invoke: Invoke, target: Path) -> None:
    env = {"DUB_SERVER_URL": "http://127.0.0.1:9"}
    done = invoke("customers", "export", "--no-retries", str(target), env=env)
    assert (done.exit_code, names(target.parent)) == (5, [])


def test_export_to_an_invalid_path_prints_one_line(invoke: Invoke, tmp_path: Path) -> None:
    for path, expected in (
        (str(tmp_path), "is a directory"),
        (str(tmp_path / "none" / "c.csv"), "does not exist"),
        (str(tmp_path / "c.xlsx"), "give --format"),
    ):
        done = invoke("customers", "export", path)
        assert (done.exit_code, expected in done.stderr) == (2, True)
    done = invoke("customers", "export", "--resume", "-")
    assert (done.exit_code, "--resume cannot be used with" in done.stderr) == (2, True)
    assert names(tmp_path) == []


def test_export_to_a_full_disk_prints_one_line(invoke: Invoke, live: Live) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    live[0].add_many(1)
    done = invoke("customers", "export", "--format", "csv", "/dev/full")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "No space left on device" in done.stderr
    assert not Path("/dev/full.part").exists()


def test_export_writes_to_stdout(invoke: Invoke, live: Live) -> None:
    live[0].add_many(3)
    done = invoke("customers", "export", "-")
    assert (done.exit_code, done.stderr) == (0, "")
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 3
    done = invoke("customers", "export", "--format", "csv", "-")
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == 3


@pytest.mark.parametrize("directory", ["/dev/fd", "/proc/self/fd"])
def test_export_writes_to_a_descriptor_of_a_pipe(
    invoke: Invoke, live: Live, directory: str
) -> None:
    if not Path(directory).exists():
        pytest.skip(f"there is no {directory}")
    live[0].add_many(3)
    reader, writer = os.pipe()
    done = invoke("customers", "export", "--format", "jsonl", f"{directory}/{writer}")
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        assert (done.exit_code, done.stderr, len(file.readlines())) == (0, "", 3)


def test_export_parquet_without_pyarrow_has_a_hint(
    invoke: Invoke, live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dub_uplink._cli.export.command.find_spec", lambda name: None)
    done = invoke("customers", "export", str(tmp_path / "c.parquet"))
    assert (done.exit_code, live[0].requests, names(tmp_path)) == (2, [], [])
    assert 'pip install "dub-uplink[parquet]"' in done.stderr


def test_export_to_parquet_has_typed_columns_and_can_resume(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    target = tmp_path / "customers.parquet"
    when = dt.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=dt.timezone.utc)
    link = {"id": "l1", "key": "k", "tier": "new"}
    live[0].add(external_id="a", name="Zoë", sale_amount=2**40, first_sale_at=when, link=link)
    assert broken(invoke, live, target, "--expand").exit_code == 5
    done = invoke("customers", "export", "--resume", "--expand", str(target))
    assert (done.exit_code, names(tmp_path)) == (0, [target.name])
    rows = pq.read_table(target).to_pylist()
    assert sorted(row["id"] for row in rows) == sorted(c.id for c in live[0].customers)
    (row,) = (row for row in rows if row["externalId"] == "a")
    assert (row["name"], row["saleAmount"], row["firstSaleAt"]) == ("Zoë", 2**40, when)
    assert (row["link"]["key"], row["partner"], row["programId"]) == ("k", None, None)
    done = invoke("customers", "export", "--format", "parquet", "-")
    assert (done.exit_code, "--format parquet cannot be used with" in done.stderr) == (2, True)
