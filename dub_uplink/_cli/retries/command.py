"""Show the attempts and waits of a call that always fails: ``dub-uplink retries``."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator

import click

from dub_uplink._cli.retries.timeline import (
    Timeline,
    TimelineAttempt,
    compute_timeline,
    format_seconds,
)
from dub_uplink.utils import BackoffStrategy, RetryConfig

EXAMPLES = """\b
Examples:
  dub-uplink retries
  dub-uplink retries --retry-after 20
  dub-uplink retries --max-elapsed-time 10000 --attempt-seconds 2
"""

_DEFAULT_BACKOFF = BackoffStrategy()
_MAX_ROWS = 24
_ROW_FORMAT = "{:>7}   {:>10}   {:>24}"


@click.command(
    short_help="Show when a call would be retried.",
    help="Show the attempts and waits of a call whose attempts all fail, and why the call ends."
    " No request is sent. Each wait is random within a range. The start times are computed with the"
    " middle of each range.",
    epilog=EXAMPLES,
)
@click.option(
    "--initial-interval",
    type=int,
    metavar="MS",
    default=_DEFAULT_BACKOFF.initial_interval,
    show_default=True,
    help="The interval before the first retry, in milliseconds. The wait is random, between half of"
    " the interval and the whole interval.",
)
@click.option(
    "--max-interval",
    type=int,
    metavar="MS",
    default=_DEFAULT_BACKOFF.max_interval,
    show_default=True,
    help="The longest interval before any retry, in milliseconds.",
)
@click.option(
    "--exponent",
    type=float,
    metavar="N",
    default=_DEFAULT_BACKOFF.exponent,
    show_default=True,
    help="Multiply the interval by N after each retry, up to --max-interval.",
)
@click.option(
    "--max-elapsed-time",
    type=int,
    metavar="MS",
    default=_DEFAULT_BACKOFF.max_elapsed_time,
    show_default=True,
    help="The time limit of the call with all attempts and waits, in milliseconds.",
)
@click.option(
    "--retry-after",
    metavar="VALUE",
    help="The Retry-After header of each response: seconds, an HTTP date or a Unix time.  [default:"
    " no header]",
)
@click.option(
    "--status",
    type=click.IntRange(400, 599),
    default=503,
    show_default=True,
    help="The HTTP status of each response.",
)
@click.option(
    "--attempt-seconds",
    type=float,
    metavar="SECONDS",
    default=0.2,
    show_default=True,
    help="The duration of each attempt, in seconds.",
)
def retries(
    *,
    initial_interval: int,
    max_interval: int,
    exponent: float,
    max_elapsed_time: int,
    retry_after: str | None,
    status: int,
    attempt_seconds: float,
) -> None:
    """Print the timeline of a retry policy as a table."""
    try:
        strategy = BackoffStrategy(initial_interval, max_interval, exponent, max_elapsed_time)
        timeline = compute_timeline(
            RetryConfig("backoff", strategy),
            attempt_seconds=attempt_seconds,
            status=status,
            retry_after=retry_after,
        )
    except ValueError as error:
        raise click.UsageError(_with_option_names(str(error))) from error
    arguments = f"{initial_interval}, {max_interval}, {exponent:g}, {max_elapsed_time}"
    click.echo(f'RetryConfig("backoff", BackoffStrategy({arguments}), True)')
    click.echo(f"Each attempt gets the status {status} after {attempt_seconds:g} s.\n")
    click.echo("\n".join(_format_table(timeline)))
    width = max(shutil.get_terminal_size().columns, 40)
    click.echo("\n" + textwrap.fill(timeline.summary(), width))


def _format_table(timeline: Timeline) -> Iterator[str]:
    """Yield the lines of a table. A long timeline is shown without its middle."""
    rows: list[tuple[int, TimelineAttempt]] = list(enumerate(timeline.attempts, 1))
    yield _ROW_FORMAT.format("attempt", "starts at", "waits after it")
    is_too_long = len(rows) > _MAX_ROWS
    for number, attempt in rows[: _MAX_ROWS - 2] if is_too_long else rows:
        yield _format_row(number, attempt)
    if is_too_long:
        yield _ROW_FORMAT.format("...", "", "").rstrip()
        yield _format_row(*rows[-1])


def _format_row(number: int, attempt: TimelineAttempt) -> str:
    wait = ""
    if attempt.shortest_wait is not None and attempt.longest_wait is not None:
        bounds = (attempt.shortest_wait, attempt.longest_wait)
        wait = " to ".join(map(format_seconds, bounds))
    return _ROW_FORMAT.format(number, format_seconds(attempt.started), wait).rstrip()


def _with_option_names(message: str) -> str:
    """Replace argument names in a message by option names."""
    for name in ("initial_interval", "max_interval", "max_elapsed_time", "attempt_seconds"):
        message = message.replace(name, f"--{name.replace('_', '-')}")
    return message.replace("exponent", "--exponent", 1)
