"""One call of one client on a server that fails; run by the interpreter that has the client.

``python faults_driver.py ours|official URL create|lead|get|pickle`` writes, as JSON, what the
caller got. Imports the client that it is told to, and else nothing outside the standard library.
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
#: The same for both: 0.5 s, doubled up to 8 s, 90 s in all, connection errors too.
STRATEGY = (500, 8_000, 2.0, 90_000)


LEAD = {"click_id": "c", "event_name": "Signed up", "customer_external_id": "user_1"}


def client(name: str, url: str) -> Any:
    """A client with retries turned on."""
    package = "dub_uplink" if name == "ours" else "dub"
    utils = importlib.import_module(f"{package}.utils")
    return importlib.import_module(package).Dub(
        token="dub_test",
        server_url=url,
        retry_config=utils.RetryConfig("backoff", utils.BackoffStrategy(*STRATEGY), True),
    )


def call(made: Any, action: str) -> object:
    """Make one call."""
    if action == "create":
        if not hasattr(made.customers, "create"):
            raise LookupError("has no such call")
        return str(made.customers.create(request=BODY).external_id)
    if action == "lead":
        return str(lead(made)(request=LEAD))
    return str(made.customers.get(request={"id": "ext_user_1"}).external_id)


def lead(made: Any) -> Callable[..., Any]:
    """``POST /track/lead``: the SDK's method, or that of a subclass of this client."""
    if hasattr(made, "track"):
        return made.track.lead  # type: ignore[no-any-return]
    ours, uplink = importlib.import_module("dub_uplink"), importlib.import_module("uplink")

    def declared(self: Any, request: bytes) -> Any:
        raise NotImplementedError

    post = ours.declare.post("track/lead", args={"request": uplink.Body})
    tracking = type("Tracking", (ours.CustomersConsumer,), {"lead": post(declared)})
    url = made.customers._transport.server_url
    client = tracking("dub_test", server_url=url)
    return lambda request: client.lead(json.dumps(request).encode())


def survives_a_pickle(made: Any) -> bool:
    """Whether the error of a call comes out of a pickle as it went in."""
    try:
        made.customers.get(request={"id": "ext_nobody"})
    except Exception as error:  # noqa: BLE001 - of whichever client
        twin = pickle.loads(pickle.dumps(error))
        return type(twin) is type(error) and str(twin) == str(error)
    raise AssertionError("there is no such customer")


def attempt(work: Callable[[], object]) -> dict[str, object]:
    """What came of it, and how long it took."""
    started = time.monotonic()
    seen: dict[str, object] = {}
    try:
        seen["value"] = work()
    except Exception as error:  # noqa: BLE001 - what it is, is the result
        kind = type(error)
        seen["error"] = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
        seen["message"] = str(error)[:200]
        seen["retry_after"] = getattr(error, "retry_after", None)
    seen["seconds"] = time.monotonic() - started
    return seen


def main(name: str, url: str, action: str) -> dict[str, object]:
    logging.disable()
    made = client(name, url)
    if action == "pickle":
        return attempt(lambda: survives_a_pickle(made))
    return attempt(lambda: call(made, action))


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
