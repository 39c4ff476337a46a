"""Test that any response body gives a value or a ``DubError``, in bounded time and memory."""

from __future__ import annotations

import gzip
import json
import pickle
import sys
import time
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dub_uplink import errors

CPU_SECONDS = 2.0  # for each response
MEMORY = 200 << 20

DEEP = 100_000
HOSTILE_BODIES: dict[str, bytes] = {
    "deep lists": b"[" * DEEP,
    "deep lists, closed": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP,
    "deep enough to read": b"[" * 900 + b"]" * 900,
    "a huge integer": b"9" * 100_000,
    "a huge negative integer": b"-" + b"9" * 100_000,
    "a huge float": b"1e" + b"9" * 1_000,
    "not a number": b"NaN",
    "infinity": b"-Infinity",
    "half a pair, escaped": b'"\\ud800"',
    "half a pair, in bytes": b'"\xed\xa0\x80"',
    "the other half": b'"\\udfff\\ud800"',
    "control characters": b'"\x1b[2J\\u001b[2J\\u0000\\r\\n\\u202e"',
    "control characters, escaped": b'"\\u001b[2J\\u0000\\r\\n\\u202e"',
    "keys twice": b'{"id": 1, "id": "cus_1", "id": null}',
    "keys of Python": b'{"id": "cus_1", "__class__": 1, "self": 2, "extra": {"extra": 3}}',
    "UTF-16": '"é"'.encode("utf-16"),
    "UTF-16, big": '"é"'.encode("utf-16-be"),
    "UTF-32": '"é"'.encode("utf-32"),
    "UTF-7": "+AGE-".encode("ascii"),
    "Latin-1": '"é"'.encode("latin-1"),
    "a byte order mark": b'\xef\xbb\xbf{"id": "cus_1"}',
    "two byte order marks": b'\xef\xbb\xbf\xef\xbb\xbf{"id": "cus_1"}',
    "no text": bytes(range(256)),
    "many words": b"ab " * 100_000,
    "many lists": b"[" + b"[]," * 50_000 + b"[]]",
    "blanks": b" " * 300_000,
}
#: The status and the surrounding text of a body.
ENVELOPES: dict[str, tuple[int, bytes]] = {
    "alone": (200, b"%s"),
    "as an id": (200, b'{"id": %s}'),
    "as a field": (200, b'{"id": "cus_1", "sales": %s, "name": "Ada"}'),
    "as a field to come": (200, b'{"id": "cus_1", "new": %s}'),
    "as an error": (404, b"%s"),
    "as a message": (404, b'{"error": {"code": "not_found", "message": %s}}'),
    "as a code": (503, b'{"error": {"code": %s, "message": "No."}}'),
}


def peak() -> int:
    """Return the peak memory of this process in bytes; 0 if the system does not count it."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def outcome(call: Any) -> Any:
    """Return the result or the error of a call, check its time and memory, and print the error."""
    started = time.process_time()
    try:
        result = call()
    except errors.DubError as error:
        result = error
    if isinstance(result, errors.DubError):
        line = str(result)
        assert line.isprintable()
        assert len(line) < 3_000
        assert result.__cause__ is None
        assert str(pickle.loads(pickle.dumps(result))) == line
    assert time.process_time() - started < CPU_SECONDS
    return result


@pytest.mark.promise("bodies-are-values-or-errors")
@pytest.mark.parametrize("place", ENVELOPES)
def test_hostile_body_parses_or_raises_dub_error(
    serving: Any, connect: Any, http_response: Any, place: str
) -> None:
    status, around = ENVELOPES[place]
    server = serving()
    customers = connect(server.url, timeout_ms=60_000)
    before = peak()
    for name, body in HOSTILE_BODIES.items():
        server.play(http_response(status, around.replace(b"%s", body)))
        result = outcome(lambda: customers.get("cus_1"))
        if status >= 400:
            assert isinstance(result, errors.APIStatusError), name
        elif place == "alone":
            outcome(customers.list)
    assert peak() - before < MEMORY


BODIES = st.binary(max_size=40) | st.lists(
    st.sampled_from([b"[", b"]", b"{", b"}", b'"id"', b":", b",", b'"a"', b"1", b"null", b"\xff"]),
    max_size=12,
).map(b"".join)
TYPES = st.sampled_from(["application/json", "text/html; charset=utf-16", "", "\xff/;=", "x" * 999])


@pytest.mark.promise("bodies-are-values-or-errors")
def test_any_body_parses_or_raises_dub_error(serving: Any, reach: Any, http_response: Any) -> None:
    server = serving()
    customers = reach(server.url)

    @settings(max_examples=20)
    @given(BODIES, st.sampled_from([200, 201, 206, 300, 304, 400, 404, 429, 500, 599, 999]), TYPES)
    @example(b'{"id": "cus_1"}', 200, "application/json")
    def check(body: bytes, status: int, content_type: str) -> None:
        server.play(http_response(status, body, {"Content-Type": content_type}))
        outcome(customers.list)
        outcome(lambda: customers.get("cus_1"))
        outcome(lambda: customers.delete("cus_1"))

    check()


@pytest.mark.promise("bodies-are-values-or-errors")
def test_any_bytes_instead_of_http_raise_dub_error(serving: Any, reach: Any, step: Any) -> None:
    server = serving()
    customers = reach(server.url)
    pieces = [
        b"HTTP/1.1 ",
        b"200 OK",
        b"\r\n",
        b"\r\n\r\n",
        b"Content-Length: ",
        b"-1",
        b"[]",
        b": ",
    ]
    pieces += [b"Transfer-Encoding: chunked", b"0", b"Content-Encoding: gzip", b"\0", b"\xff"]

    @settings(max_examples=20)
    @given(st.lists(st.sampled_from(pieces), max_size=12).map(b"".join))
    @example(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n[]")
    @example(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n[]")
    @example(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n[]")
    @example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n[]\r\n")
    @example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 99 + b"\r\n")
    def check(raw: bytes) -> None:
        server.play(step(raw, "close"))
        outcome(customers.list)

    check()


@pytest.mark.promise("bodies-are-values-or-errors")
@pytest.mark.parametrize("line", [b"a", b"//", b"x@"])
def test_long_line_instead_of_http_raises_in_bounded_time(
    serving: Any, reach: Any, line: bytes
) -> None:
    # 60,000 bytes are below the limit of http.client for a line, which the error message quotes.
    server = serving(raw=line * (60_000 // len(line)) + b"\r\n", then="close")
    result = outcome(reach(server.url, timeout_ms=60_000).list)
    assert isinstance(result, errors.APIConnectionError)


@pytest.mark.promise("record-count-is-bounded")
def test_list_response_above_the_page_size_limit_is_rejected(serving: Any, reach_own: Any) -> None:
    body = b"[" + b'{"id":"c"},' * 10_000 + b"{}]"
    with pytest.raises(errors.ResponseValidationError, match="it has 10001 records"):
        reach_own(serving(200, body).url).list()


def zeros(megabytes: int, wbits: int) -> bytes:
    """Return a compressed body of zeros without its end, which no client may reach."""
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    # After a full flush equal input gives equal output, whatever precedes it.
    first, again = (
        packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    return first + again * (megabytes - 1)


BOMBS: dict[str, tuple[str, bytes]] = {
    "gzip": ("gzip", zeros(250, 31)),
    "deflate": ("deflate", zeros(250, 15)),
    "many members": ("gzip", gzip.compress(bytes(5 << 20)) * 50),
    "gzip in capitals": (" GZIP ", zeros(40, 31)),
}


@pytest.mark.promise("decompression-is-bounded")
@pytest.mark.parametrize("name", BOMBS)
def test_compression_bomb_is_decoded_only_to_the_size_limit(
    serving: Any, reach: Any, name: str
) -> None:
    coding, packed = BOMBS[name]
    assert len(packed) < 300_000
    customers = reach(serving(200, packed, {"Content-Encoding": coding}).url, timeout_ms=60_000)
    tracemalloc.start()
    try:
        error = outcome(customers.list)
        assert tracemalloc.get_traced_memory()[1] < 70 << 20
    finally:
        tracemalloc.stop()
    assert str(error) == "GET: the response was not read: the response body is larger than 32 MB"


@pytest.mark.promise("decompression-is-bounded")
@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "\xff"])
def test_unrequested_content_encoding_is_rejected(serving: Any, reach: Any, coding: str) -> None:
    server = serving(200, b"\x1b\xff\xff", {"Content-Encoding": coding})
    with pytest.raises(errors.APIConnectionError, match="not requested") as caught:
        reach(server.url).list()
    assert "the response was not read: its Content-Encoding is" in str(caught.value)
    assert server.received[0].headers["accept-encoding"] == "gzip, deflate"


WHOLE = json.dumps([{"id": "cus_1", "name": "Ada" * 100}]).encode()
PACKED: dict[str, tuple[str, bytes]] = {
    "gzip": ("gzip", gzip.compress(WHOLE)),
    "deflate": ("deflate", zlib.compress(WHOLE)),
    "x-gzip": ("X-Gzip", gzip.compress(WHOLE)),
    "identity": ("identity", WHOLE),
    "two members": ("gzip", gzip.compress(WHOLE[:50]) + gzip.compress(WHOLE[50:])),
    "padding after its end": ("gzip", gzip.compress(WHOLE) + bytes(10)),
}


@pytest.mark.parametrize("name", PACKED)
def test_requested_content_encodings_are_decoded(serving: Any, reach: Any, name: str) -> None:
    coding, packed = PACKED[name]
    server = serving(200, packed, {"Content-Encoding": coding}, drip=0.0001)
    assert [customer.id for customer in reach(server.url).list()] == ["cus_1"]


@pytest.mark.parametrize("missing", [1, 8, 20])
@pytest.mark.parametrize("status", [200, 404])
def test_truncated_compressed_body_raises_dub_error(
    serving: Any, reach: Any, missing: int, status: int
) -> None:
    server = serving(status, gzip.compress(WHOLE)[:-missing], {"Content-Encoding": "gzip"})
    with pytest.raises(errors.APIConnectionError, match="the compressed data is truncated"):
        reach(server.url).list()


@pytest.mark.promise("body-size-is-bounded")
@pytest.mark.parametrize("status", [200, 500])
def test_endless_body_is_read_only_to_32_mb(serving: Any, reach: Any, status: int) -> None:
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n\r\n" % status
    server = serving(raw=head + b"[" + b" " * (33 << 20), then="close")
    error = outcome(reach(server.url, timeout_ms=60_000).list)
    assert type(error) is errors.APIConnectionError
    assert str(error).endswith("the response was not read: the response body is larger than 32 MB")
