"""Check that any bytes as a response become a value or a ``DubError``.

    python -m benchmarks.fuzz --runs 1000000                    # random changes; no other package
    python -m benchmarks.fuzz --engine hypothesis --runs 100000
    python -m benchmarks.fuzz --engine atheris --runs 1000000   # pip install atheris

The time and the memory of each input are bounded. ``--through sockets`` makes one call of
``CustomersConsumer`` for each input, which runs all of its code: uplink, the transport, requests,
urllib3, http.client, content decoding, error classes, schemas (compiled, and those of marshmallow)
and models. The response is read from a socket pair. ``--through responses`` starts after the body
was read: content decoding, error classes, ``Retry-After``, the readers of the endpoints, schemas
and models. It takes a tenth of the time. The results are checked: errors are printed and pickled,
values are inspected and printed.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import pickle
import random
import resource
import socket
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

if "atheris" in sys.argv:
    import atheris

    with atheris.instrument_imports(include=["dub_uplink", "json"]):
        # Imported here first, so that atheris instruments the package.

        import dub_uplink._customers.consumer  # noqa: F401

from dub_uplink import Customer, CustomersConsumer, DeadlineAdapter, errors
from dub_uplink._customers.schemas import CustomerSchema, DeletedSchema
from dub_uplink._declarative.converters import SchemaConverter, read_body
from dub_uplink._http import connection_errors
from dub_uplink._http.decoding import ContentDecoder
from dub_uplink._transport import errors as response_errors
from dub_uplink._transport.rate_limit_headers import parse_rate_limit_status
from dub_uplink._transport.retry_after import parse_retry_after
from dub_uplink.models.response import Response

MAX_SECONDS = 2.0  # for one input
MAX_MEMORY = 200 << 20  # bytes of growth of the process in total
MAX_RESPONSE = 60_000  # bytes of a response, so that it fits into the buffer of a socket

STATUSES = [200, 200, 201, 204, 206, 299, 302, 304, 308, 400, 401, 404, 409, 422, 429, 500, 503]
STATUSES += [100, 103, 199, 600, 999, 0]
TYPES = [
    "application/json",
    "application/json; charset=utf-16",
    "text/html",
    "",
    "\x80\xff",
    "a/b;",
]
CODINGS = ["", "", "", "gzip", "deflate", "x-gzip", "identity", "br", "zstd", "gzip, gzip", "\xff"]
WAITS = ["", "3", "1795333861424", "9" * 400, "-1", "nan", "Wed, 21 Oct 2015 07:28:00 GMT", "\xff"]
FIELDS = "id name email externalId country sales saleAmount createdAt firstSaleAt link discount new"

#: Functions that make a body from the rest of an input.
SHAPES: list[Callable[[bytes, int], bytes]] = [
    lambda rest, n: rest,
    lambda rest, n: b'{"id": %s}' % rest,
    lambda rest, n: b'{"id": "cus_1", "%s": %s}' % (FIELDS.split()[n % 12].encode(), rest),
    lambda rest, n: b'[{"id": "cus_1", "link": {"id": "l", "url": %s}}]' % rest,
    lambda rest, n: b'[{"id": "cus_1", "createdAt": "%s"}, {"id": "cus_2"}]' % rest,
    lambda rest, n: b'{"error": {"code": "not_found", "message": %s}}' % rest,
    lambda rest, n: b'{"error": {"code": "%s", "message": "m", "doc_url": %s}}' % (rest, rest),
    lambda rest, n: b'[{"id": "cus_1", "sales": %s}]' % (b"9" * (n * 40) + rest),
    lambda rest, n: (rest[:3] or b"[") * min(n * 200, MAX_RESPONSE // 3),
    lambda rest, n: b"\xef\xbb\xbf" + rest,
    lambda rest, n: rest.decode("latin-1").encode(
        ("utf-16", "utf-32", "utf-7", "cp1252")[n % 4], "replace"
    ),
]
CALLS: list[Callable[[CustomersConsumer], Any]] = [
    lambda c: c.list(),
    lambda c: c.get("ext_user_1", include_expanded_fields=True),
    lambda c: c.create({"external_id": "user_1", "country": "GB"}),
    lambda c: c.update("cus_1", {"name": "Ada"}),
    lambda c: c.delete("cus_1"),
]


def response_parts(data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Return a status, headers and a body; the first six bytes of an input select them."""
    choice, rest = data[:6].ljust(6, b"\0"), data[6:MAX_RESPONSE]
    body = SHAPES[choice[1] % len(SHAPES)](rest, choice[2])[:MAX_RESPONSE]
    coding = CODINGS[choice[3] % len(CODINGS)]
    repeat = 200 if choice[2] == 255 and len(body) < 1_000 else 1 + choice[2] % 2
    if choice[2] % 2 and coding in ("gzip", "x-gzip"):
        body = gzip.compress(body * repeat, 1, mtime=0)[:MAX_RESPONSE]
    elif choice[2] % 2 and coding == "deflate":
        body = zlib.compress(body * repeat, 1)[:MAX_RESPONSE]
    headers = {"Content-Type": TYPES[choice[5] % len(TYPES)]}
    if coding:
        headers["Content-Encoding"] = coding
    wait = WAITS[choice[5] // 8 % len(WAITS)]
    if wait:
        headers["Retry-After"] = headers["X-RateLimit-Reset"] = wait
    return STATUSES[choice[4] % len(STATUSES)], headers, body


def raw_response(data: bytes) -> bytes:
    """Return the bytes of a response; the seventh byte selects its framing."""
    if data[:1] >= b"\xe0":
        return data[1:MAX_RESPONSE]  # arbitrary bytes, including the status line
    status, headers, body = response_parts(data[:6] + data[7:])
    framing = (data[6:7] or b"\0")[0] % 8
    if framing < 4:
        headers["Content-Length"] = str(len(body))
    elif framing == 4:
        headers["Content-Length"] = str(len(body) + 9)
    elif framing < 7:
        headers["Transfer-Encoding"] = "chunked"
    if framing == 5:  # framing 6 has the header without the chunks
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode("latin-1") + body


class ScriptedAdapter(DeadlineAdapter):
    """An adapter whose connections are socket pairs that contain a prepared response."""

    response = b""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        adapter = self

        class Connection(HTTPConnection):
            def connect(self) -> None:
                self.sock, self.other = socket.socketpair()
                self.other.sendall(adapter.response)
                self.other.shutdown(socket.SHUT_WR)

            def close(self) -> None:
                HTTPConnection.close(self)
                if getattr(self, "other", None) is not None:
                    self.other.close()

        class Pool(HTTPConnectionPool):
            ConnectionCls = Connection

        self.poolmanager.pool_classes_by_scheme = {"http": Pool}


class Fuzz:
    """The outcomes of the inputs."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.slowest = 0.0
        self.findings: Counter[str] = Counter()
        self.before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def call(self, data: bytes) -> Any:
        """Return the result of a call with the response that an input describes."""
        raise NotImplementedError

    def check(self, data: bytes) -> None:
        """Check one input.

        Raises:
            AssertionError: The call took too much time or memory.
            Exception: The call raised an exception other than ``DubError``.
        """
        started = time.perf_counter()
        try:
            value = self.call(data)
        except errors.DubError as error:
            self.outcomes[type(error).__name__] += 1
            check_error(error)
        else:
            self.outcomes[type(value).__name__] += 1
            check_value(value)
        seconds = time.perf_counter() - started
        self.slowest = max(self.slowest, seconds)
        assert seconds < MAX_SECONDS, f"the call took {seconds:.1f} s"
        if self.outcomes.total() % 64 == 0:
            assert self.growth() < MAX_MEMORY, f"the process grew by {self.growth() >> 20} MB"

    def growth(self) -> int:
        """Return the peak growth of the process since the start, in bytes."""
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.before) * 1024

    def report(self) -> str:
        """Return the outcomes as text."""
        count = sum(self.outcomes.values())
        lines = [f"{count:,} inputs; at most {self.slowest * 1000:.0f} ms each"]
        lines += [f"the process grew by {self.growth() / (1 << 20):.0f} MB"]
        lines += [f"  {count:>9,}  {name}" for name, count in self.outcomes.most_common()]
        lines += [f"  {count:>9,}  FOUND: {finding}" for finding, count in self.findings.items()]
        return "\n".join(lines)


class Sockets(Fuzz):
    """Calls of the client with responses from a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.adapter = ScriptedAdapter()
        self.customers = CustomersConsumer(
            "dub_x", server_url="http://localhost", retry_config=None
        )
        # The default session is faster than a caller's session.
        backend: Any = self.customers._transport._backend
        backend._session.mount("http://", self.adapter)

    def call(self, data: bytes) -> Any:
        self.adapter.response = raw_response(data)
        try:
            return CALLS[(data[:1] or b"\0")[0] % len(CALLS)](self.customers)
        finally:
            self.adapter.poolmanager.clear()  # discard the unread rest of the response


class Responses(Fuzz):
    """The processing of responses that were read: decoding, errors, schemas and models."""

    def __init__(self) -> None:
        super().__init__()
        one, many = CustomerSchema(), CustomerSchema(many=True)
        convert = SchemaConverter().create_response_body_converter
        self.readers = [convert(schema, None) for schema in (many, one, DeletedSchema())]

    def call(self, data: bytes) -> Any:
        status, headers, body = response_parts(data[:6] + data[7:])
        try:
            decoder = ContentDecoder(headers.get("Content-Encoding", ""))
            body = b"".join(decoder.decode(body[at : at + 999]) for at in range(0, len(body), 999))
            decoder.check_complete()
        except (requests.RequestException, OSError) as error:
            failed = connection_errors.make_connection_error(
                connection_errors.IncompleteResponse(status, error), "GET", 1.0
            )
            connection_errors.is_transient(error)
            raise failed from None
        response = Response(status, headers, body)
        parse_rate_limit_status(response.headers, 1_795_333_861.0)
        parse_retry_after(headers.get("Retry-After", ""), 1_795_333_861.0)
        if response.ok and response_errors.is_truncated_json(response):
            raise errors.APIConnectionError("GET: the response ends within its JSON")
        reader = self.readers[(data[:1] or b"\0")[0] % 3]
        return read_body(reader, response_errors.raise_for_status(response))


def check_error(error: errors.DubError) -> None:
    """Check that an error is one printable line, pickles, and has no cause."""
    line = str(error)
    assert line.isprintable(), repr(line)
    assert len(line) < 3_000
    assert error.__cause__ is None
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), line)
    repr(error)
    if isinstance(error, (errors.APIStatusError, errors.ResponseValidationError)):
        assert isinstance(error.body, str)
        dict(error.headers)


def check_value(value: Any) -> None:
    """Check that the attributes of a value have the documented types."""
    customers = value if isinstance(value, list) else [value]
    for customer in customers:
        assert isinstance(customer.id, str)
        repr(customer)
        if isinstance(customer, Customer):
            for moment in (customer.created_at, customer.first_sale_at):
                assert moment is None or moment.tzinfo is not None
            for number in (customer.sales, customer.sale_amount):
                assert number is None or type(number) is int


def make_input(call: int, shape: int, rest: bytes, **choices: int) -> bytes:
    """Return an input for a call, a shape of its body, and other choices."""
    others = [choices.get(name, 0) for name in ("size", "coding", "status", "type", "framing")]
    return bytes([call, shape, *others]) + rest


#: The inputs that the engines mutate.
CORPUS = [
    make_input(0, 0, b"[]"),
    make_input(
        1, 0, b'{"id": "cus_1", "name": null, "sales": 1, "createdAt": "2026-08-21T21:14:02.000Z"}'
    ),
    make_input(
        0, 0, b'[{"id": "a", "link": {"id": "l"}, "partner": null, "discount": {"id": "d"}}]'
    ),
    make_input(
        1, 0, b'{"error": {"code": "not_found", "message": "No.", "doc_url": "x"}}', status=11
    ),
    make_input(
        1, 0, b'{"id": "a", "id": "b", "created_at": 1, "__class__": 2, "self": 3, "extra": {}}'
    ),
    make_input(1, 2, b"-1e999", size=5),
    make_input(1, 2, b'"2026-13-01T00:00:00+99:99"', size=7),
    make_input(1, 2, b'"\\ud800"', size=1),
    make_input(1, 2, b"NaN", size=5),
    make_input(1, 2, b"Infinity", size=6),
    make_input(1, 7, b"", size=255),
    make_input(0, 8, b"[", size=255),
    make_input(0, 8, b"[{}", size=255),
    make_input(0, 8, b'{"":', size=255),
    make_input(0, 8, b"[],", size=255, coding=3),
    make_input(0, 8, b"   ", size=255, coding=4),
    b"\xe0HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
    b"\xe0HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    b"\xe0HTTP/1.0 200\r\nContent-Length: 2, 2\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
]
TOKENS = [b"[", b"]", b"{", b"}", b'"', b",", b":", b"null", b"true", b"1e400", b"-0", b"NaN"]
TOKENS += [b"\\ud800", b"\xff", b"\xed\xa0\x80", b"\0", b"\r\n", b'"id"', b"2026-08-21T21:14:02Z"]
TOKENS += [b"9" * 5000, b"[" * 3000]


def mutate(generator: random.Random, known: list[bytes]) -> bytes:
    """Return a known input with up to six random changes."""
    data = bytearray(generator.choice(known))
    for _ in range(generator.randint(1, 6)):
        place = generator.randint(0, len(data))
        choice = generator.random()
        if choice < 0.3:
            data[place:place] = generator.choice(TOKENS)
        elif choice < 0.5:
            data[place : place + 1] = bytes([generator.randrange(256)])
        elif choice < 0.7:
            data[min(place, 6) : min(place, 6) + 1] = bytes([generator.randrange(256)])
        elif choice < 0.8:
            del data[place : place + generator.randint(1, 8)]
        elif choice < 0.9:
            other = generator.choice(known)
            data[place:] = other[generator.randint(0, len(other)) :]
        else:
            data[place:place] = generator.randbytes(generator.randint(1, 12))
    return bytes(data)


def run_random(fuzz: Fuzz, runs: int, number: int) -> None:
    """Check random mutations of the corpus; count the findings."""
    generator = random.Random(number)
    for data in CORPUS:
        fuzz.check(data)
    for _ in range(runs - len(CORPUS)):
        data = mutate(generator, CORPUS)
        try:
            fuzz.check(data)
        except Exception as error:  # noqa: BLE001 - every exception is a finding
            finding = f"{type(error).__name__}: {error}"[:200]
            if not fuzz.findings[finding]:
                sys.stdout.write(f"FOUND {finding}\n  by {data[:300]!r}\n")
            fuzz.findings[finding] += 1


def run_hypothesis(fuzz: Fuzz, runs: int, number: int) -> None:
    """Check inputs of hypothesis, which shrinks an input that fails."""
    import hypothesis  # noqa: PLC0415 - only this engine needs it
    from hypothesis import strategies as st  # noqa: PLC0415

    pieces = st.sampled_from(TOKENS) | st.binary(max_size=20)
    inputs = st.binary(min_size=7, max_size=7).flatmap(
        lambda head: st.lists(pieces, max_size=12).map(lambda rest: head + b"".join(rest))
    )

    @hypothesis.seed(number)
    @hypothesis.settings(max_examples=runs, deadline=None, database=None)
    @hypothesis.given(
        inputs
        | st.sampled_from(CORPUS).flatmap(
            lambda data: st.randoms().map(lambda generator: mutate(generator, [data]))
        )
    )
    def check(data: bytes) -> None:
        fuzz.check(data)

    check()


def run_atheris(fuzz: Fuzz, runs: int, number: int) -> None:
    """Check inputs of libFuzzer, which searches for new branches; it ends the process."""

    def check(data: bytes) -> None:
        fuzz.check(data)
        if fuzz.outcomes.total() == runs:
            sys.stdout.write(fuzz.report() + "\n")
            sys.stdout.flush()

    with tempfile.TemporaryDirectory() as corpus:
        for place, data in enumerate(CORPUS):
            (Path(corpus) / str(place)).write_bytes(data)
        argv = [sys.argv[0], f"-runs={runs}", f"-seed={number}", "-max_len=4096", corpus]
        atheris.Setup(argv, check)
        atheris.Fuzz()


def main() -> None:
    """Run an engine and print the outcomes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--engine", choices=["random", "hypothesis", "atheris"], default="random")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--through", choices=["sockets", "responses"], default="sockets")
    options = parser.parse_args()
    engines = {"random": run_random, "hypothesis": run_hypothesis, "atheris": run_atheris}
    fuzz = Sockets() if options.through == "sockets" else Responses()
    with contextlib.suppress(KeyboardInterrupt):
        engines[options.engine](fuzz, options.runs, options.seed)
    sys.stdout.write(fuzz.report() + "\n")
    sys.exit(1 if fuzz.findings else 0)


if __name__ == "__main__":
    main()
