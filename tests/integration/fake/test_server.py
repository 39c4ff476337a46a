"""The served fake on raw sockets: framing, connections, logs, start and stop."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from dub_uplink.testing import FakeDub, faults
from dub_uplink.testing._server import Server

Raw = Callable[[bytes], bytes]
KEY = b"Authorization: Bearer dub_test\r\n"
BODY = b'{"externalId": "a", "country": "GB"}'


def statuses(answers: bytes) -> list[int]:
    """The status of each answer on a connection; every body has its length."""
    found = []
    while answers:
        head, _, rest = answers.partition(b"\r\n\r\n")
        found.append(int(head.split(b" ")[1]))
        lengths = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ]
        answers = rest[lengths[0] :] if lengths else rest
    return found


def post(body: bytes, headers: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    return b"POST /customers HTTP/1.1\r\n" + KEY + length + headers + b"\r\n" + body


GET = b"GET /customers HTTP/1.1\r\n" + KEY + b"\r\n"


def test_served_response_is_http_1_1_with_keep_alive(raw: Raw) -> None:
    assert raw(GET) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
    )


def test_response_to_head_has_no_body(fake: FakeDub, raw: Raw) -> None:
    fake.faults.add(faults.Status(500, body="broken"))
    head = raw(GET.replace(b"GET", b"HEAD"))
    assert b"Content-Length: 6\r\n" in head
    assert head.endswith(b"\r\n\r\n")


def test_204_response_has_no_content_length(fake: FakeDub, raw: Raw) -> None:
    fake.faults.add(faults.Status(204))
    assert raw(GET).split(b"\r\n")[0] == b"HTTP/1.1 204 No Content"
    fake.faults.add(faults.Status(204))
    assert b"Content-Length" not in raw(GET)


def test_pipelined_requests_get_responses_in_order(fake: FakeDub, raw: Raw) -> None:
    assert statuses(raw(post(BODY) + GET + post(BODY) + GET * 50)) == [201, 200, 409] + [200] * 50


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"gzip", b""])
def test_other_transfer_encoding_is_rejected(fake: FakeDub, raw: Raw, coding: bytes) -> None:
    head = b"POST /customers HTTP/1.1\r\n" + KEY + b"Transfer-Encoding: " + coding
    response = raw(head + b"\r\n\r\n0\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 400 ")
    assert response.count(b"HTTP/1.1 ") == 1
    assert b"\r\nConnection: close\r\n" in response
    assert fake.requests == []


def test_chunked_body_is_read(fake: FakeDub, raw: Raw) -> None:
    chunks = (
        b"5;x=y\r\n" + BODY[:5] + b"\r\n" + b"1F\r\n" + BODY[5:] + b"\r\n0\r\nTrailer: x\r\n\r\n"
    )
    assert len(BODY) == 0x24
    head = b"POST /customers HTTP/1.1\r\n" + KEY + b"Transfer-Encoding: chunked\r\n\r\n"
    assert statuses(raw(head + chunks + GET)) == [201, 200]


def test_connection_close_and_http_1_0_close_the_connection(raw: Raw) -> None:
    closing = GET[:-2] + b"Connection: close\r\n\r\n"
    answer = raw(closing + GET)
    assert statuses(answer) == [200]
    assert b"Connection: close" in answer
    old = GET.replace(b"HTTP/1.1", b"HTTP/1.0")
    assert statuses(raw(old + old)) == [200]
    keeping = old[:-2] + b"Connection: Keep-Alive\r\n\r\n"
    assert statuses(raw(keeping + keeping)) == [200, 200]


def test_expect_100_continue_gets_a_100_before_the_body(fake: FakeDub) -> None:
    with fake.serve() as url, socket.create_connection(address(url), timeout=20) as sock:
        head, body = post(BODY, b"Expect: 100-continue\r\n").split(b"\r\n\r\n")
        sock.sendall(head + b"\r\n\r\n")
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert sock.recv(1000).startswith(b"HTTP/1.1 201 Created")


def address(url: str) -> tuple[str, int]:
    return "127.0.0.1", int(url.rpartition(":")[2])


@pytest.mark.parametrize("cut", [1, 30, 90])
def test_request_sent_in_several_packets_is_read(fake: FakeDub, cut: int) -> None:
    request = post(BODY)
    with fake.serve() as url, socket.create_connection(address(url), timeout=20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), cut):
            sock.sendall(request[start : start + cut])
        assert sock.recv(1000).startswith(b"HTTP/1.1 201 Created")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n",
        post(BODY)[:-5],
        b"POST /customers HTTP/1.1\r\n" + KEY + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    ],
)
def test_truncated_request_is_not_applied(fake: FakeDub, raw: Raw, sent: bytes) -> None:
    assert raw(sent) == b""
    assert (fake.requests, fake.customers) == ([], [])
    assert statuses(raw(GET)) == [200]


def test_half_open_connections_do_not_block_other_clients(fake: FakeDub) -> None:
    with fake.serve() as url, contextlib.ExitStack() as stack:
        for _ in range(50):
            sock = stack.enter_context(socket.create_connection(address(url), timeout=20))
            sock.sendall(post(BODY)[:-5])
        assert requests.get(f"{url}/customers", timeout=20).status_code == 401


def test_client_disconnect_is_not_logged_as_an_error(
    fake: FakeDub, caplog: pytest.LogCaptureFixture
) -> None:
    fake.add_many(100)
    with fake.serve() as url:
        for _ in range(10):
            with socket.create_connection(address(url), timeout=20) as sock:
                # A reset and not an orderly end.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                sock.sendall(GET * 20)
        assert requests.get(f"{url}/customers", timeout=20).status_code == 401
    assert caplog.records == []


def test_body_of_ten_megabytes_is_read(fake: FakeDub, raw: Raw) -> None:
    body = BODY[:-1] + b', "notes": "' + b"x" * 10_000_000 + b'"}'
    assert statuses(raw(post(body) + GET)) == [201, 200]
    assert fake.requests[0].body == body
    assert statuses(raw(post(b"\xff" * 10_000_000) + GET)) == [400, 200]


def test_repeated_headers_are_joined(fake: FakeDub, raw: Raw) -> None:
    assert statuses(raw(GET[:-2] + b"A: 1\r\na: 2\r\n\r\n")) == [200]
    assert fake.requests[0].headers["a"] == "1, 2"


def test_absolute_and_non_ascii_request_targets_are_parsed(fake: FakeDub, raw: Raw) -> None:
    fake.add(external_id="ü")
    for target, status in (
        (b"http://api.dub.co/customers", 200),
        (b"/customers/ext_\xc3\xbc", 200),
        (b"/customers/ext_\xfc", 400),
        (b"/customers#x", 200),
        (b"*", 404),
        (b"api.dub.co:443", 404),
        (b"/customers?email=%ff&a=\xff", 200),
    ):
        assert statuses(raw(GET.replace(b"/customers", target))) == [status]


def test_exception_in_the_fake_returns_500_without_traceback(
    fake: FakeDub, raw: Raw, caplog: pytest.LogCaptureFixture
) -> None:
    fake._store._db.execute("DROP TABLE customers")
    answer = raw(GET + GET)
    assert statuses(answer) == [500, 500]
    assert b"internal_server_error" in answer
    assert b"Traceback" not in answer
    assert "GET /customers" in caplog.text


def test_concurrent_writes_of_clients_are_all_stored(fake: FakeDub) -> None:
    def work(number: int) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = "Bearer dub_test"
            for count in range(20):
                body = {"externalId": f"{number}_{count}", "country": "GB"}
                answers.append(session.post(f"{url}/customers", json=body).status_code)
                answers.append(session.get(f"{url}/customers/ext_{number}_{count}").status_code)

    answers: list[int] = []
    with fake.serve() as url:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == [200] * 160 + [201] * 160
    assert len(fake.customers) == 160
    assert len(fake.requests) == 320


def test_two_servers_of_one_fake_share_the_customers(fake: FakeDub) -> None:
    with fake.serve() as one, fake.serve() as two:
        requests.post(f"{one}/customers", data=BODY, headers={"Authorization": "Bearer dub_test"})
        found = requests.get(f"{two}/customers", headers={"Authorization": "Bearer dub_test"})
    assert len(found.json()) == 1


def test_stopping_closes_connections_and_frees_the_port(fake: FakeDub) -> None:
    with fake.serve() as url:
        sock = socket.create_connection(address(url), timeout=20)
        sock.sendall(GET)
        sock.recv(1000)
    assert sock.recv(1000) == b""
    sock.close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(address(url), timeout=20)
    with fake.serve(port=address(url)[1]) as again:
        assert again == url


def test_server_without_with_serves_until_close(fake: FakeDub) -> None:
    server = fake.serve()
    try:
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(f"{server.url}/customers", timeout=5).status_code == 401
    finally:
        server.close()
    with pytest.raises(OSError, match="refused"), socket.create_connection(address(server.url)):
        pass


def test_server_entered_after_close_raises_runtime_error(fake: FakeDub) -> None:
    server = fake.serve()
    server.close()
    with pytest.raises(RuntimeError, match=r"the server is closed; call serve\(\) again"), server:
        pass


def test_serve_on_a_port_in_use_raises_os_error(fake: FakeDub) -> None:
    with fake.serve() as url, pytest.raises(OSError, match="in use"):
        fake.serve(port=address(url)[1])


def test_server_logs_a_line_for_each_request(fake: FakeDub) -> None:
    lines: list[str] = []
    with Server(fake, log=lines.append) as url, requests.Session() as session:
        session.get(f"{url}/customers/ext_\N{SNOWMAN}?email=secret@example.com")
        with contextlib.suppress(requests.ConnectionError):
            fake.faults.add(faults.DropBefore())
            session.post(f"{url}/customers")
        session.get(f"{url}/unknown")
    assert [line.split(" ")[:3] for line in lines] == [
        ["GET", "/customers/ext_%E2%98%83", "401"],
        ["POST", "/customers", "dropped"],
        ["GET", "/unknown", "404"],
    ]
    assert all(line.endswith(" ms") for line in lines)
    assert not any("secret" in line for line in lines)


SCRIPT = """
import sys, time
from dub_uplink.testing import FakeDub
with FakeDub(database=sys.argv[1]).serve() as url:
    print(url, flush=True)
    time.sleep(60)
"""


@contextlib.contextmanager
def served_process(database: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, database],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_database_file_keeps_customers_after_a_killed_process(tmp_path: Any) -> None:
    database = str(tmp_path / "dub.sqlite")
    headers = {"Authorization": "Bearer dub_test"}
    with served_process(database) as (process, url):
        requests.post(f"{url}/customers", data=BODY, headers=headers, timeout=20)
        process.kill()
    with FakeDub(database=database) as fake:
        assert [customer.external_id for customer in fake.customers] == ["a"]


def test_database_keeps_every_customer_field(tmp_path: Any, mount: Any) -> None:
    database = str(tmp_path / "dub.sqlite")
    with FakeDub(database=database) as fake:
        before = fake.add(
            external_id="a", email="a@example.com", link={"id": "l"}, partner={}, program_id="p"
        )
        mount(fake).listed("sortBy=saleAmount&email=a@example.com")
    with FakeDub(database=database) as fake:
        assert fake.customers == [before]
        api = mount(fake)
        assert api.listed("linkId=l&sortBy=saleAmount") == ["a"]
        assert api("POST", "/customers", body=BODY).status_code == 409


def test_fake_logs_nothing_by_default(
    raw: Raw, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "dub_uplink.testing")
    raw(GET)
    assert json.loads(raw(GET).rpartition(b"\r\n")[2]) == []
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_connection_without_a_free_thread_is_closed(
    fake: FakeDub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake.serve() as url:
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        with socket.create_connection(address(url), timeout=20) as sock:
            assert sock.recv(1000) == b""
        monkeypatch.setattr(threading.Thread, "start", start)
        assert requests.get(f"{url}/customers", timeout=20).status_code == 401
