"""The wire carries just what a caller gives, and any response is a value or a ``DubError``."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
import requests
from hypothesis import assume, given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter

from dub_uplink import CustomersConsumer, errors

# Any text but half a surrogate pair, which no encoding has.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ROUTES = {"", ".", "..", "count", "export", "search-stripe"}


class Echo(BaseAdapter):
    """Keeps the last request as it would go out; answers what it is told."""

    status = 200
    content = b'{"id": "cus_1"}'
    sent: Any = None

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.sent = request
        response = requests.Response()
        response.status_code = self.status
        response._content = self.content
        return response

    def close(self) -> None: ...


def pair(own: bool) -> tuple[CustomersConsumer, Echo]:
    """A client on an echo; with ``own`` on the session that it made itself."""
    echo = Echo()
    if own:
        customers = CustomersConsumer("dub_x", retry_config=None)
        session = customers._transport._backend._session  # type: ignore[union-attr]
    else:
        session = requests.Session()
        customers = CustomersConsumer("dub_x", client=session, retry_config=None)
    session.mount("https://", echo)
    return customers, echo


PAIRS = {own: pair(own) for own in (True, False)}
EITHER = pytest.mark.parametrize("own", [True, False], ids=["own", "given"])


def outcome(call: Callable[[], Any], echo: Echo) -> tuple[Any, errors.DubError | None]:
    """What a call gives, or the ``DubError`` that it raises; the echo is itself again after it."""
    try:
        return call(), None
    except errors.DubError as error:
        return None, error
    finally:
        echo.status, echo.content = Echo.status, Echo.content


@EITHER
@given(customer_id=TEXT)
def test_any_id_is_sent_as_one_encoded_path_segment(own: bool, customer_id: str) -> None:
    assume(customer_id not in ROUTES)
    customers, echo = PAIRS[own]
    customers.get(customer_id)
    assert echo.sent.url.startswith("https://api.dub.co/customers/")
    segment = echo.sent.path_url.removeprefix("/customers/")
    assert segment.isascii()
    assert not set(segment) & set("/?# ")
    assert unquote(segment, errors="strict") == customer_id


@EITHER
@given(filters=st.dictionaries(st.sampled_from(["email", "country", "search"]), TEXT))
def test_any_filters_are_sent_unchanged(own: bool, filters: dict[str, str]) -> None:
    assume(all(filters.values()))
    customers, echo = PAIRS[own]
    echo.content = b"[]"
    assert outcome(lambda: customers.list(filters), echo) == ([], None)
    query = echo.sent.path_url.removeprefix("/customers").removeprefix("?")
    pairs = [pair.split("=") for pair in query.split("&") if pair]
    decoded = {unquote(k.replace("+", " ")): unquote(v.replace("+", " ")) for k, v in pairs}
    assert decoded == filters


BODIES = st.fixed_dictionaries(
    {"external_id": TEXT},
    optional={
        "email": st.none() | TEXT,
        "name": st.none() | TEXT,
        "avatar": st.none() | TEXT,
        "stripe_customer_id": st.none() | TEXT,
        "country": TEXT,
    },
)
SPELLING = {"external_id": "externalId", "stripe_customer_id": "stripeCustomerId"}


@EITHER
@given(body=BODIES)
def test_any_body_is_sent_unchanged(own: bool, body: dict[str, Any]) -> None:
    customers, echo = PAIRS[own]
    customers.create(body)
    assert json.loads(echo.sent.body) == {SPELLING.get(k, k): v for k, v in body.items()}
    assert echo.sent.headers["Content-Length"] == str(len(echo.sent.body))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda children: st.lists(children) | st.dictionaries(TEXT, children),
    max_leaves=8,
)
MOMENTS = st.datetimes(timezones=st.just(dt.timezone.utc)).map(
    lambda m: m.isoformat(timespec="milliseconds").replace("+00:00", "Z")
)
SHAPES = st.fixed_dictionaries(
    {"id": TEXT | JSON},
    optional={
        "name": st.none() | TEXT | JSON,
        "sales": st.integers() | JSON,
        "createdAt": MOMENTS | TEXT | JSON,
        "link": JSON | st.fixed_dictionaries({"id": TEXT}),
        "unknown": JSON,
    },
)


@given(body=SHAPES | JSON)
def test_any_json_response_parses_or_raises_picklable_error(body: Any) -> None:
    customers, echo = PAIRS[False]
    echo.content = json.dumps(body).encode()
    customer, error = outcome(lambda: customers.get("cus_1"), echo)
    if error is not None:
        assert type(error) is errors.ResponseValidationError
        assert "\n" not in str(error)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
    else:
        assert customer.id == body["id"]
        assert isinstance(customer.id, str)
        assert customer.sales is None or isinstance(customer.sales, int)
        assert customer.created_at is None or customer.created_at.tzinfo is not None


@given(
    status=st.integers(200, 599), content=st.binary() | JSON.map(lambda b: json.dumps(b).encode())
)
def test_any_response_parses_or_raises_dub_error(status: int, content: bytes) -> None:
    customers, echo = PAIRS[False]
    echo.status, echo.content = status, content
    page, error = outcome(customers.list, echo)
    if error is None:
        assert 200 <= status < 300
        assert len(page) == len(json.loads(content))
    else:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000


ERRORS = st.fixed_dictionaries({"code": TEXT, "message": TEXT}, optional={"doc_url": TEXT | JSON})


@given(status=st.integers(400, 599), error=ERRORS)
def test_any_dub_error_raises_the_class_of_its_status(status: int, error: dict[str, Any]) -> None:
    customers, echo = PAIRS[False]
    echo.status, echo.content = status, json.dumps({"error": error}).encode()
    _, raised = outcome(customers.list, echo)
    assert type(raised) is errors.BY_STATUS.get(status, errors.SDKError)
    assert isinstance(raised, errors.APIStatusError)
    assert raised.code == error["code"]
    assert "\n" not in str(raised)
    copy = pickle.loads(pickle.dumps(raised))
    assert (str(copy), copy.data) == (str(raised), raised.data)
