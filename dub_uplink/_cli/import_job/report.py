"""Show the outcome of an import, and the command to run next."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click

from dub_uplink import RateLimit
from dub_uplink._cli.import_job.job import OnConflict
from dub_uplink._cli.import_job.journal import Journal, Outcome
from dub_uplink._cli.import_job.preview import format_row_count
from dub_uplink._cli.io.text import make_printable
from dub_uplink._cli.transfer_options import STORAGE_META_KEY

#: At most this number of reasons is shown.
_MAX_REASONS = 5


def show_counts(journal: Journal) -> None:
    """Show the number of rows by outcome."""
    counts = journal.count_outcomes()
    remaining_rows = journal.rows - sum(counts.values())
    remainder = f", {remaining_rows:,} remaining" if remaining_rows else ""
    click.echo(f"{format_row_count(journal.rows)}: {format_counts(counts)}{remainder}")


def format_counts(counts: Mapping[Outcome, int]) -> str:
    """Format the number of rows by outcome."""
    return ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())


def show_reasons(journal: Journal) -> list[tuple[str, int]]:
    """Show the most frequent reasons of failed rows. Return all reasons with their counts."""
    failures = journal.count_failure_reasons()
    _show_most_frequent(failures, "failed")
    return failures


def show_unresolved(reasons: Counter[str], retry_after: float) -> None:
    """Show why rows had no usable response, and how long Dub requested to wait.

    Args:
        reasons: the number of rows for each reason.
        retry_after: the requested wait in seconds; 0 if Dub requested no wait.
    """
    _show_most_frequent(reasons.most_common(), "had no usable response")
    if retry_after:
        click.echo(f"Dub requested a wait of {retry_after:,.0f} s.", err=True)


def _show_most_frequent(reasons: list[tuple[str, int]], outcome: str) -> None:
    for reason, count in reasons[:_MAX_REASONS]:
        click.echo(make_printable(f"{format_row_count(count)} {outcome}: {reason}"), err=True)
    if len(reasons) > _MAX_REASONS:
        remaining = len(reasons) - _MAX_REASONS
        plural = "" if remaining == 1 else "s"
        click.echo(f"and {remaining:,} more reason{plural}", err=True)


def show_failures(
    journal: Journal, failed_path: Path, on_conflict: OnConflict, *, write_error: str = ""
) -> bool:
    """Show why rows failed, and what to run next.

    Args:
        journal: the journal of the import.
        failed_path: the path of the failed-rows file.
        on_conflict: what was done with rows whose customer exists.
        write_error: why the failed-rows file could not be written; empty if it was written.

    Returns:
        Whether rows failed.
    """
    failures = show_reasons(journal)
    if not failures:
        return False
    if write_error:
        click.echo(
            f"{failed_path} cannot be written ({write_error}). Remove the cause, then run the same"
            " command again. It will write the file and send nothing.",
            err=True,
        )
        return True
    click.echo(f"The failed rows are in {failed_path}. Correct them there, then run:", err=True)
    click.echo(f"  {_format_command(failed_path)}", err=True)
    if on_conflict == "fail" and any(reason.startswith("409 ") for reason, _ in failures):
        click.echo("To update the customers whose external_id exists, run:", err=True)
        click.echo(f"  {_format_command(failed_path, on_conflict='upsert')}", err=True)
    return True


#: The options that the next command repeats. Options that describe the imported file are omitted.
_REPEATED_OPTIONS = {
    "on_conflict",
    "workers",
    "journal_path",
    "rate_limit",
    "quiet",
    "yes",
    "exact",
}
_REPEATED_OPTIONS |= {
    "token_file",
    "server_url",
    "timeout",
    "retries",
    "verbose",
    "rate_limit_storage",
}


def _format_command(path: Path, **changed_options: str) -> str:
    """Return the command that imports ``path`` with the options of the running command."""
    context = click.get_current_context()
    options: list[str] = []
    for param in context.command.params:
        name = param.name or ""
        is_given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if name not in changed_options and not (is_given and name in _REPEATED_OPTIONS):
            continue
        value = changed_options.get(name, context.params.get(name))
        if name == "rate_limit_storage":
            value = _mask_credentials(context.meta[STORAGE_META_KEY])
        if isinstance(value, bool):
            options += (param.opts if value else param.secondary_opts)[-1:]
        elif isinstance(value, RateLimit):
            options += [param.opts[-1], f"{value.limit}/{value.per}"]
        else:
            options += [param.opts[-1], str(value)]
    target = f"./{path}" if str(path).startswith("-") else str(path)
    return shlex.join(["dub-uplink", "customers", "import", *options, target])


def _mask_credentials(url: str) -> str:
    """Replace the user, the password and the query of a URL with asterisks."""
    parts = urlsplit(url)
    _, at_sign, host = parts.netloc.rpartition("@")
    masked = parts._replace(netloc=f"***@{host}" if at_sign else host, query=parts.query and "***")
    return masked.geturl()
