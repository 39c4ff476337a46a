"""What an import did, and which command to run next."""

from __future__ import annotations

import shlex
from pathlib import Path
from urllib.parse import urlsplit

import click

from dub_uplink import RateLimit
from dub_uplink._cli.import_job.job import OnConflict
from dub_uplink._cli.import_job.journal import Journal
from dub_uplink._cli.import_job.preview import count_rows
from dub_uplink._cli.io.text import printable
from dub_uplink._cli.transfer_options import STORAGE_KEY

_REASONS = 5  # that are shown


def show_counts(journal: Journal) -> None:
    """Show how many rows ended in which way."""
    counts = journal.counts()
    left = journal.rows - sum(counts.values())
    parts = [f"{count:,} {ending}" for ending, count in counts.items()]
    parts += [f"{left:,} left"] if left else []
    click.echo(f"{count_rows(journal.rows)}: {', '.join(parts)}")


def show_reasons(journal: Journal) -> list[tuple[str, int]]:
    """Show the most frequent reasons of failed rows; return all with their counts."""
    failures = journal.failures()
    for reason, count in failures[:_REASONS]:
        click.echo(printable(f"{count_rows(count)} failed: {reason}"), err=True)
    if len(failures) > _REASONS:
        click.echo(f"{len(failures) - _REASONS:,} more reasons.", err=True)
    return failures


def show_failures(
    journal: Journal, failed: Path, on_conflict: OnConflict, *, unwritable: str = ""
) -> bool:
    """Show why rows failed, and what to run next.

    Args:
        journal: the journal of the import.
        failed: the file of the failed rows.
        on_conflict: what happened to rows whose customer exists.
        unwritable: why there is no such file.

    Returns:
        Whether rows failed.
    """
    failures = show_reasons(journal)
    if not failures:
        return False
    if unwritable:
        click.echo(
            f"{failed} cannot be written ({unwritable}). Remove the cause, then run the same"
            " command again: it writes the file, and sends nothing.",
            err=True,
        )
        return True
    click.echo(f"The failed rows are in {failed}. Correct them there, then run:", err=True)
    click.echo(f"  {_command(failed)}", err=True)
    if on_conflict == "fail" and any(reason.startswith("409 ") for reason, _ in failures):
        click.echo("To update the customers that exist under an external_id, run:", err=True)
        click.echo(f"  {_command(failed, on_conflict='upsert')}", err=True)
    return True


#: The options that matter to the next import too; others are about the file that was read.
_KEPT = {"on_conflict", "workers", "journal_path", "rate_limit", "quiet", "yes", "exact"}
_KEPT |= {"token_file", "server_url", "timeout", "retries", "verbose", "rate_limit_storage"}


def _command(path: Path, **changed: str) -> str:
    """Return the command that imports a file with the options that this one was given."""
    context = click.get_current_context()
    options: list[str] = []
    for param in context.command.params:
        name = param.name or ""
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if name not in changed and not (given and name in _KEPT):
            continue
        value = changed.get(name, context.params.get(name))
        if name == "rate_limit_storage":
            value = _without_credentials(context.meta[STORAGE_KEY])
        if isinstance(value, bool):
            options += (param.opts if value else param.secondary_opts)[-1:]
        elif isinstance(value, RateLimit):
            options += [param.opts[-1], f"{value.limit}/{value.per}"]
        else:
            options += [param.opts[-1], str(value)]
    target = f"./{path}" if str(path).startswith("-") else str(path)
    return shlex.join(["dub-uplink", "customers", "import", *options, target])


def _without_credentials(url: str) -> str:
    """Return a URL with asterisks for the user, the password and the query, which may hold them."""
    parts = urlsplit(url)
    _, at, host = parts.netloc.rpartition("@")
    masked = parts._replace(netloc=f"***@{host}" if at else host, query=parts.query and "***")
    return masked.geturl()
