"""Write the failed rows and their reasons to a file that can be corrected and imported."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from dub_uplink._cli.import_job.journal import Journal
from dub_uplink._cli.import_job.validation import get_spreadsheet_delimiter
from dub_uplink._cli.io.files import UniqueFile
from dub_uplink._cli.io.records import format_json
from dub_uplink._cli.io.text import escape_formula
from dub_uplink._cli.reading.fields import FIELDS, REASON_COLUMN
from dub_uplink._cli.reading.rows import Rows


def get_failed_suffix(rows: Rows) -> str:
    """Return the suffix of the failed-rows file: JSONL for JSON, CSV for CSV and Excel."""
    return ".failed.jsonl" if rows.recognized["format"] == "json" else ".failed.csv"


def write_failed_rows(path: Path, rows: Rows, journal: Journal) -> Path:
    """Write the failed requests and their reasons. The columns have the names of the fields.

    Returns:
        The path of the written file: ``path``, or ``path`` with a number if a file exists there.

    Raises:
        OSError: the file cannot be written.
    """
    failed_file = UniqueFile(path)
    with failed_file as file:
        failed_records = (
            {**row.request, REASON_COLUMN: journal.get_reason(row.number)}
            for row in itertools.takewhile(lambda row: row.number < journal.sent_limit, rows)
            if journal.get_outcome(row.number) == "failed"
        )
        if path.suffix == ".jsonl":
            file.writelines(format_json(row) + "\n" for row in failed_records)
        else:
            _write_table(file, rows, failed_records)
    return failed_file.path


def _write_table(file: IO[str], rows: Rows, failed_records: Iterator[dict[str, Any]]) -> None:
    columns = [*(name for name in FIELDS if name in rows.columns.values()), REASON_COLUMN]
    file.write("\ufeff")  # Excel detects UTF-8 by this byte order mark
    # Quote all cells, because some versions of Python do not quote a cell that contains a CR.
    writer = csv.writer(
        file,
        delimiter=get_spreadsheet_delimiter(rows),
        lineterminator="\n",
        quoting=csv.QUOTE_ALL,
    )
    writer.writerow(columns)
    writer.writerows([escape_formula(row.get(name)) for name in columns] for row in failed_records)
