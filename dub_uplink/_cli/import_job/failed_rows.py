"""The rows of an import that failed, in a file like the one they came from, and why."""

from __future__ import annotations

import csv
from pathlib import Path

from dub_uplink._cli.import_job.journal import Journal
from dub_uplink._cli.import_job.rows import REASON, Rows
from dub_uplink._cli.io.files import replacing
from dub_uplink._cli.io.records import json_text


def write_failed(path: Path, rows: Rows, journal: Journal) -> None:
    """Write the failed rows to a file that ``rows`` could read in turn.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path) as file:
        failed = (row for row in rows if journal.ending(row.number) == "failed")
        if rows.options.format == "jsonl":
            file.writelines(
                json_text({**row.cells, REASON: journal.reason(row.number)}) + "\n"
                for row in failed
            )
            return
        # Quoted throughout, since not every Python quotes a line end of each kind by itself.
        writer = csv.writer(
            file,
            delimiter=rows.options.delimiter,
            lineterminator="\n",
            quoting=csv.QUOTE_ALL,
        )
        kept = [number for number, column in enumerate(rows.columns) if column != REASON]
        writer.writerow([*(rows.columns[number] for number in kept), REASON])
        writer.writerows(
            [*(row.cells[number] for number in kept), journal.reason(row.number)] for row in failed
        )


def failed_path(path: Path) -> Path:
    """``people.failed.csv`` beside ``people.csv``."""
    return path.with_name(f"{path.stem}.failed{path.suffix}")
