"""Test that the logger ``dub_uplink`` reports calls without secrets."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from typing import Any

import pytest
import uplink

from dub_uplink import Clock, CustomersConsumer, RetryConfig, errors

MARK = "s3nsitive"


@pytest.fixture
def make_client(connect: Any) -> Any:
    """Make clients with retries and without waits."""

    def make(url: str, **settings: Any) -> Any:
        clock = Clock(sleep=lambda _: None)
        return connect(url, retry_config=RetryConfig(), clock=clock, **settings)

    return make


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(r.levelname, r.getMessage()) for r in caplog.records if r.name == "dub_uplink"]


def test_attempts_log_at_debug_and_retries_at_info(
    serving: Any, make_client: Any, http_response: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "dub_uplink")
    server = serving(raw=[http_response(503, ""), b"", http_response(200, '{"id": "cus_1"}')])
    make_client(server.url).get("cus_1")
    found = lines(caplog)
    assert [level for level, _ in found] == ["DEBUG", "INFO", "DEBUG", "INFO", "DEBUG"]
    shapes = [
        r"GET /customers/\{id\}: 503, attempt 1, \d+ ms",
        r"GET /customers/\{id\}: 503, attempt 1; retrying in \d\.\d\d s",
        r"GET /customers/\{id\}: APIConnectionError, attempt 2, \d+ ms",
        r"GET /customers/\{id\}: APIConnectionError, attempt 2; retrying in \d\.\d\d s",
        r"GET /customers/\{id\}: 200, attempt 3, \d+ ms",
    ]
    for (_, message), shape in zip(found, shapes, strict=True):
        assert re.fullmatch(shape, message)


def test_log_records_show_the_path_template(
    serving: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "dub_uplink")
    connect(serving(200, "[]").url).list()
    customers = connect(serving(200, '{"id": "cus_1"}').url)
    customers.create({"external_id": "u"})
    customers.get("cus_1")
    customers.update("cus_1")
    customers.delete("cus_1")
    assert [message.partition(":")[0] for _, message in lines(caplog)] == [
        "GET /customers",
        "POST /customers",
        "GET /customers/{id}",
        "PATCH /customers/{id}",
        "DELETE /customers/{id}",
    ]


def test_log_records_show_no_request_data_or_token(
    serving: Any,
    make_client: Any,
    http_response: Any,
    client: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "dub_uplink")
    refusal = f'{{"error": {{"code": "conflict", "message": "{MARK}"}}}}'

    class Mine(CustomersConsumer):
        @uplink.get("raw/{id}", args={"id": uplink.Path, "q": uplink.Query})
        def raw(self, id: str, q: str) -> Any: ...

    for status in (200, 409, 503, 302):
        headers = {"X-Secret": MARK, "Location": f"/{MARK}"}
        replies = [http_response(status, refusal, headers), http_response(409, refusal)]
        url = serving(raw=replies).url
        customers = make_client(url, cls=Mine, client=client, token=f"dub_{MARK}")
        for call in (
            lambda c: c.create({"external_id": MARK, "name": MARK}),
            lambda c: c.get(f"ext_{MARK}", http_headers={"X-Mine": MARK}),
            lambda c: c.update(MARK, {"email": f"{MARK}@example.com"}),
            lambda c: c.delete(MARK),
            lambda c: c.list(email=f"{MARK}@example.com"),
            lambda c: c.raw(MARK, MARK),
        ):
            with pytest.raises(errors.DubError):
                call(customers)
    records = [record for record in caplog.records if record.name.startswith("dub_uplink")]
    assert len(records) > 20
    for record in records:
        assert MARK not in record.getMessage()
        assert MARK not in repr(vars(record))


def test_info_level_logs_only_retries(
    serving: Any, make_client: Any, http_response: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dub_uplink")
    customers = make_client(serving(raw=[http_response(503, ""), http_response(200, "[]")]).url)
    customers.list()
    customers.list()
    assert [level for level, _ in lines(caplog)] == ["INFO"]


def test_unconfigured_logging_prints_nothing(serving: Any) -> None:
    server = serving(500, "")
    program = (
        "from dub_uplink import Dub, Clock, errors\n"
        f"dub = Dub('dub_x', server_url={server.url!r}, clock=Clock(sleep=lambda _: None))\n"
        "try:\n    dub.customers.get('x', timeout_ms=5000)\n"
        "except errors.SDKError as error:\n    assert error.attempts > 3, error\n"
    )
    # Only the attempts advance the clock, so the retry budget ends the call.
    completed = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "", "")
