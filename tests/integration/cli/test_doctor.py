"""Test that ``dub-uplink doctor`` reports problems with hints, in time and without secrets."""

from __future__ import annotations

import json
import os
import re
import ssl
import time
import warnings
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from dub_uplink import __version__
from dub_uplink._cli.commands import cli
from dub_uplink.testing import FakeDub

if TYPE_CHECKING:
    from collections.abc import Callable

    Doctor = Callable[..., Result]

SECRET = "s3cr3t"


@pytest.fixture
def doctor() -> Doctor:
    """Run the doctor with these arguments and additional variables."""

    def run(*arguments: str, **variables: str) -> Result:
        env = {"DUB_API_KEY": "dub_test", **variables}
        return CliRunner().invoke(cli, ["doctor", *arguments], env=env)

    return run


def line(report: str, name: str) -> str:
    """Return the line of a check in the report, with the hint below it."""
    match = re.search(rf"^[ !] {re.escape(name)} +(.*(?:\n +-> .*)?)", report, re.MULTILINE)
    assert match is not None, report
    return match[1]


def test_doctor_with_valid_api_key_passes_and_sends_one_request(
    live: tuple[FakeDub, dict[str, str]], doctor: Doctor
) -> None:
    fake, env = live
    done = doctor(**env)
    assert done.exit_code == 0, done.output
    assert done.output.endswith("\nAll checks passed.\n")
    assert line(done.output, "dub-uplink") == __version__
    for package in ("uplink", "requests", "urllib3", "marshmallow", "tenacity", "click"):
        assert line(done.output, package) == metadata.version(package)
    assert line(done.output, "URL") == env["DUB_SERVER_URL"]
    assert line(done.output, "TCP").startswith("connected to port ")
    assert line(done.output, "key") == "valid, with permission to read customers"
    assert [(r.method, r.query.get("pageSize")) for r in fake.requests] == [("GET", "1")]
    assert re.findall(r"^\S.*", done.output, re.MULTILINE) == [
        "Installed",
        "Environment",
        "Server",
        "API key",
        "All checks passed.",
    ]


def test_doctor_json_has_the_findings_of_the_text_output(
    live: tuple[FakeDub, dict[str, str]], doctor: Doctor
) -> None:
    report = json.loads(doctor("--json", **live[1]).output)
    assert report["ok"] is True
    assert all(finding["ok"] for finding in report["findings"])
    assert {"section": "Installed", "name": "dub-uplink", "value": __version__, "ok": True} == {
        key: value for key, value in report["findings"][0].items() if key != "hint"
    }
    done = doctor("--json", **{**live[1], "DUB_API_KEY": "dub_wrong"})
    report = json.loads(done.output)
    assert (done.exit_code, report["ok"]) == (3, False)
    assert [f["name"] for f in report["findings"] if not f["ok"]] == ["key"]


def test_doctor_rejected_api_key_exits_with_3(
    live: tuple[FakeDub, dict[str, str]], doctor: Doctor
) -> None:
    done = doctor(**{**live[1], "DUB_API_KEY": "dub_wrong"})
    assert done.exit_code == 3
    assert "401 unauthorized" in line(done.output, "key")
    assert "-> check the API key" in line(done.output, "key")
    assert done.output.endswith("\n1 check failed, marked with !.\n")


@pytest.mark.parametrize("key", ["", "dub test", "dub_tést"])
def test_doctor_malformed_api_key_still_checks_the_server(
    live: tuple[FakeDub, dict[str, str]], doctor: Doctor, key: str
) -> None:
    done = doctor(**{**live[1], "DUB_API_KEY": key})
    assert done.exit_code == 3
    assert "DUB_API_KEY" in line(done.output, "key")
    assert line(done.output, "TCP").startswith("connected")
    assert live[0].requests == []


def test_doctor_reads_the_api_key_from_a_file(
    live: tuple[FakeDub, dict[str, str]], doctor: Doctor, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("dub_test\n")
    assert doctor("--token-file", str(file), **{**live[1], "DUB_API_KEY": ""}).exit_code == 0
    done = doctor("--token-file", str(tmp_path / "none"), **live[1])
    assert done.exit_code == 3
    assert "cannot read the API key" in line(done.output, "key")


def test_doctor_refused_connection_exits_with_5(doctor: Doctor, serving: Any) -> None:
    server = serving()
    server.close()
    done = doctor(DUB_SERVER_URL=server.url)
    assert done.exit_code == 5
    assert "Connection refused" in line(done.output, "TCP")
    assert "-> check that the server is running" in line(done.output, "TCP")
    assert "HTTP  " not in done.output, "the checks end at the first problem"


def test_doctor_unknown_host_exits_with_5(doctor: Doctor) -> None:
    # Too long for a DNS label: rejected without a query.
    done = doctor("--server-url", f"https://{'x' * 70}.invalid")
    assert done.exit_code == 5
    assert "cannot resolve xxx" in line(done.output, "DNS")
    assert "-> check the network" in line(done.output, "DNS")


@pytest.mark.parametrize("behaviour", [{"raw": b"", "then": "hold"}, {"drip": 1.0}])
def test_doctor_with_a_slow_server_ends_within_the_timeout(
    doctor: Doctor, serving: Any, behaviour: dict[str, Any]
) -> None:
    server = serving(**behaviour)
    started = time.monotonic()
    done = doctor("--timeout", "0.3", DUB_SERVER_URL=server.url)
    assert time.monotonic() - started < 10  # far below the default timeout of 30 s
    assert done.exit_code == 5
    # The timeout occurs in the last step or, on a busy machine, in an earlier one.
    assert "--timeout" in done.output.partition("Server")[2]


def test_doctor_silent_tls_handshake_times_out(doctor: Doctor, serving: Any) -> None:
    server = serving(raw=b"", then="hold")
    done = doctor("--timeout", "0.3", "--server-url", server.url.replace("http:", "https:"))
    assert done.exit_code == 5
    assert "no response within --timeout" in done.output.partition("Server")[2]


def test_doctor_server_that_is_not_dub_exits_with_5(doctor: Doctor, serving: Any) -> None:
    server = serving(404, "<html>Not here", {"Content-Type": "text/html"})
    done = doctor(DUB_SERVER_URL=server.url)
    assert done.exit_code == 5
    assert "404: the response is not an error from Dub" in line(done.output, "HTTP")
    assert "-> check that --server-url (DUB_SERVER_URL)" in line(done.output, "HTTP")


@pytest.mark.parametrize("url", ["ftp://api.dub.co", "https://", "https://a b", "nonsense"])
def test_doctor_invalid_url_exits_with_2(doctor: Doctor, url: str) -> None:
    done = doctor("--server-url", url)
    assert done.exit_code == 2
    assert "-> correct --server-url or DUB_SERVER_URL" in line(done.output, "URL")


def test_doctor_warns_about_an_api_key_sent_over_http(doctor: Doctor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # in the report, not outside of it
        done = doctor("--server-url", f"http://{'x' * 70}.invalid")
    assert "-> the token goes unencrypted" in line(done.output, "URL")


def test_doctor_untrusted_certificate_has_a_hint(
    doctor: Doctor, wire: Any, http_response: Any, tls: ssl.SSLContext
) -> None:
    server = wire(http_response(), tls=tls)
    done = doctor(DUB_SERVER_URL=server.url)
    assert done.exit_code == 5
    check = line(done.output.partition("Server")[2], "TLS")
    assert "the certificate is invalid" in check
    assert "REQUESTS_CA_BUNDLE" in check
    assert server.seen == []


def test_doctor_shows_issuer_and_expiry_of_the_certificate(
    doctor: Doctor,
    wire: Any,
    http_response: Any,
    tls: ssl.SSLContext,
    certificate: tuple[Path, Path],
) -> None:
    server = wire(http_response(), tls=tls)
    done = doctor(DUB_SERVER_URL=server.url, REQUESTS_CA_BUNDLE=str(certificate[0]))
    assert done.exit_code == 0, done.output
    report = done.output.partition("Server")[2]
    check = line(report, "TLS")
    assert re.match(r"TLSv1\.\d, certificate by 127\.0\.0\.1, valid until \d{4}-", check)
    assert "-> the certificate expires soon" in check
    assert server.seen == ["GET /customers?pageSize=1"]


def test_doctor_reports_a_missing_certificate_bundle(doctor: Doctor, serving: Any) -> None:
    done = doctor(DUB_SERVER_URL=serving().url, REQUESTS_CA_BUNDLE="/none/ca.pem")
    assert done.exit_code == 5
    assert "does not exist" in line(done.output, "REQUESTS_CA_BUNDLE")


def test_doctor_reports_ca_bundles_that_one_client_ignores(doctor: Doctor) -> None:
    done = doctor("--server-url", "nonsense", SSL_CERT_FILE="ca.pem")
    assert "read by AsyncDub only\n" in line(done.output, "SSL_CERT_FILE")
    done = doctor("--server-url", "nonsense", SSL_CERT_FILE="a", CURL_CA_BUNDLE=os.devnull)
    assert "SSL_CERT_FILE" not in done.output
    assert line(done.output, "CURL_CA_BUNDLE") == os.devnull
    done = doctor("--server-url", "nonsense", REQUESTS_CA_BUNDLE=os.devnull)
    assert "-> AsyncDub reads SSL_CERT_FILE" in line(done.output, "REQUESTS_CA_BUNDLE")


def dated(ahead: float) -> dict[str, str]:
    moment = datetime.now(timezone.utc) + timedelta(seconds=ahead)
    return {"Date": format_datetime(moment, usegmt=True)}


@pytest.mark.parametrize(("ahead", "expected"), [(3600, "behind"), (-3600, "ahead")])
def test_doctor_reports_a_wrong_clock(
    doctor: Doctor, serving: Any, ahead: float, expected: str
) -> None:
    done = doctor(DUB_SERVER_URL=serving(headers=dated(ahead)).url)
    assert done.exit_code == 1
    assert re.search(rf"this machine is 3,[56]\d\d s {expected}", line(done.output, "clock"))
    assert "-> set the clock" in line(done.output, "clock")


def test_doctor_passes_with_a_correct_or_unknown_clock(doctor: Doctor, serving: Any) -> None:
    for headers, expected in (
        (dated(0), "within a few seconds"),
        ({}, "no valid Date"),
        ({"Date": "x"}, "no valid Date"),
    ):
        done = doctor(DUB_SERVER_URL=serving(headers=headers).url)
        assert done.exit_code == 0
        assert expected in line(done.output, "clock")


def test_doctor_connects_through_the_proxy(doctor: Doctor, serving: Any) -> None:
    proxy = serving()
    address = proxy.url.removeprefix("http://")
    done = doctor("--server-url", "http://dub.invalid", HTTP_PROXY=f"http://me:{SECRET}@{address}")
    assert done.exit_code == 0, done.output
    assert line(done.output, "through") == f"the proxy http://***@{address}"
    assert proxy.received[0].target == "http://dub.invalid/customers?pageSize=1"
    assert SECRET not in done.output


def test_doctor_reports_proxies_and_netrc(doctor: Doctor, tmp_path: Path) -> None:
    done = doctor("--server-url", "nonsense")
    assert line(done.output, "proxies") == "none"
    assert ".netrc" not in done.output
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine api.dub.co login me password {SECRET}\n")
    done = doctor("--server-url", "nonsense", NETRC=str(netrc))
    assert line(done.output, ".netrc") == "exists; ignored"
    assert SECRET not in done.output


@pytest.mark.parametrize(
    "proxy",
    [
        "http://me:{}@proxy.invalid:1",
        "http://me:12/{}@proxy.invalid:1",
        "http://{}:{}@[",
        "me:{}@proxy.invalid:1",
        "me:{}",
        "http://me:x@{}@proxy.invalid",
        "http://me:{}@pro xy",
        "http://me:{}:99999@proxy.invalid:99999",
    ],
)
def test_doctor_hides_credentials_of_a_proxy(doctor: Doctor, proxy: str) -> None:
    secret = f"{SECRET}{'x' * 64}"  # too long for a host name
    value = proxy.format(secret, secret)
    done = doctor(
        "--timeout", "1", "--server-url", "http://dub.invalid", HTTP_PROXY=value, http_proxy=value
    )
    assert done.exit_code == 5, done.output
    assert SECRET not in done.output


@pytest.mark.parametrize("url", ["https://me:{}@x", "https://me:{}/1@x", "https://{}@x:y"])
def test_doctor_hides_credentials_of_a_server_url(doctor: Doctor, url: str) -> None:
    done = doctor(DUB_SERVER_URL=url.format(SECRET))
    assert done.exit_code == 2
    assert SECRET not in done.output


@pytest.mark.parametrize("in_file", [False, True])
def test_doctor_hides_an_api_key_in_the_response(
    doctor: Doctor, serving: Any, tmp_path: Path, in_file: bool
) -> None:
    body = f"<html>Who is {SECRET}? Or dub_another{SECRET}"
    server = serving(500, body, {"Content-Type": "text/html"})
    (tmp_path / "key").write_text(SECRET)
    options = ["--token-file", str(tmp_path / "key")] if in_file else []
    variables = {} if in_file else {"DUB_API_KEY": SECRET}
    done = doctor(*options, DUB_SERVER_URL=server.url, **variables)
    assert "Who is ***? Or ***" in line(done.output, "HTTP")
    assert SECRET not in done.output


@pytest.mark.parametrize("credentials", [SECRET, f"me:{SECRET}", f"{SECRET}:me"])
def test_doctor_hides_proxy_credentials_in_the_response(
    doctor: Doctor, serving: Any, credentials: str
) -> None:
    proxy = serving(500, f"Who is {credentials}?", {"Content-Type": "text/plain"})
    value = proxy.url.replace("//", f"//{credentials}@")
    done = doctor("--server-url", "http://dub.invalid", HTTP_PROXY=value)
    assert "500: the response is not an error from Dub" in line(done.output, "HTTP")
    assert SECRET not in done.output


def test_doctor_names_the_proxy_that_rejects_the_request(doctor: Doctor, serving: Any) -> None:
    proxy = serving(407, "Who are you?", {"Content-Type": "text/plain"})
    done = doctor("--server-url", "http://dub.invalid", HTTP_PROXY=proxy.url)
    assert "407: the proxy rejected the request" in line(done.output, "HTTP")
    assert "the proxy's URL is in HTTPS_PROXY or HTTP_PROXY" in done.output
    assert "--server-url" not in line(done.output, "HTTP")


def test_doctor_reports_an_outdated_package(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tenacity-8.0.dist-info").mkdir()
    (tmp_path / "tenacity-8.0.dist-info" / "METADATA").write_text("Name: tenacity\nVersion: 8.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    done = doctor("--server-url", "nonsense")
    assert done.exit_code == 2  # the highest of the exit codes, that of the URL
    check = line(done.output, "tenacity")
    assert check.startswith("8.0, but >=8.4.1 is required\n")
    assert '-> pip install "tenacity>=8.4.1"' in check


def test_doctor_reports_the_reactor_of_an_installed_twisted(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "Twisted" not in {each.name for each in metadata.distributions()}:
        assert "Twisted" not in doctor("--server-url", "nonsense").output
        (tmp_path / "Twisted-24.0.dist-info").mkdir()
        content = "Name: Twisted\nVersion: 24.0\n"
        (tmp_path / "Twisted-24.0.dist-info" / "METADATA").write_text(content)
        monkeypatch.syspath_prepend(str(tmp_path))
    report = doctor("--server-url", "nonsense").output
    assert "-> importing uplink installs the default reactor" in line(report, "Twisted")


def test_doctor_help_lists_the_exit_codes() -> None:
    done = CliRunner().invoke(cli, ["doctor", "--help"], terminal_width=80)
    assert done.exit_code == 0
    assert "0  all checks passed" in done.output
    assert max(map(len, done.output.splitlines())) <= 80
