"""Rows of a sheet of an Excel workbook (.xlsx).

Needs openpyxl, the extra ``excel``.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from typing import IO, Any
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from dub_uplink._cli.io.text_file import BadFile
from dub_uplink._cli.reading.record import Record

_BROKEN = (zipfile.BadZipFile, InvalidFileException, ParseError, KeyError, ValueError, OSError)


class Sheet:
    """A sheet of an open file; ``others`` are the names of the workbook's other sheets.

    Args:
        file: an open file.
        name: the name of the sheet; the first one by default.

    Raises:
        BadFile: it is not a workbook, or has no such sheet.
    """

    def __init__(self, file: IO[bytes], name: str | None) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what it does not read, such as validation rules
                workbook: Any = openpyxl.load_workbook(file, read_only=True, data_only=True)
        except _BROKEN as error:
            raise BadFile(f"it cannot be read as an Excel workbook: {error}.") from None
        names = [sheet.title for sheet in workbook.worksheets]
        if not names or (name is not None and name not in names):
            raise BadFile(f"there is no sheet {name!r}; there are {', '.join(map(repr, names))}.")
        self.name: str = names[0] if name is None else name
        self.others = [other for other in names if other != self.name]
        self._sheet = workbook[self.name]

    def records(self) -> Iterator[Record]:
        """Generate each row that has a cell that is not blank."""
        self._sheet.reset_dimensions()  # some programs write wrong ones
        try:
            for number, cells in enumerate(self._sheet.iter_rows(values_only=True), 1):
                if any(cell is not None and str(cell).strip() for cell in cells):
                    yield Record(number, list(cells))
        except _BROKEN as error:
            raise BadFile(f"it cannot be read as an Excel workbook: {error}.") from None
