"""Test the exit code and the message with a hint of each failure."""

from __future__ import annotations

import json
import socket
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from dub_uplink._cli.commands import cli
from dub_uplink._cli.connection import Connection, collect_warnings, connection_options
from dub_uplink._cli.failures import Failure
from dub_uplink._cli.lazy_group import RootGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from dub_uplink.testing import FakeDub

    Invoke = Callable[..., Result]
    Run = Callable[..., subprocess.CompletedProcess[str]]
    Live = tuple[FakeDub, dict[str, str]]

#: The message of Dub starts so if the key does not have the format of an API key.
NO_WORKSPACE = "Workspace ID not found. Did you forget to include a `workspaceId` query parameter?"
LIST = ("customers", "list", "--no-retries")


def error(code: str) -> str:
    return json.dumps({"error": {"code": code, "message": "Text\x1b of\nDub.", "doc_url": None}})


@pytest.mark.parametrize(
    ("status", "body", "exit_code", "expected"),
    [
        (400, error("bad_request"), 1, "400 bad_request: Text"),
        (401, error("unauthorized"), 3, "Hint: check the API key in --token-file or DUB_API_KEY."),
        (403, error("forbidden"), 3, "Hint: the API key's role or the workspace's plan"),
        (
            403,
            error("exceeded_limit"),
            3,
            "Hint: the workspace has reached a limit of its plan; check the usage in Dub.",
        ),
        (404, error("not_found"), 4, "404 not_found: Text"),
        (
            404,
            json.dumps({"error": {"code": "not_found", "message": NO_WORKSPACE}}),
            3,
            "Hint: check the API key in --token-file or DUB_API_KEY.",
        ),
        (409, error("conflict"), 1, "409 conflict: Text"),
        (422, error("unprocessable_entity"), 1, "422 unprocessable_entity: Text"),
        (429, error("rate_limit_exceeded"), 5, "Hint: try again in"),
        (500, error("internal_server_error"), 5, "Hint: Dub returned a server error"),
        (
            404,
            "<html>nginx</html>",
            5,
            "Hint: check that --server-url (DUB_SERVER_URL) is the URL of Dub's API.",
        ),
        (302, "", 5, "Hint: check that --server-url"),
        (200, "<html>hello</html>", 5, "Hint: check that --server-url"),
        (200, '[{"id": 5}]', 5, "Hint: check that --server-url"),
    ],
)
def test_error_response_is_printed_in_one_line(
    invoke: Invoke, serving: Any, status: int, body: str, exit_code: int, expected: str
) -> None:
    done = invoke(*LIST, env={"DUB_SERVER_URL": serving(status, body).url})
    assert done.exit_code == exit_code
    assert done.output.startswith("Error: ")
    assert expected in done.output
    assert done.output.count("\n") == 1
    assert "\x1b" not in done.output


def test_rate_limit_error_shows_the_wait(invoke: Invoke, serving: Any) -> None:
    server = serving(429, error("rate_limit_exceeded"), {"Retry-After": "17"})
    done = invoke(*LIST, env={"DUB_SERVER_URL": server.url})
    assert done.output.endswith("Hint: try again in 17 s.\n")


def test_missing_response_is_printed_as_a_network_error(invoke: Invoke, serving: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = invoke(*LIST, "--server-url", url)
    assert done.exit_code == 5
    assert "Hint: check the network and --server-url (DUB_SERVER_URL)." in done.output
    silent = serving(raw=b"", then="hold")
    done = invoke(*LIST, "--timeout", "1", "--server-url", silent.url)
    assert done.exit_code == 5
    assert "no complete response within 1 s  Hint: set a longer limit" in done.output


def test_error_escapes_control_characters(invoke: Invoke) -> None:
    done = invoke("customers", "list", "--token-file", "no\x1b[31m\nwhere")
    assert (done.exit_code, done.output.count("\n")) == (3, 1)
    assert "cannot read the API key from no [31m where: " in done.output


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "does not contain an API key: it is empty."),
        (b"\n \n", "does not contain an API key: it is empty."),
        (
            b"dub_secret1\ndub_secret2\n",
            "does not contain an API key: it has 2 lines instead of 1.",
        ),
        (b"dub_\xff", "does not contain an API key: it is not UTF-8 text."),
        (b"dub_secret \x07x", "the token contains a space, a control or a non-ASCII character"),
        (None, "cannot read the API key from {path}: "),
    ],
)
def test_invalid_token_file_is_not_shown(
    invoke: Invoke, live: Live, tmp_path: Path, content: bytes | None, expected: str
) -> None:
    path = tmp_path / "key"
    path.mkdir() if content is None else path.write_bytes(content)
    done = invoke("customers", "list", "--token-file", str(path))
    assert (done.exit_code, live[0].requests, done.output.count("\n")) == (3, [], 1)
    assert expected.format(path=path) in done.output
    assert "secret" not in done.output


@pytest.mark.parametrize("content", ["dub_test", "dub_test\n", "\ufeffdub_test\r\n\n"])
def test_token_file_overrides_the_environment(
    invoke: Invoke, live: Live, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "key"
    path.write_text(content, encoding="utf-8")
    wrong = {"DUB_API_KEY": "dub_wrong"}
    assert invoke("customers", "list", "--token-file", str(path), env=wrong).exit_code == 0
    done = invoke("customers", "list", "--token-file", "-", input=content, env=wrong)
    assert (done.exit_code, len(live[0].requests)) == (0, 2)


def test_closed_standard_streams_are_not_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    monkeypatch.setattr("sys.stderr", None)
    for connection, message in (
        (Connection(), "no API key"),
        (Connection(token_file="-"), "the standard input does not contain an API key: it is empty"),
    ):
        with pytest.raises(Failure, match=message):
            connection.open()


def test_missing_api_key_error_has_a_hint(invoke: Invoke, live: Live) -> None:
    done = invoke("customers", "list", env={"DUB_API_KEY": None})
    assert (done.exit_code, live[0].requests) == (3, [])
    assert done.output == (
        "Error: there is no API key.  Hint: set DUB_API_KEY, or give --token-file FILE.\n"
    )


@pytest.mark.parametrize("url", ["ftp://example.com", "", "http://a:b@example.com", "http://["])
def test_invalid_server_url_option_exits_with_usage_error(invoke: Invoke, url: str) -> None:
    done = invoke("customers", "list", "--server-url", url)
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert "--server-url" in done.output
    assert "token=" not in done.output


def test_connection_options_are_passed_to_the_client(
    invoke: Invoke, run: Run, serving: Any
) -> None:
    server = serving(raw=[b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"])
    # A separate process, because the rate limits of other tests may still log in this one.
    listed = run(
        *("customers", "list", "--server-url", server.url, "-v"), env={"DUB_API_KEY": "dub_test"}
    )
    assert (listed.returncode, listed.stdout) == (0, "")
    first, again, second = listed.stderr.splitlines()
    assert first.startswith("GET /customers: ")
    assert "attempt 1; retrying in" in again
    assert second.startswith("GET /customers: 200, attempt 2, ")
    server = serving(503, "")
    done = invoke("customers", "list", "--server-url", server.url, "--no-retries")
    assert (done.exit_code, len(server.received)) == (5, 1)
    assert "DUB" not in done.output.replace("DUB_SERVER_URL", "")


def test_collect_warnings_returns_only_user_warnings() -> None:
    with collect_warnings() as collected:
        warnings.warn("unclosed <socket.socket fd=7>", ResourceWarning, stacklevel=2)
        warnings.warn("soon to be gone", DeprecationWarning, stacklevel=2)
        warnings.warn("the token goes unencrypted", stacklevel=2)
        warnings.warn("the token goes unencrypted", stacklevel=2)
    assert [str(warning.message) for warning in collected] == ["the token goes unencrypted"] * 2


def test_unencrypted_server_url_prints_a_one_line_warning() -> None:
    @click.command()
    @connection_options
    def command(connection: Connection) -> None:
        connection.open().close()

    done = CliRunner().invoke(
        command, ["--server-url", "http://example.com"], env={"DUB_API_KEY": "dub_x"}
    )
    assert (done.exit_code, done.output.count("\n")) == (0, 1)
    assert done.output.startswith("Warning: the token goes unencrypted over http to example.com")


@pytest.mark.parametrize(
    ("raised", "exit_code", "expected"),
    [
        (KeyboardInterrupt(), 130, "\n"),
        (click.Abort(), 130, "\n"),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
        (OSError(28, "No space left on device"), 1, "cannot write the output: No space left"),
        (OSError(13, "Permission denied", "a.csv"), 1, "a.csv: Permission denied."),
        (ValueError("id must not be ''"), 2, "Error: id must not be ''"),
    ],
)
def test_expected_exceptions_have_no_traceback(
    raised: BaseException, exit_code: int, expected: str
) -> None:
    @click.group(cls=RootGroup)
    def root() -> None:
        pass

    @root.command()
    def fail() -> None:
        raise raised

    done = CliRunner().invoke(root, ["fail"])
    assert (done.exit_code, type(done.exception)) == (exit_code, SystemExit)
    assert expected in done.output
    assert done.output.count("\n") <= 1


def test_ctrl_c_while_the_command_closes_exits_with_130() -> None:
    @click.group(cls=RootGroup)
    def root() -> None:
        pass

    @root.command()
    @click.pass_context
    def run(ctx: click.Context) -> None:
        def interrupt() -> None:
            raise KeyboardInterrupt

        ctx.find_root().call_on_close(interrupt)

    done = CliRunner().invoke(root, ["run"])
    assert (done.exit_code, done.output.strip()) == (130, "")


def test_unexpected_exception_shows_the_traceback() -> None:
    @click.group(cls=RootGroup)
    def root() -> None:
        pass

    @root.command()
    def fail() -> None:
        raise AttributeError("ours")

    assert isinstance(CliRunner().invoke(root, ["fail"]).exception, AttributeError)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["custmers"], "Did you mean 'customers'?"),
        (["customers", "lst"], "Did you mean 'list'?"),
        (["customers", "zzz"], "Choose from: list, get, count, create, update, delete"),
        (["customers", "get", "x", "--expnd"], "--expand"),
    ],
)
def test_unknown_command_suggests_a_similar_one(arguments: list[str], expected: str) -> None:
    done = CliRunner().invoke(cli, arguments, prog_name="dub-uplink")
    assert done.exit_code == 2
    assert expected in done.output
