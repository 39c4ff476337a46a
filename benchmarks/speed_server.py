"""Serve prepared responses from raw sockets, so that the server uses little CPU time.

Run as a script, it prints its port. ``/customers`` returns a list of 100 customers and
``/customers/missing`` an error. ``/many/customers`` has 10,000 customers in pages at cursors. The
script imports the standard library only.
"""

from __future__ import annotations

import json
import socket
import threading
from urllib.parse import parse_qsl

PAGE = 100
MANY = 10_000


def customer(number: int, *, expanded: bool = False) -> dict[str, object]:
    """Return a customer in the format of Dub's server."""
    sales = number % 3
    record: dict[str, object] = {
        "id": f"cus_1K{MANY - number:024d}",  # descending, because a list starts with the newest
        "name": f"Customer {number}",
        "email": f"customer-{number}@example.com",
        "avatar": f"https://dubassets.com/customers/{number}/avatar_a1b2c3d",
        "externalId": f"user_{number}",
        "stripeCustomerId": f"cus_S{number:013d}" if sales else None,
        "country": "GB",
        "sales": sales,
        "saleAmount": sales * 4900,
        "createdAt": "2026-08-21T21:14:02.000Z",
        "firstSaleAt": "2026-08-22T08:01:59.123Z" if sales else None,
        "subscriptionCanceledAt": None,
    }
    if expanded:
        record |= {
            "link": {
                "id": f"link_1K{number:022d}",
                "domain": "dub.sh",
                "key": f"go{number}",
                "shortLink": f"https://dub.sh/go{number}",
                "url": "https://example.com/pricing?via=partner",
                "programId": "prog_1K0000000000000000000001",
            },
            "programId": "prog_1K0000000000000000000001",
            "partner": {
                "id": f"pn_1K{number % 7:022d}",
                "name": "Grace Hopper",
                "email": "grace@example.com",
                "image": "https://dubassets.com/partners/grace",
            },
            "discount": {
                "id": "disc_1K00000000000000000000001",
                "amount": 25,
                "type": "percentage",
                "maxDuration": 12,
                "couponId": "XZuejd0Q",
                "couponTestId": None,
                "description": None,
                "partnersCount": 7,
            },
        }
    return record


def http_response(body: bytes, status: str = "200 OK") -> bytes:
    """Return the bytes of a response with the usual headers."""
    head = (
        f"HTTP/1.1 {status}\r\nDate: Sat, 22 Aug 2026 09:00:00 GMT\r\nServer: benchmark\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def encode(value: object) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


ERROR = {
    "error": {
        "code": "not_found",
        "message": "Customer not record.",
        "doc_url": "https://dub.co/docs/api-reference/errors#not-record",
    }
}
ONE = http_response(encode(customer(1)))
CREATED = http_response(encode(customer(1)), "201 Created")
MISSING = http_response(encode(ERROR), "404 Not Found")
LIST = http_response(encode([customer(n) for n in range(PAGE)]))
EXPANDED = http_response(encode([customer(n, expanded=True) for n in range(PAGE)]))
ALL = [encode(customer(n)) for n in range(MANY)]
POSITIONS = {str(customer(n)["id"]): n for n in range(MANY)}


def page(query: dict[str, str]) -> bytes:
    """Return a page of the 10,000 customers with the paging rules of Dub's server."""
    size = int(query.get("pageSize", PAGE))
    start = 0
    if "startingAfter" in query:
        start = POSITIONS[query["startingAfter"]] + 1
    elif "endingBefore" in query:
        end = POSITIONS[query["endingBefore"]]
        return http_response(b"[" + b",".join(ALL[max(0, end - size) : end]) + b"]")
    elif "page" in query:
        start = (int(query["page"]) - 1) * size
    return http_response(b"[" + b",".join(ALL[start : start + size]) + b"]")


def respond_to(line: bytes) -> bytes:
    """Return the response to a request line."""
    method, target, _ = line.decode().split(" ")
    path, _, query = target.partition("?")
    if method == "POST":
        return CREATED
    if path == "/many/customers":
        return page(dict(parse_qsl(query)))
    if path == "/customers":
        return EXPANDED if "includeExpandedFields=true" in query else LIST
    return MISSING if path.endswith("missing") else ONE


def serve(connection: socket.socket) -> None:
    """Serve one connection; a request with a body has a ``Content-Length`` header."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    while True:
        while b"\r\n\r\n" not in received:
            chunk = connection.recv(65536)
            if not chunk:
                return
            received += chunk
        head, _, received = received.partition(b"\r\n\r\n")
        if head.startswith((b"POST", b"PATCH")):
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(received) < length:
                received += connection.recv(65536)
            received = received[length:]
        connection.sendall(respond_to(head.partition(b"\r\n")[0]))


def main() -> None:
    """Listen on a free port and print it."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
