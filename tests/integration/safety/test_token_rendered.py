"""Test that rich and pytest print tracebacks with local variables without the token."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rich")

#: Longer than the strings that rich prints completely.
TOKEN = "dub_" + "s3cr3t" * 20
PROGRAM = '''
"""Calls that fail in different ways; only the environment has the token."""
import asyncio, json, os, requests
from dub_uplink import AsyncDub, CustomersConsumer, Dub, RetryConfig, declare

URLS = json.loads(os.environ["URLS"])
OPTIONS = {"retry_config": None, "timeout_ms": 300}


def stop(*_, **__):
    raise KeyboardInterrupt


class Mine(CustomersConsumer):
    @declare.returns.json(type=stop)
    @declare.get("mine")
    def mine(self): ...


def sync(url):
    Dub(server_url=url, **OPTIONS).customers.get("cus_1")


def given(url):
    Dub(server_url=url, client=requests.Session(), **OPTIONS).customers.list()


def by_asyncio(url):
    async def run():
        async with AsyncDub(server_url=url, **OPTIONS) as dub:
            await dub.customers.get("cus_1")

    asyncio.run(run())


def hooked(url):
    session = requests.Session()
    session.hooks["response"].append(stop)
    Dub(server_url=url, client=session).customers.list()


WAYS = [
    (sync, URLS["401"]),
    (given, URLS["broken"]),
    (by_asyncio, URLS["silent"]),
    (by_asyncio, URLS["refused"]),
    (hooked, URLS["401"]),
    (lambda url: Mine(server_url=url).mine(), URLS["fine"]),
    (lambda url: Dub(server_url=url, on_retry=stop).customers.list(), URLS["503"]),
    (lambda url: Dub(server_url=url).customers.list(http_headers={"a b": "c"}), URLS["401"]),
    (lambda url: Dub(lambda: os.environ["DUB_API_KEY"] + " ", server_url=url).customers.list(),
     URLS["401"]),
    (lambda url: AsyncDub(os.environ["DUB_API_KEY"] + "\\n"), ""),
]
'''
#: Prints the local variables as rich does, without colouring the source lines.
RICH = """
import sys
import calls
from rich.traceback import Traceback

def show():
    for stack in Traceback.extract(*sys.exc_info(), show_locals=True).stacks:
        print(stack.exc_type, stack.exc_value)
        for frame in stack.frames:
            for name, node in (frame.locals or {}).items():
                print(name, "=", node)

def main():
    for call, url in calls.WAYS:
        try:
            call(url)
        except BaseException:
            show()
        else:
            print("NO ERROR", url)

main()
"""
PYTEST = """
import pytest
import calls

@pytest.mark.parametrize("number", range(0, len(calls.WAYS), 2))
def test_it(number):
    call, url = calls.WAYS[number]
    try:
        call(url)
    except KeyboardInterrupt as error:  # would end pytest
        raise RuntimeError("interrupted") from error
    print("NO ERROR")
"""
RUNS = {
    "rich": [sys.executable, "program.py"],
    "pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--showlocals", "-q"],
    "pytest, uncut": [
        *[sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--showlocals", "-vvv"]
    ],
}
TRUNCATED = b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"id": "cus_'


@pytest.mark.promise("locals-show-no-token")
@pytest.mark.parametrize("run", RUNS)
def test_traceback_with_locals_hides_the_token(
    serving: Any, http_response: Any, tmp_path: Path, run: str
) -> None:
    refused = serving()
    refused.close()
    servers = {
        "fine": serving(200, '{"id": 5}'),
        "401": serving(401, '{"error": {"code": "unauthorized", "message": "No."}}'),
        "503": serving(503, ""),
        "broken": serving(200, "<html>"),
        "silent": serving(raw=TRUNCATED, then="hold"),
        "refused": refused,
    }
    (tmp_path / "calls.py").write_text(PROGRAM, "utf-8")
    (tmp_path / "program.py").write_text(RICH, "utf-8")
    (tmp_path / "test_program.py").write_text(PYTEST, "utf-8")
    done = subprocess.run(
        RUNS[run],
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if "COVERAGE" not in name},
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # plugins take longer than the tests
            "DUB_API_KEY": TOKEN,
            "URLS": json.dumps({name: server.url for name, server in servers.items()}),
        },
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    printed = done.stdout + done.stderr
    assert "s3cr3t" not in printed
    assert printed.count("Bearer ***") > 2, printed[-3000:]
    assert printed.count("KeyboardInterrupt") > 0
    assert "NO ERROR" not in printed
    if run != "rich":
        assert "5 failed" in printed
