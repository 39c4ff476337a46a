"""Rows of a sheet of an Excel workbook (.xlsx).

Needs openpyxl, the extra ``excel``.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from typing import IO, Any
from xml.etree.ElementTree import ParseError, iterparse

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from dub_uplink._cli.io.text_file import BadFile
from dub_uplink._cli.reading.record import Record

_WORKBOOK = "[Content_Types].xml"
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
            raise _broken(error) from None
        names = [sheet.title for sheet in workbook.worksheets]
        if not names or (name is not None and name not in names):
            raise BadFile(f"there is no sheet {name!r}; there are {', '.join(map(repr, names))}.")
        visible = [sheet.title for sheet in workbook.worksheets if sheet.sheet_state == "visible"]
        self.name: str = (visible or names)[0] if name is None else name
        self.others = [other for other in names if other != self.name]
        self._workbook = workbook
        self._sheet = workbook[self.name]

    def records(self) -> Iterator[Record]:
        """Generate each row that has a cell that is not blank."""
        self._sheet.reset_dimensions()  # some programs write wrong ones
        try:
            without_value, hidden = self._inspect()
            for number, cells in enumerate(self._sheet.iter_rows(values_only=True), 1):
                problem = ""
                if number in without_value:
                    problem = (
                        f"holds a formula without a stored value in {without_value[number]}; open"
                        " the file in a spreadsheet program and save it there"
                    )
                if problem or any(cell is not None and str(cell).strip() for cell in cells):
                    note = "is hidden in the workbook" if number in hidden else ""
                    yield Record(number, list(cells), problem, note)
        except _BROKEN as error:
            raise _broken(error) from None

    def _inspect(self) -> tuple[dict[int, str], set[int]]:
        """Return a cell by row that has a formula and no value, and the rows that are hidden.

        openpyxl shows neither: a formula without a value is an empty cell, as one of empty text is.
        """
        without_value: dict[int, str] = {}
        hidden: set[int] = set()
        # The private names are those of openpyxl 3.1's read-only worksheet.
        with self._workbook._archive.open(self._sheet._worksheet_path) as xml:
            row = 0
            for event, element in iterparse(xml, ("start", "end")):
                tag = element.tag.rpartition("}")[2]
                if event == "start":
                    if tag == "row":
                        row = int(element.get("r", row + 1))
                        if element.get("hidden") in ("1", "true"):
                            hidden.add(row)
                elif tag == "c":
                    children = {child.tag.rpartition("}")[2]: child.text for child in element}
                    # Excel stores an empty text with this type.
                    has_value = children.get("v") or element.get("t") == "str"
                    if "f" in children and not has_value:
                        without_value.setdefault(row, element.get("r", f"row {row}"))
                elif tag == "row":
                    element.clear()
        return without_value, hidden


def _broken(error: Exception) -> BadFile:
    if _WORKBOOK in str(error):
        return BadFile("it is a zip archive, and not a workbook.  Hint: unpack it.")
    return BadFile(
        f"it cannot be read as an Excel workbook: {str(error).rstrip('.')}.  Hint: is the file"
        " complete? If it is CSV with another name, give --format csv."
    )
