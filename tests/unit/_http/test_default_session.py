"""Test that the default session omits only cookies and redirects."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from dub_uplink._http.default_session import RequestTemplate, make_session
from dub_uplink._internal.credentials import RedactedStr

SERVER = "https://dub.example"
TOKEN = RedactedStr("Bearer dub_x")


def respond(status: int = 200) -> urllib3.HTTPResponse:
    headers = {"Content-Type": "application/json; charset=utf-8", "X-Other": "1"}
    return urllib3.HTTPResponse(b"{}", headers, status=status, reason="Fine", preload_content=False)


def test_default_session_response_has_all_requests_attributes() -> None:
    request = requests.Request("GET", f"{SERVER}/customers").prepare()
    adapter, raw = make_session().get_adapter(SERVER), respond()
    assert isinstance(adapter, HTTPAdapter)
    ours, theirs = (
        adapter.build_response(request, raw),
        HTTPAdapter.build_response(adapter, request, raw),
    )
    assert vars(ours).keys() == vars(theirs).keys()
    different = {name for name in vars(ours) if getattr(ours, name) != getattr(theirs, name)}
    assert different <= {"cookies"}  # cookie jars are equal only if they are the same object


def test_default_session_request_has_all_requests_attributes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NETRC", raising=False)
    session, headers = make_session(), {"User-Agent": "test", "Accept": "application/json"}
    template = RequestTemplate(session, SERVER, headers)
    extras: dict[str, Any] = {"headers": {"X-Id": "1"}, "params": {"page": 2}, "data": b"{}"}
    ours = template.prepare("POST", f"{SERVER}/customers", extras, TOKEN)
    headers |= {"X-Id": "1", "Authorization": str.__str__(TOKEN)}
    theirs = session.prepare_request(
        requests.Request(
            "POST",
            f"{SERVER}/customers",
            headers=headers,
            params={"page": 2},
            data=b"{}",
            auth=lambda it: it,
        )
    )
    assert (ours.method, ours.url, ours.body) == (theirs.method, theirs.url, theirs.body)
    del theirs.headers["Connection"]  # the default of HTTP/1.1
    assert ours.headers == theirs.headers
    assert vars(ours).keys() == vars(theirs).keys()


def test_requests_from_one_template_have_separate_headers() -> None:
    template = RequestTemplate(make_session(), SERVER, {"Accept": "application/json"})
    first = template.prepare("GET", SERVER, {"headers": {"X-Id": "1"}}, TOKEN)
    second = template.prepare("GET", SERVER, {"headers": {}}, TOKEN)
    assert first.headers["X-Id"] == "1"
    assert "X-Id" not in second.headers


def test_request_headers_equal_a_case_insensitive_dict() -> None:
    template = RequestTemplate(make_session(), SERVER, {"Accept": "application/json"})
    headers = template.prepare("GET", SERVER, {"headers": {"X-Id": "1"}}, TOKEN).headers
    expected = CaseInsensitiveDict({name: headers[name] for name in headers})
    assert {"Accept", "X-Id", "Authorization"} <= set(headers)
    assert list(headers.items()) == list(expected.items())
    copy = headers.copy()
    copy["ACCEPT"] = "text/html"
    assert (headers["accept"], copy["accept"]) == ("application/json", "text/html")
    assert list(copy.items()) == list(CaseInsensitiveDict(dict(copy)).items())


@pytest.mark.parametrize("path", ["/customers/a%20b", "", "/customers?page=2#x"])
@pytest.mark.parametrize("proxies", [{}, {"http": "http://proxy.example:3128"}])
def test_default_session_request_line_equals_that_of_requests(
    path: str, proxies: dict[str, str]
) -> None:
    request = requests.Request("GET", f"http://dub.example{path}").prepare()
    adapter = make_session().get_adapter("http://dub.example")
    assert isinstance(adapter, HTTPAdapter)
    expected = HTTPAdapter.request_url(adapter, request, proxies)
    assert adapter.request_url(request, proxies) == expected


def test_default_session_responses_share_no_state() -> None:
    request = requests.Request("GET", f"{SERVER}/customers").prepare()
    adapters: list[Any] = [make_session().get_adapter(SERVER) for _ in range(2)]
    first, second = (adapter.build_response(request, respond()) for adapter in adapters)
    first.history.append(second)
    first.headers["X-Other"] = "2"
    first.cookies["trace"] = "1"
    assert (second.history, second.headers["X-Other"], dict(second.cookies)) == ([], "1", {})


def test_default_session_may_have_no_connection_header(monkeypatch: pytest.MonkeyPatch) -> None:
    class Replaced(requests.Session):
        def __init__(self) -> None:
            super().__init__()
            del self.headers["Connection"]

    monkeypatch.setattr(requests, "Session", Replaced)
    template = RequestTemplate(make_session(), SERVER, {"Accept": "application/json"})
    headers = template.prepare("GET", SERVER, {"headers": {}}, TOKEN).headers
    assert "Connection" not in headers


@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirect_is_returned_with_the_location_header(status: int) -> None:
    session = make_session()
    response = requests.Response()
    response.status_code = status
    response.headers["Location"] = "https://elsewhere.example"
    assert list(session.resolve_redirects(response, requests.PreparedRequest())) == []
    assert response.headers["Location"] == "https://elsewhere.example"
