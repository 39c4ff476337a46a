"""A server that costs next to nothing: raw sockets, answers made beforehand, its own process.

Run as a script it prints its port. ``/customers`` is a list of 100, ``/many/customers`` one of
10,000 that has pages at cursors, ``/customers/missing`` an error. Imports the standard library.
"""

from __future__ import annotations

import json
import socket
import threading
from urllib.parse import parse_qsl

PAGE = 100
MANY = 10_000


def customer(number: int, *, expanded: bool = False) -> dict[str, object]:
    """A customer as Dub's server writes it."""
    bought = number % 3
    found: dict[str, object] = {
        "id": f"cus_1K{MANY - number:024d}",  # the newest first, as the ids of a list go
        "name": f"Customer {number}",
        "email": f"customer-{number}@example.com",
        "avatar": f"https://dubassets.com/customers/{number}/avatar_a1b2c3d",
        "externalId": f"user_{number}",
        "stripeCustomerId": f"cus_S{number:013d}" if bought else None,
        "country": "GB",
        "sales": bought,
        "saleAmount": bought * 4900,
        "createdAt": "2026-08-21T21:14:02.000Z",
        "firstSaleAt": "2026-08-22T08:01:59.123Z" if bought else None,
        "subscriptionCanceledAt": None,
    }
    if expanded:
        found |= {
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
    return found


def answer(body: bytes, status: str = "200 OK") -> bytes:
    """The bytes of an answer, with the headers that every server sends."""
    head = (
        f"HTTP/1.1 {status}\r\nDate: Sat, 22 Aug 2026 09:00:00 GMT\r\nServer: benchmark\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


ERROR = {
    "error": {
        "code": "not_found",
        "message": "Customer not found.",
        "doc_url": "https://dub.co/docs/api-reference/errors#not-found",
    }
}
ONE = answer(encoded(customer(1)))
CREATED = answer(encoded(customer(1)), "201 Created")
MISSING = answer(encoded(ERROR), "404 Not Found")
LIST = answer(encoded([customer(n) for n in range(PAGE)]))
EXPANDED = answer(encoded([customer(n, expanded=True) for n in range(PAGE)]))
ALL = [encoded(customer(n)) for n in range(MANY)]
PLACES = {str(customer(n)["id"]): n for n in range(MANY)}


def page(query: dict[str, str]) -> bytes:
    """A page of the 10,000, as Dub's server cuts them."""
    size = int(query.get("pageSize", PAGE))
    start = 0
    if "startingAfter" in query:
        start = PLACES[query["startingAfter"]] + 1
    elif "endingBefore" in query:
        end = PLACES[query["endingBefore"]]
        return answer(b"[" + b",".join(ALL[max(0, end - size) : end]) + b"]")
    elif "page" in query:
        start = (int(query["page"]) - 1) * size
    return answer(b"[" + b",".join(ALL[start : start + size]) + b"]")


def answer_to(line: bytes) -> bytes:
    """The answer to a request by its first line."""
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
    """Answer requests, which have their length in a header where they have a body."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    got = b""
    while True:
        while b"\r\n\r\n" not in got:
            more = connection.recv(65536)
            if not more:
                return
            got += more
        head, _, got = got.partition(b"\r\n\r\n")
        if head.startswith((b"POST", b"PATCH")):
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(got) < length:
                got += connection.recv(65536)
            got = got[length:]
        connection.sendall(answer_to(head.partition(b"\r\n")[0]))


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - what the parent waits for
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
