"""Print the behaviour of another client as JSON, for the table in ``docs/compare.rst``.

Runs in an environment with one client: ``python compared.py dub``, ``openai`` or ``stripe``. A
server in this process records the requests and sends the responses.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import json
import logging
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RETRIED = 503


class Handler(BaseHTTPRequestHandler):
    """Sends the next status of the script, or 200, and the body, after a delay if scripted."""

    protocol_version = "HTTP/1.1"

    def respond(self) -> None:
        length = int(self.headers.get("content-length", 0))
        sent = self.rfile.read(length).decode()
        requests.append((self.command, self.path, dict(self.headers), sent))
        body = json.dumps(script["body"]).encode()
        self.send_response(script["statuses"].pop(0) if script["statuses"] else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            if script["slow"]:
                for number in range(len(body)):
                    self.wfile.write(body[number : number + 1])
                    time.sleep(script["slow"] / len(body))
            else:
                self.wfile.write(body)

    do_GET = do_POST = do_PATCH = respond

    def log_message(self, *_: Any) -> None: ...


requests: list[tuple[str, str, dict[str, str], str]] = []
script: dict[str, Any] = {"statuses": [], "body": {}, "slow": 0.0}


def sent_by(call: Any, statuses: tuple[int, ...] = (), slow: float = 0.0) -> Any:
    """Return the requests of a call, its result, and the name of its error."""
    requests.clear()
    script.update(statuses=[*statuses], slow=slow)
    result, error = None, None
    try:
        result = call()
    except Exception as raised:  # noqa: BLE001 - the comparison needs its name
        error = type(raised).__name__
    return [*requests], result, error


def has_key(sent: list[Any]) -> bool:
    """Return whether each request has an idempotency key."""
    return all("idempotency-key" in {name.lower() for name in one[2]} for one in sent)


def scripts_of(name: str) -> list[str]:
    """Return the commands that the package installs."""
    entry_points = importlib.metadata.distribution(name).entry_points
    return sorted(each.name for each in entry_points if each.group == "console_scripts")


def dub(url: str) -> dict[str, Any]:
    from dub import Dub, utils

    calls: list[int] = []

    def token() -> str:
        calls.append(1)
        return "dub_test"

    client = Dub(token, server_url=url)
    get = client.customers.get
    customer = {"id": "cus_1", "name": "Ada", "externalId": "1", "createdAt": "x", "sales": 0}
    script["body"] = {**customer, "newField": 1}
    query = {"id": "cus_1", "newFilter": "a"}
    sent, found, error = sent_by(lambda: get(request=query))
    retried = utils.RetryConfig("backoff", utils.BackoffStrategy(1, 1, 1.0, 5_000, 0), True)
    change = {"id": "cus_1", "request_body": {"name": "Ada"}}
    calls.clear()
    repeated, _, _ = sent_by(
        lambda: client.customers.update(request=change, retries=retried), (RETRIED, RETRIED)
    )
    tokens = len(calls)
    _, _, wrong = sent_by(lambda: client.customers.list(request={"page_size": "many"}))
    _, _, slow_error = sent_by(lambda: get(request=query, timeout_ms=600), slow=1.5)
    return {
        "calls": sorted(n for n in vars(type(client.customers)) if not n.startswith("_")),
        "options": list(inspect.signature(get).parameters)[-4:],
        "error": error,
        "unknown field kept": "newField" in str(found),
        "unknown parameter sent": "newFilter" in sent[0][1],
        "tokens of the repeated call": tokens,
        "requests without retries": len(sent_by(lambda: get(request=query), (RETRIED,) * 9)[0]),
        "repeated": [one[0] for one in repeated],
        "key": has_key(repeated),
        "wrong argument": wrong,
        "slow response": slow_error,
        "views": hasattr(client, "with_options"),
        "raw": hasattr(client.customers, "with_raw_response"),
        "requests of one's own": hasattr(client, "get") or hasattr(client, "request"),
        "client": type(client.sdk_configuration.client).__module__.partition(".")[0],
        "log": type(client.sdk_configuration.debug_logger).__name__,
        "webhooks": hasattr(client, "webhooks"),
        "scripts": scripts_of("dub"),
    }


def openai(url: str) -> dict[str, Any]:
    import httpx2
    from openai import OpenAI

    calls: list[int] = []

    def key() -> str:
        calls.append(1)
        return "sk-test"

    client = OpenAI(api_key=key, base_url=url)
    script["body"] = {"id": "m", "object": "model", "created": 1, "owned_by": "a", "newField": 1}
    get = client.models.retrieve
    sent, found, error = sent_by(lambda: get("m", extra_query={"newFilter": "a"}))
    calls.clear()
    create = client.embeddings.create
    repeated, _, _ = sent_by(lambda: create(model="m", input="a"), (RETRIED,) * 9)
    tokens = len(calls)
    wrong_sent, _, _ = sent_by(lambda: create(model=5, input={"a": 1}))
    _, _, slow_error = sent_by(lambda: get("m", timeout=0.6), slow=1.5)
    raw = client.models.with_raw_response.retrieve("m")

    return {
        "options": [name for name in inspect.signature(get).parameters if name != "model"],
        "error": error,
        "unknown field kept": found.to_dict().get("newField") == 1,
        "unknown parameter sent": "newFilter=a" in sent[0][1],
        "tokens of the repeated call": tokens,
        "requests with default retries": len(repeated),
        "key": has_key(repeated),
        "wrong argument sent": bool(wrong_sent),
        "slow response": slow_error,
        "views": type(client.with_options(max_retries=0)).__name__,
        "raw": [raw.status_code, raw.headers["content-type"], type(raw.parse()).__name__],
        "requests of one's own": [hasattr(client, "get"), hasattr(client, "post")],
        "client": type(OpenAI(api_key="a", http_client=httpx2.Client())._client).__module__,
        "pages iterate": hasattr(type(client.models.list()), "__iter__"),
        "webhooks": [hasattr(client.webhooks, "unwrap")],
        "scripts": scripts_of("openai"),
    }


def stripe(url: str) -> dict[str, Any]:
    import stripe as library

    http = library.RequestsClient(timeout=0.6)
    client = library.StripeClient("sk_test", base_addresses={"api": url}, http_client=http)
    script["body"] = {"id": "cus_1", "object": "customer", "newField": {"a": 1}}
    customers = client.v1.customers
    sent, found, error = sent_by(lambda: customers.retrieve("cus_1", {"newFilter": "a"}))
    repeated, _, _ = sent_by(lambda: customers.create({"name": "Ada"}), (RETRIED,) * 9)
    wrong_sent, _, _ = sent_by(lambda: customers.create({"name": 5}))
    _, _, slow_error = sent_by(lambda: customers.retrieve("cus_1"), slow=1.5)
    library.api_key, library.api_base = "sk_test", url
    of_module, _, _ = sent_by(lambda: library.Customer.create(name="Ada"), (RETRIED,) * 9)
    clients = ("RequestsClient", "HTTPXClient", "AIOHTTPClient", "PycurlClient", "UrllibClient")
    return {
        "calls": sorted(n for n in dir(type(customers)) if not n.startswith("_")),
        "options": sorted(library.RequestOptions.__annotations__),
        "error": error,
        "unknown field kept": found.to_dict().get("newField") == {"a": 1},
        "unknown parameter sent": "newFilter=a" in sent[0][1],
        "requests with default retries": [len(repeated), len(of_module)],
        "key": has_key(repeated + of_module),
        "wrong argument sent": bool(wrong_sent),
        "slow response": slow_error,
        "views": hasattr(client, "with_options"),
        "raw": [found.last_response.code, type(found.last_response).__name__],
        "requests of one's own": hasattr(client, "raw_request"),
        "clients": [name for name in clients if hasattr(library, name)],
        "key is a string": inspect.signature(library.StripeClient).parameters["api_key"].annotation,
        "pages iterate": hasattr(library.ListObject, "auto_paging_iter"),
        "webhooks": hasattr(client, "construct_event"),
        "from plain data": library.Customer.construct_from(found.to_dict(), None).id,
        "scripts": scripts_of("stripe"),
    }


if __name__ == "__main__":
    logging.disable()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    compared = {"dub": dub, "openai": openai, "stripe": stripe}[sys.argv[1]]
    print(json.dumps(compared(f"http://127.0.0.1:{server.server_port}"), default=str, indent=1))
