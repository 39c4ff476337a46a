"""The body of a response reaches other code that reads it, such as a trace callback."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dub_uplink import AsyncDub, BackoffStrategy, RetryConfig, errors
from dub_uplink.testing import FakeDub, faults

SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 3_000), True)
CUSTOMER = b'{"id": "cus_1", "externalId": "user_1", "name": "Ada"}'
REQUEST = {"external_id": "user_1", "country": "GB"}
CODINGS: dict[str, Any] = {"identity": bytes, "gzip": gzip.compress}


async def read(response: aiohttp.ClientResponse) -> bytes:
    return await response.read()


async def stream(response: aiohttp.ClientResponse) -> bytes:
    return b"".join([chunk async for chunk in response.content.iter_chunked(7)])


async def read_lines(response: aiohttp.ClientResponse) -> bytes:
    return b"".join([line async for line in response.content])


@pytest.fixture(params=[read, stream, read_lines])
def reader(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("status", [200, 404])
def test_trace_callback_reads_the_raw_body(
    serving: Any, connect_async: Any, reader: Any, coding: str, status: int
) -> None:
    sent = CODINGS[coding](CUSTOMER)
    server = serving(status, sent, {"Content-Encoding": coding})
    bodies = []

    async def keep(_: Any, __: Any, params: aiohttp.TraceRequestEndParams) -> None:
        bodies.append(await reader(params.response))

    config = aiohttp.TraceConfig()
    config.on_request_end.append(keep)
    dub = connect_async(server.url, client=lambda: aiohttp.ClientSession(trace_configs=[config]))
    if status == 200:
        assert dub.get("cus_1").name == "Ada"
    else:
        with pytest.raises(errors.SDKError, match=r"404.*Ada"):
            dub.get("cus_1")
    assert bodies == [sent]


@pytest.mark.filterwarnings("ignore:Inheritance class")
@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_session_subclass_reads_the_body(
    serving: Any, connect_async: Any, reader: Any, size: int
) -> None:
    bodies = []

    def make_session() -> aiohttp.ClientSession:
        class Recording(aiohttp.ClientSession):
            async def _request(self, *args: Any, **settings: Any) -> aiohttp.ClientResponse:
                response = await super()._request(*args, **settings)
                bodies.append(await reader(response))
                return response

        return Recording()

    body = json.dumps([{"id": "cus_1", "name": "A" * size}]) if size else ""
    server = serving(200 if size else 503, body)
    dub = connect_async(server.url, client=make_session)
    if size:
        assert len(dub.list()[0].name or "") == size
    else:
        with pytest.raises(errors.SDKError):
            dub.list()
    assert bodies == [body.encode()]


@pytest.mark.parametrize("own", [True, False], ids=["own-session", "given-session"])
@pytest.mark.parametrize("coding", CODINGS)
def test_vcrpy_records_and_replays_async_calls(
    serving: Any,
    http_response: Any,
    connect_async: Any,
    tmp_path: Path,
    token: str,
    own: bool,
    coding: str,
) -> None:
    vcr = pytest.importorskip("vcr")
    recorder = vcr.VCR(cassette_library_dir=str(tmp_path), filter_headers=["authorization"])
    headers = {"Content-Encoding": coding}
    refusal = '{"error": {"code": "not_found", "message": "No."}}'
    server = serving(
        raw=[
            http_response(503, ""),
            http_response(201, CODINGS[coding](CUSTOMER), headers),
            http_response(404, refusal),
        ]
    )
    for _ in range(2):  # the second time from the cassette
        make = (lambda: None) if own else aiohttp.ClientSession
        dub = connect_async(server.url, client=make, retry_config=SHORT_RETRIES)
        with recorder.use_cassette("calls.yaml", allow_playback_repeats=False) as cassette:
            assert dub.create(REQUEST).name == "Ada"
            with pytest.raises(errors.NotFound):
                dub.get("cus_none")
    assert cassette.play_count == 3
    assert len(server.received) == 3
    assert token not in (tmp_path / "calls.yaml").read_text()


def cached_session(**settings: Any) -> Any:
    cache = pytest.importorskip("aiohttp_client_cache")
    return lambda: cache.CachedSession(cache=cache.CacheBackend(**settings))


@pytest.mark.parametrize("coding", CODINGS)
def test_aiohttp_client_cache_stores_and_returns_the_body(
    serving: Any, connect_async: Any, coding: str
) -> None:
    server = serving(200, CODINGS[coding](CUSTOMER), {"Content-Encoding": coding})
    dub = connect_async(server.url, client=cached_session())
    customers = [dub.get("cus_1") for _ in range(3)]
    assert [customer.name for customer in customers] == ["Ada"] * 3
    assert len(server.received) == 1


@pytest.mark.filterwarnings("ignore:Inheritance class")
def test_aiohttp_client_cache_returns_a_revalidated_response(
    serving: Any, connect_async: Any, http_response: Any
) -> None:
    cache = pytest.importorskip("aiohttp_client_cache")

    def make_session() -> Any:
        class Refreshing(cache.CachedSession):
            async def _request(self, *args: Any, **settings: Any) -> Any:
                return await super()._request(*args, refresh=True, **settings)

        return Refreshing(cache=cache.CacheBackend())

    tagged = http_response(200, CUSTOMER, {"ETag": '"1"'})
    server = serving(raw=[tagged, b"HTTP/1.1 304 Not Modified\r\n\r\n"])
    dub = connect_async(server.url, client=make_session)
    assert [dub.get("cus_1").name for _ in range(2)] == ["Ada", "Ada"]
    assert [request.headers.get("if-none-match") for request in server.received] == [None, '"1"']


def test_aiohttp_client_cache_never_serves_lookups_or_writes(fake: FakeDub, served: str) -> None:
    make = cached_session(cache_control=True, allowed_codes=(200, 404))

    async def main() -> None:
        async with make() as session, AsyncDub(fake.token, server_url=served, client=session) as s:
            with pytest.raises(errors.NotFound):
                await s.customers.get("ext_user_1")
            fake.faults.add(faults.DropAfter(), method="POST", times=1)
            created = await s.customers.create(REQUEST, retries=SHORT_RETRIES)
            assert created.external_id == "user_1"
            for name in ("Ada", "Grace"):
                assert (await s.customers.update(created.id, {"name": name})).name == name

    asyncio.run(main())
