"""File of the rows that failed, with their reasons, which can be corrected and imported."""

from __future__ import annotations

import csv
from pathlib import Path

from dub_uplink._cli.import_job.journal import Journal
from dub_uplink._cli.io.files import OWNER_ONLY, permissions_of, replacing
from dub_uplink._cli.io.records import json_text
from dub_uplink._cli.io.text import escape_formula
from dub_uplink._cli.reading.fields import FIELDS, REASON
from dub_uplink._cli.reading.rows import Rows


def failed_suffix(rows: Rows) -> str:
    """Return how the name of the file ends: lines of JSON for JSON, CSV for tables."""
    return ".failed.jsonl" if rows.recognized["format"] == "json" else ".failed.csv"


def write_failed(path: Path, rows: Rows, journal: Journal) -> None:
    """Write the failed rows as they were sent, under the fields' own names.

    Raises:
        OSError: it cannot be written.
    """
    with replacing(path, mode=permissions_of(path) or OWNER_ONLY) as file:
        failed = (
            {**row.request, REASON: journal.reason(row.number)}
            for row in rows
            if journal.ending(row.number) == "failed"
        )
        if path.suffix == ".jsonl":
            file.writelines(json_text(row) + "\n" for row in failed)
            return
        columns = [*(name for name in FIELDS if name in rows.columns.values()), REASON]
        file.write("\ufeff")  # Excel takes UTF-8 for another encoding without it
        # Quoted throughout, since not every Python quotes a line end of each sort by itself.
        writer = csv.writer(
            file,
            delimiter=rows.recognized.get("delimiter", ","),
            lineterminator="\n",
            quoting=csv.QUOTE_ALL,
        )
        writer.writerow(columns)
        writer.writerows([escape_formula(row.get(name)) for name in columns] for row in failed)
