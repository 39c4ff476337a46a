"""``dub-uplink retries``: what a retry policy does to one call that keeps failing."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from dub_uplink._cli.failures import Failure
from dub_uplink.utils import BackoffStrategy, RetryConfig

EXAMPLES = """\b
Examples:
  dub-uplink retries
  dub-uplink retries --plot --retry-after 20
  dub-uplink retries --plot --max-elapsed-time 10000 --attempt-seconds 2
  dub-uplink retries --svg retries.svg

From Python: dub_uplink._cli.retries.drawing.plot(RetryConfig(...)).
"""

_DEFAULT = BackoffStrategy()


@click.command(
    short_help="Show when a call would be tried again.",
    help="Show when a call would be tried again, each of whose attempts fails: its attempts, its"
    " waits, and what ends it. Sends nothing. Waits are drawn from the middle of their range.",
    epilog=EXAMPLES,
)
@click.option("--plot", is_flag=True, help="Draw it, instead of a table.")
@click.option(
    "--svg",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw it into this file.",
)
@click.option(
    "--initial-interval",
    type=int,
    metavar="MS",
    default=_DEFAULT.initial_interval,
    show_default=True,
    help="The longest wait after the first attempt.",
)
@click.option(
    "--max-interval",
    type=int,
    metavar="MS",
    default=_DEFAULT.max_interval,
    show_default=True,
    help="The longest wait of all.",
)
@click.option(
    "--exponent",
    type=float,
    metavar="N",
    default=_DEFAULT.exponent,
    show_default=True,
    help="By how much each wait is longer than the one before.",
)
@click.option(
    "--max-elapsed-time",
    type=int,
    metavar="MS",
    default=_DEFAULT.max_elapsed_time,
    show_default=True,
    help="What the whole call may take.",
)
@click.option(
    "--retry-after",
    metavar="VALUE",
    help="The Retry-After of each answer: seconds, a date, or Unix time.",
)
@click.option(
    "--status",
    type=click.IntRange(400, 599),
    default=503,
    show_default=True,
    help="The status of each answer.",
)
@click.option(
    "--attempt-seconds",
    type=float,
    metavar="SECONDS",
    default=0.2,
    show_default=True,
    help="What each attempt takes.",
)
def retries(
    *,
    plot: bool,
    svg: Path | None,
    initial_interval: int,
    max_interval: int,
    exponent: float,
    max_elapsed_time: int,
    retry_after: str | None,
    status: int,
    attempt_seconds: float,
) -> None:
    """Show a policy at work."""
    from dub_uplink._cli.retries import drawing, timeline  # noqa: PLC0415

    console = Console(highlight=False)
    try:
        strategy = BackoffStrategy(initial_interval, max_interval, exponent, max_elapsed_time)
        config = RetryConfig("backoff", strategy)
        found = timeline.timeline(
            config, attempt_seconds=attempt_seconds, status=status, retry_after=retry_after
        )
    except ValueError as error:
        raise click.UsageError(_in_option_names(str(error))) from error
    if svg is not None:
        try:
            svg.write_text(drawing.svg(found), "utf-8", newline="\n")
        except OSError as error:
            raise Failure(f"cannot write {svg}: {error.strerror}.") from error
        click.echo(f"Drawn into {svg}.")
        return
    written = f"{initial_interval}, {max_interval}, {exponent:g}, {max_elapsed_time}"
    click.echo(f'RetryConfig("backoff", BackoffStrategy({written}), True)')
    click.echo(f"Each attempt is answered {status} after {attempt_seconds:g} s.\n")
    if plot:
        ascii_only = not _encodes(console, "".join(drawing.MARKS))
        drawn = drawing.draw(found, width=console.width, ascii_only=ascii_only)
        text = Text(drawn)
        for mark, style in zip(drawing.MARKS, ("cyan", "dim", "yellow", "red"), strict=True):
            text.highlight_regex(f"{mark}+", style)
        console.print(text, no_wrap=True, soft_wrap=True)
    else:
        click.echo(drawing.table(found))
    click.echo("\n" + textwrap.fill(drawing.summary(found), max(console.width, 40)))


def _encodes(console: Console, text: str) -> bool:
    try:
        text.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _in_option_names(message: str) -> str:
    """The message of a ``ValueError`` with the names of options in place of those of arguments."""
    for name in ("initial_interval", "max_interval", "max_elapsed_time", "attempt_seconds"):
        message = message.replace(name, f"--{name.replace('_', '-')}")
    return message.replace("exponent", "--exponent", 1)
