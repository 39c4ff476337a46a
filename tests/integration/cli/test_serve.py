"""Test ``dub-uplink serve`` with a client of the standard library."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from dub_uplink._cli.commands import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Serve = Callable[..., AbstractContextManager["Server"]]


class Server:
    """A running ``dub-uplink serve``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.stdout = process.stdout
        self.url = ""
        self.greeting = ""
        for line in self.stdout:
            self.greeting += line
            if found := re.search(r"http://\S+$", line.strip()):
                self.url = found[0].removesuffix("/customers")
            if "Ctrl-C" in line:
                return

    def ask(
        self,
        path: str,
        *,
        token: str = "dub_test",
        body: object = None,
        method: str | None = None,
    ) -> tuple[int, Any]:
        """Return the status and the JSON of a response."""
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            method=method,
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def stop(self, with_signal: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Stop the server; return its exit status and its output after the greeting."""
        self.process.send_signal(with_signal)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@pytest.fixture
def serve(environment: dict[str, str], tmp_path: Path) -> Serve:
    """Start a server on a free port with further options."""

    @contextmanager
    def serve(*options: str) -> Iterator[Server]:
        with subprocess.Popen(
            [sys.executable, "-m", "dub_uplink", "serve", "--port", "0", *options],
            cwd=tmp_path,
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Server(process)
            finally:
                process.terminate()
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    process.kill()

    return serve


def test_serve_prints_url_logs_requests_and_stops(serve: Serve) -> None:
    with serve() as server:
        assert re.search(r"http://127\.0\.0\.1:\d+", server.greeting)
        assert server.ask("/customers") == (200, [])
        assert server.ask("/customers/ext_nobody")[0] == 404
        status, out, err = server.stop()
    assert (status, err) == (0, "")
    assert re.search(r"^\d\d:\d\d:\d\d GET /customers 200 ", out, re.MULTILINE)
    assert re.search(r"^\d\d:\d\d:\d\d GET /customers/ext_nobody 404 ", out, re.MULTILINE)
    assert out.endswith("Stopped.\n")


def test_serve_token_seed_and_rate_limit_options_are_applied(serve: Serve) -> None:
    options = ("--token", "dub_mine", "--seed-customers", "7", "--rate-limit", "2")
    with serve(*options) as server:
        assert "7 customers are stored" in server.greeting
        assert f"curl -H 'Authorization: Bearer dub_mine' {server.url}/customers" in server.greeting
        variables = f"export DUB_API_KEY=dub_mine DUB_SERVER_URL={server.url}\n"
        assert variables in server.greeting
        assert server.ask("/customers", token="dub_test")[0] == 401
        responses = [server.ask("/customers", token="dub_mine") for _ in range(3)]
    assert [status for status, _ in responses] == [200, 200, 429]
    assert len(responses[0][1]) == 7


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM], ids=["int", "term"])
def test_serve_database_keeps_customers_after_the_server_stops(
    serve: Serve, tmp_path: Path, with_signal: signal.Signals
) -> None:
    body = {"externalId": "user_1", "country": "GB"}
    with serve("--database", "customers.sqlite3") as server:
        assert server.ask("/customers", body=body)[0] == 201
        assert server.stop(with_signal)[0] == 0
    assert (tmp_path / "customers.sqlite3").exists()
    with serve("--database", "customers.sqlite3") as server:
        assert "1 customer is stored" in server.greeting
        assert server.ask("/customers/ext_user_1")[0] == 200


def test_serve_continues_after_the_output_pipe_is_closed(serve: Serve) -> None:
    with serve() as server:
        server.stdout.close()
        assert [server.ask("/customers")[0] for _ in range(3)] == [200, 200, 200]
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=20) == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


def test_serve_continues_while_nobody_reads_its_output(serve: Serve) -> None:
    with serve() as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=20) as connection:
            for _ in range(4000):  # the log lines need 140 kB, and a pipe holds 64 kB
                connection.sendall(b"GET /customers HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(65_536).startswith(b"HTTP/1.1 401 ")
        assert server.ask("/_fake/state")[1]["requests"]["kept"] == 4000
        assert _shut_down(server, *JSON_TYPE)[-4:] == "200 "
        assert server.process.wait(timeout=20) == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


def test_serve_logs_every_request_to_a_reader(serve: Serve) -> None:
    with serve() as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=20) as connection:
            for number in range(1000):
                connection.sendall(b"GET /customers/%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
                assert connection.recv(65_536)
        _, out, _ = server.stop()
    assert re.findall(r"GET /customers/(\d+) 401", out) == [str(number) for number in range(1000)]


def test_serve_quiet_prints_no_line_for_a_request(serve: Serve) -> None:
    with serve("--quiet") as server:
        assert server.ask("/customers") == (200, [])
        assert server.ask("/_fake/reset", body={})[0] == 200
        assert server.stop() == (0, "Stopped.\n", "")


def test_serve_port_in_use_prints_one_line() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(cli, ["serve", "--port", str(port)])
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: cannot serve on 127.0.0.1:{port}: ")
    assert done.output.count("\n") == 1
    assert "choose another port" in done.output
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("host", ["nosuch.invalid", "192.0.2.1"])
def test_serve_invalid_host_prints_a_hint_for_the_host(host: str) -> None:
    done = CliRunner().invoke(cli, ["serve", "--port", "0", "--host", host, "--no-admin"])
    assert done.exit_code == 1
    assert "give --host an address of this machine" in done.output
    assert "port" not in done.output


def test_serve_help_names_the_variable_of_the_admin_token() -> None:
    assert "DUB_FAKE_ADMIN_TOKEN" in CliRunner().invoke(cli, ["serve", "--help"]).output


def test_serve_with_an_empty_token_names_the_option() -> None:
    for name in ("--token", "--admin-token"):
        done = CliRunner().invoke(cli, ["serve", name, ""])
        assert done.exit_code == 2
        assert f"{name} must not be empty" in done.output


def test_serve_admin_token_without_admin_is_rejected(
    serve: Serve, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = CliRunner().invoke(cli, ["serve", "--no-admin", "--admin-token", "s3cret"])
    assert done.exit_code == 2
    assert "--admin-token has no effect with --no-admin" in done.output
    # The variable may be set for all servers on a machine.
    monkeypatch.setitem(environment, "DUB_FAKE_ADMIN_TOKEN", "s3cret")
    with serve("--no-admin") as server:
        assert _admin(server, "s3cret") == 404


def test_serve_invalid_database_prints_one_line(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.write_text("These are notes and not a database. " * 100)
    done = CliRunner().invoke(cli, ["serve", "--port", "0", "--database", str(notes)])
    assert done.exit_code == 1
    assert done.output.startswith(f"Error: cannot use {notes} as a database: ")
    assert done.output.count("\n") == 1


def test_serve_rate_limit_of_zero_rejects_every_request(serve: Serve) -> None:
    with serve("--rate-limit", "0") as server:
        assert server.ask("/customers")[0] == 429


@pytest.mark.parametrize("token", ["", " ", "a b", "ä"])
def test_serve_invalid_token_is_rejected(token: str) -> None:
    done = CliRunner().invoke(cli, ["serve", "--token", token])
    assert done.exit_code == 2
    assert "--token" in done.output


def _shut_down(server: Server, *options: str) -> str:
    """Send ``POST /_fake/shutdown`` with curl; return the status and the body."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "-sS", "-w", "%{http_code} ", "--noproxy", "*", "-X", "POST", *options]
    command += ["-o", "-", f"{server.url}/_fake/shutdown"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


JSON_TYPE = ("-H", "Content-Type: application/json")


def test_serve_shutdown_ends_the_process_after_the_response(serve: Serve) -> None:
    with serve() as server:
        assert _shut_down(server, *JSON_TYPE) == '{"closed": true}200 '
        out, err = server.process.communicate(timeout=20)
    assert (server.process.returncode, err) == (0, "")
    assert re.fullmatch(r"\d\d:\d\d:\d\d POST /_fake/shutdown 200\nStopped.\n", out)


def test_serve_shutdown_does_not_wait_for_open_connections(serve: Serve) -> None:
    with serve("--latency", "60") as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        with socket.create_connection(address), socket.create_connection(address) as delayed:
            delayed.sendall(b"GET /customers HTTP/1.1\r\nHost: x\r\n\r\n")
            _shut_down(server, *JSON_TYPE)
            assert server.process.wait(timeout=20) == 0


def test_serve_rejected_shutdown_does_not_end_the_process(serve: Serve) -> None:
    with serve("--admin-token", "s3cret") as server:
        token = ("-H", "Authorization: Bearer s3cret")
        assert _shut_down(server, *JSON_TYPE)[-4:] == "401 "
        assert _shut_down(server, *token)[-4:] == "415 "
        assert _shut_down(server, *token, *JSON_TYPE, "-d", '{"a": 1}')[-4:] == "422 "
        assert server.ask("/customers")[0] == 200
        assert _shut_down(server, *token, *JSON_TYPE)[-4:] == "200 "
        assert server.process.wait(timeout=20) == 0


def test_serve_without_admin_has_no_shutdown(serve: Serve) -> None:
    with serve("--no-admin") as server:
        assert _shut_down(server, *JSON_TYPE)[-4:] == "404 "
        assert server.ask("/customers")[0] == 200


SETTINGS = {
    "role": "viewer",
    "plan": "enterprise",
    "defaultProgram": "prog_1",
    "rateLimit": 7,
    "window": 2.5,
    "latency": 0.001,
}


def test_serve_settings_options_are_restored_by_reset(serve: Serve) -> None:
    names = ("--role", "--plan", "--default-program", "--rate-limit", "--window", "--latency")
    values = map(str, SETTINGS.values())
    with serve(*(part for pair in zip(names, values, strict=True) for part in pair)) as server:
        started = server.ask("/_fake/settings")[1]
        changes = {"role": "owner", "plan": "pro", "defaultProgram": None, "rateLimit": None}
        changes |= {"window": 60, "latency": 0}
        assert server.ask("/_fake/settings", body=changes, method="PATCH")[0] == 200
        restored = server.ask("/_fake/reset", body={})[1]
    assert SETTINGS.items() <= started.items()
    assert restored["settings"] == started
    assert restored["baseUrl"] == server.url


@pytest.mark.parametrize(
    "option", [("--role", "x"), ("--plan", "x"), ("--window", "0"), ("--latency", "-1")]
)
def test_serve_invalid_setting_names_the_option(option: tuple[str, str]) -> None:
    done = CliRunner().invoke(cli, ["serve", "--port", "0", *option])
    assert done.exit_code == 2
    assert f"{option[0]} must be " in done.output


def test_serve_with_an_empty_default_program_names_the_option() -> None:
    done = CliRunner().invoke(cli, ["serve", "--port", "0", "--default-program", ""])
    assert done.exit_code == 2
    assert "--default-program must not be empty" in done.output


def _admin(server: Server, token: str | None = None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{server.url}/_fake/state", headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_serve_with_admin_option_serves_admin_page_and_api(serve: Serve) -> None:
    with serve() as server:
        assert f"{server.url}/_fake/\n" in server.greeting
        assert _admin(server) == 200


def test_serve_without_admin_returns_404_for_admin_routes(serve: Serve) -> None:
    with serve("--no-admin") as server:
        assert "_fake" not in server.greeting
        assert _admin(server) == 404


def test_serve_admin_token_is_required_and_not_shown(serve: Serve) -> None:
    with serve("--host", "0.0.0.0", "--admin-token", "s3cret") as server:
        server.url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert [_admin(server), _admin(server, "x"), _admin(server, "s3cret")] == [401, 401, 200]
        _, out, err = server.stop()
    assert "s3cret" not in server.greeting + out + err


def test_serve_admin_token_is_read_from_the_environment(
    serve: Serve, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(environment, "DUB_FAKE_ADMIN_TOKEN", "s3cret")
    with serve() as server:
        assert [_admin(server), _admin(server, "s3cret")] == [401, 200]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_serve_with_admin_beyond_loopback_needs_a_token(host: str) -> None:
    done = CliRunner().invoke(cli, ["serve", "--port", "0", "--host", host])
    assert done.exit_code == 2
    assert "--admin-token TOKEN or --no-admin" in done.output


def test_serve_beyond_loopback_without_admin_needs_no_token(serve: Serve) -> None:
    with serve("--host", "0.0.0.0", "--no-admin") as server:
        assert "Ctrl-C" in server.greeting


@pytest.mark.parametrize("token", ["", "a b", "ä"])
def test_serve_invalid_admin_token_is_rejected(token: str) -> None:
    done = CliRunner().invoke(cli, ["serve", "--port", "0", "--admin-token", token])
    assert done.exit_code == 2
    assert "--admin-token" in done.output
