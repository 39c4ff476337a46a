"""Write customers to a file: ``dub-uplink customers export``."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, NamedTuple

import click

from dub_uplink import Dub, RateLimit
from dub_uplink._cli.connection import Connection, connection_options
from dub_uplink._cli.customers.filters import COUNT_FILTERS, filter_options
from dub_uplink._cli.export.fetching import fetch_batches
from dub_uplink._cli.export.job import (
    WAIT_FOR_EXPORT,
    Format,
    PartError,
    PartFile,
    has_interrupted_export,
    write_stream,
)
from dub_uplink._cli.failures import ExitCode, Failure
from dub_uplink._cli.interrupts import InterruptHandler
from dub_uplink._cli.io.files import OWNER_ONLY, append_suffix, get_permissions, is_locked
from dub_uplink._cli.io.progress import Progress
from dub_uplink._cli.io.records import API_NAMES, list_column_names
from dub_uplink._cli.transfer_options import (
    detect_format,
    get_server_url,
    open_client,
    quiet_option,
    rate_limit_option,
)
from dub_uplink.models import errors
from dub_uplink.models.components import Customer

EXPORT_EXAMPLES = """\b
Examples:
  dub-uplink customers export customers.csv
  dub-uplink customers export --columns externalId,email,country people.csv
  dub-uplink customers export --country GB --sort-order asc british.jsonl
  dub-uplink customers export --resume customers.csv
  dub-uplink customers export --format csv - | gzip > customers.csv.gz
"""


def _parse_mode(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    if re.fullmatch("0?[67][0-7]{2}", text) is None:
        raise click.BadParameter(
            f"{text!r} is not an octal mode that lets the owner read and write; try 640."
        )
    return int(text, 8)


class _ExportOptions(NamedTuple):
    """The options of one export. ``target`` is ``path`` with all symbolic links resolved."""

    path: str
    target: Path
    file_format: Format
    filters: dict[str, Any]
    columns: tuple[str, ...] | None
    resume: bool
    quiet: bool
    mode: int | None


@click.command(
    "export",
    short_help="Write customers to a file.",
    help="Write all customers that match the filters to FILE, each exactly once. If FILE is -,"
    " write to the standard output. The suffix of FILE selects the format, unless --format is"
    " given. 'dub-uplink customers import' can read the CSV and JSONL files.\n\n"
    "FILE is created when the export is complete. Until then, the customers are in FILE.part. If"
    " the export is interrupted, FILE.part remains; continue the export with --resume. Only the"
    " owner can read a new file. A replaced file keeps its permissions.",
    epilog=EXPORT_EXAMPLES,
)
@click.argument("path", metavar="FILE", type=click.Path(allow_dash=True))
@click.option(
    "--format",
    "format_option",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    help="The format of FILE.  [default: from the suffix of FILE; jsonl if FILE is -]",
)
@click.option(
    "--columns",
    "chosen_columns",
    metavar="NAMES",
    help="Write these columns in this order. Give the API's names, separated by commas, such as"
    " id,email. In CSV, --expand adds nested columns such as link.id.  [default: all]",
)
@click.option(
    "--mode",
    metavar="MODE",
    callback=_parse_mode,
    help="Set the permissions of FILE, in octal, such as 640.  [default: 600 for a new file;"
    " unchanged for a replaced file]",
)
@click.option("--resume", is_flag=True, help="Continue the interrupted export in FILE.part.")
@click.option(
    "--force",
    is_flag=True,
    help="Replace FILE if it exists. Without --resume, also discard FILE.part and start over.",
)
@quiet_option
@filter_options
@rate_limit_option
@connection_options
def export_command(
    *,
    connection: Connection,
    path: str,
    format_option: Format | None,
    chosen_columns: str | None,
    mode: int | None,
    resume: bool,
    force: bool,
    quiet: bool,
    filters: dict[str, Any],
    rate_limit: RateLimit | None,
) -> None:
    """Write customers to a file."""
    if Path(path).is_dir():
        raise Failure(f"{path} is a directory; give the path of a file.", ExitCode.USAGE)
    default_format: Format | None = "jsonl" if path == "-" else None
    file_format: Format = detect_format(path, format_option or default_format)
    if file_format == "parquet" and find_spec("pyarrow") is None:
        raise Failure(
            "the format parquet needs pyarrow.",
            ExitCode.USAGE,
            'run  pip install "dub-uplink[parquet]"',
        )
    expanded = bool(filters.get("include_expanded_fields"))
    columns = _parse_columns(chosen_columns, file_format, expanded=expanded)
    target = Path(os.path.realpath(path))
    job = _ExportOptions(path, target, file_format, filters, columns, resume, quiet, mode)
    if path == "-" or _is_device_or_pipe(Path(path)):
        for option, is_given in (
            ("--format parquet", file_format == "parquet"),
            ("--resume", resume),
            ("--mode", mode is not None),
        ):
            if is_given:
                raise click.UsageError(
                    f"{option} cannot be used with {path}; give the path of a regular file."
                )
        _export_to_stream(connection, job, rate_limit)
    else:
        _check_target(target, path, resume=resume, force=force)
        _export_to_file(connection, job, rate_limit)


def _parse_columns(
    chosen_columns: str | None, file_format: Format, *, expanded: bool
) -> tuple[str, ...] | None:
    """Return the columns to write; ``None`` for all fields that the server sends (JSONL only).

    Raises:
        click.UsageError: A column does not exist, or is given twice.
    """
    available = list_column_names(expanded=expanded)
    if file_format != "csv":
        available = tuple(dict.fromkeys(name.partition(".")[0] for name in available))
    if chosen_columns is None:
        return None if file_format == "jsonl" else available
    api_names = API_NAMES[Customer]
    names = [api_names.get(name.strip(), name.strip()) for name in chosen_columns.split(",")]
    for name in names:
        if name in available:
            continue
        needs_expand = not expanded and name in _all_column_names()
        hint = "add --expand" if needs_expand else f"choose from {', '.join(available)}"
        raise click.UsageError(f"--columns: there is no column {name!r}; {hint}.")
    duplicates = [name for name in names if names.count(name) > 1]
    if duplicates:
        raise click.UsageError(f"--columns: {duplicates[0]!r} is given twice; leave one out.")
    return tuple(names)


def _all_column_names() -> set[str]:
    names = list_column_names(expanded=True)
    return {*names, *(name.partition(".")[0] for name in names)}


def _is_device_or_pipe(path: Path) -> bool:
    """Return whether a path is a device or a pipe. The export then has no part file.

    Do not resolve symbolic links in ``path``. For example, /dev/fd/3 can link to ``pipe:[7]``, but
    no file has this path.
    """
    return path.exists() and not path.is_file() and not path.is_dir()


def _check_target(target: Path, path: str, *, resume: bool, force: bool) -> None:
    """Check that the export may create ``target``.

    Raises:
        Failure: The directory does not exist; another export is writing the file; or the file or
            an interrupted export exists, and the options do not say what to do with it.
    """
    if not target.parent.is_dir():
        raise Failure(f"the directory {target.parent} does not exist; create it.", ExitCode.USAGE)
    if is_locked(append_suffix(target, ".part")):
        raise Failure(f"another export is writing {path}.part.", ExitCode.USAGE, WAIT_FOR_EXPORT)
    if has_interrupted_export(target) and not resume and not force:
        raise Failure(
            f"{path}.part contains an interrupted export.",
            ExitCode.USAGE,
            "continue it with --resume, or start over with --force.",
        )
    if target.exists() and not force and not (resume and has_interrupted_export(target)):
        if resume:
            raise Failure(
                f"{path} exists, and no export to it is interrupted.",
                ExitCode.USAGE,
                "replace it with --force.",
            )
        raise Failure(f"{path} exists.", ExitCode.USAGE, "replace it with --force.")


def _export_to_stream(
    connection: Connection, job: _ExportOptions, rate_limit: RateLimit | None
) -> None:
    # If the customers go to stdout, show no bar. Stdout can be the terminal that shows the bar, or
    # a pipe to a program that prints to the same terminal.
    progress = Progress("Exporting", quiet=job.quiet or job.path == "-")
    with (
        open_client(connection, progress, rate_limit) as dub,
        _open_stream(job.path) as file,
        progress,
    ):
        _show_total(progress, dub, job.filters)
        customers = dub.customers.iterate(**job.filters)
        count = write_stream(customers, file, job.file_format, job.columns, progress.update)
        progress.finish(count)


@contextlib.contextmanager
def _open_stream(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdout.buffer
    else:
        with Path(path).open("wb", buffering=2**16) as file:
            yield file


def _export_to_file(
    connection: Connection, job: _ExportOptions, rate_limit: RateLimit | None
) -> None:
    progress = Progress("Exporting", quiet=job.quiet)
    saved_settings = {
        "format": job.file_format,
        "filters": {name: value for name, value in job.filters.items() if name != "page_size"},
        "columns": None if job.columns is None else list(job.columns),
        "server": get_server_url(connection),
    }
    mode = job.mode or get_permissions(job.target) or OWNER_ONLY
    with (
        InterruptHandler() as interrupt,
        open_client(connection, progress, rate_limit, interrupt) as dub,
    ):
        try:
            page_size = job.filters.get("page_size")
            part_file = PartFile(
                job.target, saved_settings, resume=job.resume, mode=mode, page_size=page_size
            )
        except PartError as error:
            raise Failure(f"{error}.", ExitCode.USAGE, error.hint) from None
        with part_file:
            count = _write_part_file(dub, part_file, job, progress, interrupt)
    click.echo(f"{count:,} {'customer' if count == 1 else 'customers'} in {job.path}", err=True)


def _write_part_file(
    dub: Dub,
    part_file: PartFile,
    job: _ExportOptions,
    progress: Progress,
    interrupt: InterruptHandler,
) -> int:
    if part_file.customers:
        plural = "" if part_file.customers == 1 else "s"
        click.echo(f"Continuing after {part_file.customers:,} customer{plural}.", err=True)
    filters = {name: value for name, value in job.filters.items() if name != "page_size"}
    if part_file.page_size is not None:
        filters["page_size"] = part_file.page_size
    customers = dub.customers.iterate(**filters, cursor=part_file.cursor)
    try:
        with progress:
            progress.update(part_file.customers)
            _show_total(progress, dub, job.filters)
            batches = fetch_batches(customers, interrupt.check)
            with contextlib.closing(batches):
                count = part_file.append(batches, job.file_format, job.columns, progress.update)
            progress.finish(count)
            part_file.finish(_make_converter(job, interrupt), interrupt.ignore)
    except (errors.DubError, OSError, KeyboardInterrupt):
        if part_file.customers:
            click.echo(
                f"\n{part_file.customers:,}"
                f" customer{'s are' if part_file.customers > 1 else ' is'} in {job.path}.part;"
                " continue with --resume.",
                err=True,
            )
        raise
    return count


#: The time limit of the request that counts the customers, in milliseconds.
_COUNT_TIMEOUT = 3_000


def _show_total(progress: Progress, dub: Dub, filters: dict[str, Any]) -> None:
    """Show the number of customers to export in the bar. Without a bar, send no request."""
    if not progress.is_visible:
        return
    count_filters = {name: filters[name] for name in COUNT_FILTERS if name in filters}
    # Do not retry, because only the bar needs the number, and Ctrl-C cannot end this call.
    with contextlib.suppress(errors.DubError):
        progress.set_total(
            dub.customers.count(**count_filters, retries=None, timeout_ms=_COUNT_TIMEOUT)
        )


def _make_converter(
    job: _ExportOptions, interrupt: InterruptHandler
) -> Callable[[Path, IO[bytes]], object] | None:
    """Return the function that converts the part file; ``None`` if no conversion is needed."""
    if job.file_format != "parquet" or job.columns is None:
        return None
    from dub_uplink._cli.export.parquet import convert_to_parquet  # noqa: PLC0415 - pyarrow is an extra

    columns = job.columns
    return lambda jsonl_path, file: convert_to_parquet(jsonl_path, file, columns, interrupt.check)
