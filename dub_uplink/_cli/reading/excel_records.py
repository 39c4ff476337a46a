"""Read the rows of a sheet of an Excel workbook (.xlsx), with ``openpyxl`` (extra ``excel``)."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator
from typing import IO, Any
from xml.etree.ElementTree import ParseError, iterparse

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from dub_uplink._cli.io.text_file import BadFile
from dub_uplink._cli.reading.record import Record, ZeroPadded

#: An Excel workbook is a zip archive that contains this file.
_CONTENT_TYPES_FILE = "[Content_Types].xml"
#: Matches a number format that shows leading zeros, such as ``00000``.
_ZEROS_PATTERN = re.compile("00+")
_WORKBOOK_ERRORS = (
    zipfile.BadZipFile,
    InvalidFileException,
    ParseError,
    KeyError,
    ValueError,
    OSError,
)


class Sheet:
    """A sheet of an Excel workbook.

    Args:
        file: the open workbook.
        name: the name of the sheet; ``None`` for the first visible sheet.

    Attributes:
        name: the name of the sheet.
        other_sheet_names: the names of all other sheets.

    Raises:
        BadFile: the file is not a workbook, or the workbook has no sheet with this name.
    """

    def __init__(self, file: IO[bytes], name: str | None) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # openpyxl warns about features that it ignores
                workbook: Any = openpyxl.load_workbook(file, read_only=True, data_only=True)
        except _WORKBOOK_ERRORS as error:
            raise _to_bad_file(error) from None
        names = [sheet.title for sheet in workbook.worksheets]
        if not names:
            raise BadFile(
                "the workbook has no worksheet.  Hint: put the customers into a worksheet."
            )
        if name is not None and name not in names:
            raise BadFile(f"there is no sheet {name!r}; choose from {', '.join(map(repr, names))}.")
        visible = [sheet.title for sheet in workbook.worksheets if sheet.sheet_state == "visible"]
        self.name: str = (visible or names)[0] if name is None else name
        self.other_sheet_names = [other for other in names if other != self.name]
        self._workbook = workbook
        self._sheet = workbook[self.name]

    def records(self) -> Iterator[Record]:
        """Yield each row that has a value, or a formula without a stored value."""
        self._sheet.reset_dimensions()  # some programs write wrong sheet dimensions
        try:
            unevaluated_cells, hidden_rows = self._find_unevaluated_and_hidden()
            for number, row in enumerate(self._sheet.iter_rows(), 1):
                cells = [_get_value(cell) for cell in row]
                problem = ""
                if number in unevaluated_cells:
                    problem = (
                        f"contains a formula without a stored value in {unevaluated_cells[number]};"
                        " open the file in a spreadsheet program and save it"
                    )
                if problem or any(cell is not None and str(cell).strip() for cell in cells):
                    note = "is hidden in the workbook" if number in hidden_rows else ""
                    yield Record(number, cells, problem, note)
        except _WORKBOOK_ERRORS as error:
            raise _to_bad_file(error) from None

    def _find_unevaluated_and_hidden(self) -> tuple[dict[int, str], set[int]]:
        """Find unevaluated formulas and hidden rows, which ``openpyxl`` does not report.

        A formula is unevaluated if the workbook does not store its value. ``openpyxl`` reads the
        formula's cell as empty.

        Returns:
            A dictionary and a set. The dictionary maps the number of a row to its first cell with
            an unevaluated formula, such as ``B7``. The set contains the numbers of hidden rows.
        """
        unevaluated_cells: dict[int, str] = {}
        hidden_rows: set[int] = set()
        # These private attributes exist in the read-only worksheet of openpyxl 3.1.
        with self._workbook._archive.open(self._sheet._worksheet_path) as xml:
            row = 0
            for event, element in iterparse(xml, ("start", "end")):
                tag = element.tag.rpartition("}")[2]
                if event == "start":
                    if tag == "row":
                        row = int(element.get("r", row + 1))
                        if element.get("hidden") in ("1", "true"):
                            hidden_rows.add(row)
                elif tag == "c":
                    children = {child.tag.rpartition("}")[2]: child.text for child in element}
                    # If a formula returns empty text, Excel stores the type "str" but no value.
                    has_value = children.get("v") or element.get("t") == "str"
                    if "f" in children and not has_value:
                        unevaluated_cells.setdefault(row, element.get("r", f"row {row}"))
                elif tag == "row":
                    element.clear()
        return unevaluated_cells, hidden_rows


def _get_value(cell: Any) -> Any:
    value = cell.value
    if type(value) is int and value >= 0 and _ZEROS_PATTERN.fullmatch(cell.number_format):
        shown = str(value).zfill(len(cell.number_format))
        return ZeroPadded(value, shown) if shown != str(value) else value
    return value


def _to_bad_file(error: Exception) -> BadFile:
    if _CONTENT_TYPES_FILE in str(error):
        return BadFile(
            "it is a zip archive, or a workbook of another program than Excel.  Hint: unpack it, or"
            " save the workbook as .xlsx."
        )
    return BadFile(
        f"it cannot be read as an Excel workbook: {str(error).rstrip('.')}.  Hint: check that the"
        " file is complete; if it is CSV with another suffix, give --format csv."
    )
