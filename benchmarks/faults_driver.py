"""Make one call with one client to a server that fails.

``python faults_driver.py ours|official URL create|lead|get|pickle`` prints the result of the call
as JSON. It runs in the environment of the client, and imports only that client and the standard
library.
"""

from __future__ import annotations

import importlib
import json
import logging
import pickle
import sys
import time
from collections.abc import Callable
from typing import Any

BODY = {"external_id": "user_1", "email": "ada@example.com", "country": "GB"}
#: The backoff of both clients: 0.5 s, doubled up to 8 s, at most 90 s in total.
STRATEGY = (500, 8_000, 2.0, 90_000)


LEAD = {"click_id": "c", "event_name": "Signed up", "customer_external_id": "user_1"}


def client(name: str, url: str) -> Any:
    """Return a client with retries, also after connection errors."""
    package = "dub_uplink" if name == "ours" else "dub"
    utils = importlib.import_module(f"{package}.utils")
    return importlib.import_module(package).Dub(
        token="dub_test",
        server_url=url,
        retry_config=utils.RetryConfig("backoff", utils.BackoffStrategy(*STRATEGY), True),
    )


def call(dub: Any, action: str) -> object:
    """Make one call."""
    if action == "create":
        if not hasattr(dub.customers, "create"):
            raise LookupError("has no such call")
        return str(dub.customers.create(request=BODY).external_id)
    if action == "lead":
        return str(lead(dub)(request=LEAD))
    return str(dub.customers.get(request={"id": "ext_user_1"}).external_id)


def lead(dub: Any) -> Callable[..., Any]:
    """Return the method for ``POST /track/lead``: of the SDK, or of a subclass of this client."""
    if hasattr(dub, "track"):
        return dub.track.lead  # type: ignore[no-any-return]
    ours, uplink = importlib.import_module("dub_uplink"), importlib.import_module("uplink")

    def declared(self: Any, request: bytes) -> Any:
        raise NotImplementedError

    post = ours.declare.post("track/lead", args={"request": uplink.Body})
    tracking = type("Tracking", (ours.CustomersConsumer,), {"lead": post(declared)})
    url = dub.customers._transport.server_url
    client = tracking("dub_test", server_url=url)
    return lambda request: client.lead(json.dumps(request).encode())


def error_pickles(dub: Any) -> bool:
    """Return whether an unpickled error equals the pickled one."""
    try:
        dub.customers.get(request={"id": "ext_nobody"})
    except Exception as error:  # noqa: BLE001 - the clients have different classes
        copy = pickle.loads(pickle.dumps(error))
        return type(copy) is type(error) and str(copy) == str(error)
    raise AssertionError("the call with an unknown id must fail")


def attempt(work: Callable[[], object]) -> dict[str, object]:
    """Return the result or the error of a call, and its seconds."""
    started = time.monotonic()
    outcome: dict[str, object] = {}
    try:
        outcome["value"] = work()
    except Exception as error:  # noqa: BLE001 - the class is part of the result
        error_type = type(error)
        outcome["error"] = f"{error_type.__module__.partition('.')[0]}.{error_type.__name__}"
        outcome["message"] = str(error)[:200]
        outcome["retry_after"] = getattr(error, "retry_after", None)
    outcome["seconds"] = time.monotonic() - started
    return outcome


def main(name: str, url: str, action: str) -> dict[str, object]:
    """Make the call and return its outcome."""
    logging.disable()
    dub = client(name, url)
    if action == "pickle":
        return attempt(lambda: error_pickles(dub))
    return attempt(lambda: call(dub, action))


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
