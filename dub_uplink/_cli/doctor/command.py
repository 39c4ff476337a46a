"""Check the installation, the server and the API key: ``dub-uplink doctor``.

Each check yields findings: the lines of the report. The report contains no secrets, because users
paste it into bug reports.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import click
import requests

from dub_uplink import Dub
from dub_uplink._cli.connection import collect_warnings, read_token_file
from dub_uplink._cli.doctor.installation import (
    Finding,
    check_environment,
    check_packages,
    find_url_credentials,
    hide_credentials,
    redact_secrets,
)
from dub_uplink._cli.failures import ExitCode, Failure
from dub_uplink._cli.io.text import make_printable

EXAMPLES = """\b
Examples:
  dub-uplink doctor
  dub-uplink doctor --json
  dub-uplink doctor --server-url http://127.0.0.1:8000 --token-file key.txt

\b
Exit codes (if several checks fail, the highest of their codes):
  0  all checks passed
  1  a problem of this machine, such as a missing package or a wrong clock
  2  a problem of the command line
  3  a problem of the API key
  5  a problem of the network or the server
"""


@click.command(
    short_help="Check the installation, the server and the API key.",
    help="Report what is installed, whether the server can be reached, and whether the API key"
    " works. The report contains no secret, so it can be pasted into a bug report. The command"
    " reads one customer and changes nothing.",
    epilog=EXAMPLES,
)
@click.option(
    "--token-file",
    type=click.Path(allow_dash=True),
    metavar="FILE",
    help="Read the API key from FILE; - is the standard input.  [default: the environment"
    " variable DUB_API_KEY]",
)
@click.option(
    "--server-url",
    metavar="URL",
    help="The URL of the server.  [default: the environment variable DUB_SERVER_URL; if it is not"
    " set, https://api.dub.co]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, 600, min_open=True),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="The time limit of all checks together, in seconds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def doctor(
    *, token_file: str | None, server_url: str | None, timeout: float, as_json: bool
) -> None:
    """Run all checks, then print the report."""
    secrets = [os.environ.get("DUB_API_KEY", "").strip(), *find_url_credentials(os.environ)]
    findings = [*check_packages(), *check_environment(os.environ)]
    findings += _check_server(token_file, server_url, timeout, secrets)
    sections = list(dict.fromkeys(finding.section for finding in findings))
    report = [
        finding._replace(value=_redact(finding.value, secrets), hint=_redact(finding.hint, secrets))
        for finding in sorted(findings, key=lambda finding: sections.index(finding.section))
    ]
    click.echo(_format_json(report) if as_json else _format_text(report))
    raise click.exceptions.Exit(max(finding.code for finding in report))


def _check_server(
    token_file: str | None, server_url: str | None, timeout: float, secrets: list[str]
) -> Iterator[Finding]:
    """Yield the findings on the server and the API key. Add the API key to ``secrets``."""
    from dub_uplink._cli.doctor import server  # noqa: PLC0415 - slow to import

    deadline = server.Deadline(timeout)
    try:
        url, warning = _normalize_url(server_url)
    except ValueError as error:
        hint = "correct --server-url or DUB_SERVER_URL"
        yield Finding("Server", "URL", str(error), ExitCode.USAGE, hint)
        return
    yield Finding("Server", "URL", hide_credentials(url), hint=warning)
    is_reachable = True
    for finding in server.check_connection(url, deadline):
        is_reachable = is_reachable and finding.code == ExitCode.DONE
        yield finding
    recorder = server.ResponseRecorder()
    client = None
    try:
        client = _make_client(token_file, url, recorder.session, secrets)
    except (Failure, ValueError) as error:
        problem = error.message if isinstance(error, Failure) else f"cannot be used: {error}"
        hint = "set DUB_API_KEY, or give --token-file FILE"
        yield Finding("API key", "key", problem, ExitCode.AUTH, hint)
    if client is not None and is_reachable:
        with client:
            yield from server.check_api(client, deadline)
        if recorder.has_response:
            yield recorder.check_clock()


def _normalize_url(server_url: str | None) -> tuple[str, str]:
    """Return the normalized URL of the server, and the client's warning about the URL.

    Raises:
        ValueError: The URL is invalid.
    """
    with collect_warnings() as caught, Dub("dub_none", server_url=server_url) as client:
        return str(client.customers.session.base_url), "".join(str(w.message) for w in caught)


def _make_client(
    token_file: str | None, url: str, session: requests.Session, secrets: list[str]
) -> Dub:
    """Create a client without retries, and add its API key to ``secrets``.

    Raises:
        Failure: There is no API key, or its file cannot be read.
        ValueError: The API key is malformed.
    """
    token = read_token_file(token_file) if token_file else os.environ.get("DUB_API_KEY", "").strip()
    if not token:
        raise Failure("not set")
    secrets.append(token)
    with collect_warnings():  # the finding "URL" already shows the warnings
        return Dub(token, server_url=url, client=session, retry_config=None)


def _redact(text: str, secrets: list[str]) -> str:
    return make_printable(redact_secrets(text, secrets))


def _format_text(report: list[Finding]) -> str:
    """Format the report as text. Each hint is below its line."""
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
    failed = sum(1 for finding in report if finding.code)
    summary = {0: "All checks passed.", 1: "1 check failed, marked with !."}
    return "\n".join([*lines, "", summary.get(failed, f"{failed} checks failed, marked with !.")])


def _format_json(report: list[Finding]) -> str:
    findings = []
    for finding in report:
        fields = finding._asdict()
        fields["ok"] = not fields.pop("code")
        findings.append(fields)
    is_ok = all(fields["ok"] for fields in findings)
    return json.dumps({"ok": is_ok, "findings": findings}, indent=2)
