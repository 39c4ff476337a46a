"""``dub-uplink doctor``: what is installed, what answers, and what to do about it.

Its report is for pasting into an issue: it holds no secret.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import click
import requests

from dub_uplink import Dub
from dub_uplink._cli.connection import read_token, told_warnings
from dub_uplink._cli.doctor.installation import (
    Finding,
    credentials,
    environment,
    hide_credentials,
    installed,
    scrub,
)
from dub_uplink._cli.failures import ExitCode, Failure
from dub_uplink._cli.io.text import printable

EXAMPLES = """\b
Examples:
  dub-uplink doctor
  dub-uplink doctor --json
  dub-uplink doctor --server-url http://127.0.0.1:8000 --token-file key.txt

Ends with 0 where all is well, with 1 after a trouble on this machine, 2 after one in the command
line, 3 after one of the API key, 5 after one of the network.
"""


@click.command(
    short_help="Say what is installed, and whether the server and the key work.",
    help="Say what is installed, whether the server answers, and whether the API key works, as"
    " text to paste into an issue: it holds no secret. Reads one customer, writes nothing.",
    epilog=EXAMPLES,
)
@click.option(
    "--token-file",
    type=click.Path(allow_dash=True),
    metavar="FILE",
    help="Read the API key from this file.  [default: DUB_API_KEY]",
)
@click.option(
    "--server-url",
    metavar="URL",
    help="The API to talk to.  [default: DUB_SERVER_URL, else https://api.dub.co]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, 600, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="What all of it may take.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def doctor(
    *, token_file: str | None, server_url: str | None, timeout: float, as_json: bool
) -> None:
    """Look at everything, then print it."""
    secrets = [os.environ.get("DUB_API_KEY", "").strip(), *credentials(os.environ)]
    found = [*installed(), *environment(os.environ)]
    found += _online(token_file, server_url, timeout, secrets)
    sections = list(dict.fromkeys(finding.section for finding in found))
    report = [
        finding._replace(value=_safe(finding.value, secrets), hint=_safe(finding.hint, secrets))
        for finding in sorted(found, key=lambda finding: sections.index(finding.section))
    ]
    click.echo(_json(report) if as_json else _text(report))
    raise click.exceptions.Exit(max(finding.code for finding in report))


def _online(
    token_file: str | None, server_url: str | None, timeout: float, secrets: list[str]
) -> Iterator[Finding]:
    """What the network says; ``secrets`` gets the key of a file."""
    from dub_uplink._cli.doctor import server as reach  # noqa: PLC0415 - the help needs none of it

    watch = reach.Watch(timeout)
    try:
        url, warning = _url(server_url)
    except ValueError as error:
        hint = "correct --server-url or DUB_SERVER_URL"
        yield Finding("Server", "URL", str(error), ExitCode.USAGE, hint)
        return
    yield Finding("Server", "URL", hide_credentials(url), hint=warning)
    well = True
    for finding in reach.connection(url, watch):
        well = well and finding.code == ExitCode.DONE
        yield finding
    answers = reach.Answers()
    client = None
    try:
        client = _client(token_file, url, answers.session, secrets)
    except (Failure, ValueError) as error:
        told = error.message if isinstance(error, Failure) else f"cannot be used: {error}"
        hint = "put it in DUB_API_KEY, or give --token-file FILE"
        yield Finding("API key", "key", told, ExitCode.AUTH, hint)
    if client is not None and well:
        with client:
            yield from reach.read(client, watch)
        if answers.any:
            yield answers.clock()


def _url(server_url: str | None) -> tuple[str, str]:
    """The server's URL, as a client would have it, and what it would warn of.

    Raises:
        ValueError: it is none.
    """
    with told_warnings() as caught, Dub("dub_none", server_url=server_url) as client:
        return str(client.customers.session.base_url), "".join(str(w.message) for w in caught)


def _client(token_file: str | None, url: str, session: requests.Session, secrets: list[str]) -> Dub:
    """A client that tries once; ``secrets`` gets its key.

    Raises:
        Failure, ValueError: there is no key, or it cannot be one.
    """
    token = read_token(token_file) if token_file else os.environ.get("DUB_API_KEY", "").strip()
    if not token:
        raise Failure("none is given")
    secrets.append(token)
    with told_warnings():  # the URL's finding has them
        return Dub(token, server_url=url, client=session, retry_config=None)


def _safe(text: str, secrets: list[str]) -> str:
    return printable(scrub(text, secrets))


def _text(report: list[Finding]) -> str:
    """Sections of lines; a trouble is marked, and its hint stands below it."""
    lines: list[str] = []
    section = ""
    width = max(len(finding.name) for finding in report)
    for finding in report:
        if finding.section != section:
            section = finding.section
            lines += ["", section] if lines else [section]
        mark = "!" if finding.code else " "
        lines.append(f"{mark} {finding.name:{width}}  {finding.value}")
        if finding.hint:
            lines.append(f"  {'':{width}}  -> {finding.hint}")
    troubles = sum(1 for finding in report if finding.code)
    told = {0: "All is well.", 1: "1 trouble, marked with !."}
    return "\n".join([*lines, "", told.get(troubles, f"{troubles} troubles, marked with !.")])


def _json(report: list[Finding]) -> str:
    findings = [
        {
            "section": finding.section,
            "name": finding.name,
            "value": finding.value,
            "ok": not finding.code,
            "hint": finding.hint,
        }
        for finding in report
    ]
    ok = all(not finding.code for finding in report)
    return json.dumps({"ok": ok, "findings": findings}, indent=2)
