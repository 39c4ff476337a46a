"""The journal of an import: what it knows after whatever has happened to it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("click")

from dub_uplink._cli.import_job.journal import Journal, JournalError

ABOUT = {"file": {"size": 1, "sha256": "ab"}, "server": ""}
ROWS = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people.csv.journal"


def test_what_was_committed_is_known_to_the_next_process(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.begin(6)
        journal.finish(0, "created")
        journal.finish(1, "updated")
        journal.finish(2, "skipped")
        journal.finish(3, "failed", "409 conflict: Zoë\n")
        journal.exists(4)
        journal.commit()
        journal.finish(5, "created")  # and not committed
    with Journal(path, ABOUT, ROWS) as journal:
        endings = [journal.ending(row) for row in range(ROWS)]
        assert endings == ["created", "updated", "skipped", "failed", None, None, None, None]
        assert journal.reason(3) == "409 conflict: Zoë\n"
        assert journal.counts() == {"created": 1, "updated": 1, "skipped": 1, "failed": 1}
        assert [row for row in range(ROWS) if journal.is_known_to_exist(row)] == [4]
        assert [row for row in range(ROWS) if journal.is_in_doubt(row)] == [5]


def test_what_this_process_began_is_not_in_doubt(path: Path) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.begin(3)
        assert not journal.is_in_doubt(0)


def test_nothing_is_begun_before_it_is_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    really = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(path.read_bytes()), really(fd))[1])
    with Journal(path, ABOUT, ROWS) as journal:
        synced.clear()
        journal.finish(0, "created")
        assert synced == []
        journal.begin(4)
        assert synced[-1].endswith(b'["created",0]\n["begun",4]\n')
        journal.begin(4)
        journal.commit()
        assert len(synced) == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [({"file": {"size": 1, "sha256": "cd"}}, "file"), ({"server": "http://x"}, "server")],
)
def test_the_journal_of_another_file_is_refused(
    path: Path, change: dict[str, Any], what: str
) -> None:
    with Journal(path, ABOUT, ROWS) as journal:
        journal.begin(1)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=f"the {what} changed since; --restart"):
        Journal(path, {**ABOUT, **change}, ROWS)
    assert path.read_bytes() == before
    with Journal(path, {**ABOUT, **change}, ROWS, restart=True) as journal:
        assert journal.begun == 0


@pytest.mark.parametrize("content", [b"external_id,country\nu1,GB\n", b"x", b'{"a":1}\n', b"[]\n"])
def test_a_file_that_is_no_journal_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(JournalError, match="is not a journal"):
        Journal(path, ABOUT, ROWS)
    assert path.read_bytes() == content


def test_a_second_process_is_refused_until_the_first_one_ends(path: Path) -> None:
    with Journal(path, ABOUT, ROWS), pytest.raises(JournalError, match="another import"):
        Journal(path, ABOUT, ROWS)
    Journal(path, ABOUT, ROWS).close()


def test_a_device_is_no_journal() -> None:
    # It has no end: what reads it line by line reads for ever.
    with pytest.raises(JournalError, match="/dev/zero is no file"):
        Journal(Path("/dev/zero"), ABOUT, ROWS)


def test_a_journal_that_cannot_grow_is_told_by_its_name(path: Path) -> None:
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path, ABOUT, ROWS) as journal:
        journal.finish(0, "created")
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 3, limits[1]))
        try:
            with pytest.raises(OSError, match="too large") as caught:
                journal.commit()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)


FACTS = st.one_of(
    st.tuples(st.just("begin"), st.integers(1, ROWS)),
    st.tuples(st.just("exists"), st.integers(0, ROWS - 1)),
    st.tuples(st.sampled_from(["created", "updated", "skipped"]), st.integers(0, ROWS - 1)),
    st.tuples(st.just("failed"), st.integers(0, ROWS - 1), st.text(max_size=5)),
)


def tell(journal: Journal, fact: tuple[Any, ...]) -> None:
    kind, row, *reason = fact
    if kind == "begin":
        journal.begin(row)
    elif kind == "exists":
        journal.exists(row)
    else:
        journal.finish(row, kind, *reason)
    journal.commit()


def state(journal: Journal) -> list[Any]:
    rows = range(ROWS)
    endings = [(journal.ending(n), journal.reason(n), journal.is_known_to_exist(n)) for n in rows]
    return [journal.begun, journal.counts(), endings]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@given(facts=st.lists(FACTS, max_size=12), data=st.data())
def test_any_torn_journal_knows_every_fact_that_is_whole_and_can_be_gone_on_with(
    folder: Path, facts: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    path = folder / "journal"
    path.unlink(missing_ok=True)
    states, lengths = [], []
    with Journal(path, ABOUT, ROWS) as journal:
        for fact in ((), *facts):
            if fact:
                tell(journal, fact)
            states.append(state(journal))
            lengths.append(path.stat().st_size)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole)), label="torn at")
    known = max((n for n, length in enumerate(lengths) if length <= at), default=0)
    path.write_bytes(whole[:at])
    with Journal(path, ABOUT, ROWS) as journal:
        assert state(journal) == states[known]
        for fact in facts[known:]:
            tell(journal, fact)
        assert state(journal) == states[-1]
    assert path.read_bytes() == whole


@given(rubbish=st.binary(max_size=60), whole=st.booleans())
def test_whatever_a_crash_left_behind_the_last_fact_is_cut_off(
    folder: Path, rubbish: bytes, whole: bool
) -> None:
    path = folder / "journal"
    path.unlink(missing_ok=True)
    with Journal(path, ABOUT, ROWS) as journal:
        tell(journal, ("created", 1))
        before = state(journal)
    good = path.read_bytes()
    lines = [line for line in rubbish.split(b"\n") if line]
    if any(is_fact(line) for line in lines):
        return
    path.write_bytes(good + rubbish + (b"\n" if whole and rubbish else b""))
    with Journal(path, ABOUT, ROWS) as journal:
        assert state(journal) == before
    assert path.read_bytes() == good


def is_fact(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), list)
    except ValueError:
        return False


@pytest.mark.parametrize(
    "line",
    [
        '["created",8]',
        '["created",-1]',
        '["created",true]',
        '["created",1.0]',
        '["created",1,""]',
        '["failed",1]',
        '["failed",1,2]',
        '["begun",9]',
        '["exists",8]',
        '["lost",1]',
        '["created"]',
        "{}",
        "[" * 100_000,
    ],
)
def test_a_line_that_is_no_fact_ends_the_journal(path: Path, line: str) -> None:
    with Journal(path, ABOUT, ROWS):
        pass
    good = path.read_bytes()
    path.write_bytes(good + f'{line}\n["created",2]\n'.encode())
    with Journal(path, ABOUT, ROWS) as journal:
        assert sum(journal.counts().values()) == 0
    assert path.read_bytes() == good
