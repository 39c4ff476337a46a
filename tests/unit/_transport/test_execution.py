"""Test uplink's response handlers, error handlers and retries on endpoints of both clients."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uplink

from dub_uplink import AsyncCustomersConsumer, CustomersConsumer, errors


def declare_tags(base: Any) -> Any:
    """Declare endpoints with handlers that uplink runs before the conversion of a response."""

    def see(consumer: Any, response: Any) -> Any:
        consumer.seen.append(response.status_code)
        return response

    def tags(self: Any) -> Any: ...
    async def tags_awaited(self: Any) -> Any: ...

    function = tags_awaited if issubclass(base, AsyncCustomersConsumer) else tags
    handle = uplink.response_handler(see, requires_consumer=True)
    retry = uplink.retry(
        when=uplink.retry.when.status_5xx(),
        stop=uplink.retry.stop.after_attempt(3),
        backoff=uplink.retry.backoff.fixed(0.001),
    )

    class Tags(base):  # type: ignore[misc]
        seen: list[int]
        handled = handle(uplink.returns.json(uplink.get("tags")(function)))
        retried = retry(uplink.returns.json(uplink.get("tags")(function)))

    return Tags


def call(url: str, cls: Any, name: str) -> Any:
    """Call an endpoint; return the consumer and the result."""

    async def awaited() -> Any:
        async with cls("dub_x", server_url=url, retry_config=None) as consumer:
            consumer.seen = []
            return consumer, await getattr(consumer, name)()

    if issubclass(cls, AsyncCustomersConsumer):
        return asyncio.run(awaited())
    with cls("dub_x", server_url=url, retry_config=None) as consumer:
        consumer.seen = []
        return consumer, getattr(consumer, name)()


@pytest.fixture(params=[CustomersConsumer, AsyncCustomersConsumer], ids=["sync", "async"])
def cls(request: Any) -> Any:
    return declare_tags(request.param)


def test_response_handler_runs_before_the_conversion(serving: Any, cls: Any) -> None:
    consumer, tags = call(serving(200, '["a"]').url, cls, "handled")
    assert (consumer.seen, tags) == ([200], ["a"])


def test_response_handler_is_not_called_for_an_error(serving: Any, cls: Any) -> None:
    with pytest.raises(errors.SDKError) as caught:
        call(serving(500, "down").url, cls, "handled")
    assert caught.value.status_code == 500


def test_uplink_retry_decorator_retries_and_converts_the_body(
    serving: Any, http_response: Any, cls: Any
) -> None:
    server = serving(
        raw=[http_response(500, "down"), http_response(503, "down"), http_response(200, '["a"]')]
    )
    _, tags = call(server.url, cls, "retried")
    assert tags == ["a"]
    assert len(server.received) == 3


def test_uplink_retry_decorator_raises_the_last_error(serving: Any, cls: Any) -> None:
    server = serving(503, "down")
    with pytest.raises(errors.SDKError):
        call(server.url, cls, "retried")
    assert len(server.received) == 3
