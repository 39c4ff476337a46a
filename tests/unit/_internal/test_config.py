"""Test the checks of constructor arguments: the token, the server URL and the HTTP client."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import requests
import uplink

from dub_uplink import Clock, CustomersConsumer, Dub, RetryBudget, RetryConfig, errors

MAKERS = pytest.mark.parametrize("make", [Dub, CustomersConsumer])


def listed(client: Any) -> Any:
    customers = client.customers if isinstance(client, Dub) else client
    return customers.list()


@MAKERS
def test_missing_token_error_names_the_environment_variable(make: Any) -> None:
    with pytest.raises(ValueError, match="DUB_API_KEY"):
        make()
    with pytest.raises(ValueError, match="DUB_API_KEY"):
        make(token=None)


@MAKERS
def test_empty_token_variable_counts_as_missing(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUB_API_KEY", "")
    with pytest.raises(ValueError, match="DUB_API_KEY"):
        make()


@MAKERS
def test_token_argument_overrides_the_environment(
    make: Any, serving: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serving()
    monkeypatch.setenv("DUB_API_KEY", "dub_environment")
    listed(make(server_url=server.url, client=client))
    listed(make("dub_given", server_url=server.url, client=client))
    listed(make(token="dub_keyword", server_url=server.url, client=client))
    sent = [request.headers["authorization"] for request in server.received]
    assert sent == ["Bearer dub_environment", "Bearer dub_given", "Bearer dub_keyword"]


def test_token_callable_is_called_for_every_request(serving: Any, client: Any) -> None:
    server = serving()
    tokens = iter(["dub_1", "dub_2", "dub_3"])
    customers = CustomersConsumer(lambda: next(tokens), server_url=server.url, client=client)
    for _ in range(3):
        customers.list()
    sent = [request.headers["authorization"] for request in server.received]
    assert sent == ["Bearer dub_1", "Bearer dub_2", "Bearer dub_3"]
    assert all(len([x for x in r.lines if "uthorization" in x]) == 1 for r in server.received)


BAD = [
    "",
    " ",
    "dub_s3cr3t\n",
    " dub_s3cr3t",
    "dub_s3 cr3t",
    "dub_s3cr3t\x00",
    "dub_s3cr3t\r\nX: y",
]
BAD += ["dub_s3cr3té", "dub_s3cr3t\u2028", "Bearer dub_s3cr3t"]


@pytest.mark.parametrize("token", BAD)
def test_token_invalid_in_a_header_raises_and_is_not_shown(
    serving: Any, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    server = serving()
    with pytest.raises(ValueError, match=r"^the token ") as given:
        Dub(token)
    with pytest.raises(ValueError, match=r"^the token ") as called:
        Dub(lambda: token, server_url=server.url).customers.list()
    messages = [str(given.value), str(called.value)]
    if token and "\x00" not in token:
        monkeypatch.setenv("DUB_API_KEY", token)
        with pytest.raises(ValueError, match=r"^the token ") as found:
            Dub()
        messages.append(str(found.value))
    assert not any("s3cr3t" in message for message in messages)
    assert server.connections == 0


@pytest.mark.parametrize("token", [5, b"dub_s3cr3t", ["dub_s3cr3t"], {"token": "dub_s3cr3t"}])
def test_token_of_wrong_type_raises_and_is_not_shown(token: Any) -> None:
    with pytest.raises(TypeError, match="token") as given:
        Dub(token)
    with pytest.raises(TypeError, match="token") as called:
        Dub(lambda: token).customers.list()
    assert "s3cr3t" not in f"{given.value} {called.value}"


def test_token_callable_exception_propagates(serving: Any) -> None:
    class VaultSealed(Exception):
        pass

    def token() -> str:
        raise VaultSealed

    server = serving()
    with pytest.raises(VaultSealed):
        Dub(token, server_url=server.url).customers.list()
    assert server.connections == 0


@pytest.mark.parametrize("path", ["", "/", "//", "/prefix", "/prefix/", "/a/b%20c/"])
def test_server_url_path_joins_with_or_without_a_slash(
    serving: Any, client: Any, path: str
) -> None:
    server = serving(200, '{"id": "cus_1"}')
    customers = CustomersConsumer("dub_x", server_url=server.url + path, client=client)
    customers.get("cus_1")
    customers.create({"external_id": "u"})
    prefix = path.rstrip("/")
    assert [request.target for request in server.received] == [
        f"{prefix}/customers/cus_1",
        f"{prefix}/customers",
    ]


@MAKERS
def test_server_url_comes_from_argument_environment_or_default(
    make: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, other = serving(), serving()
    assert "https://api.dub.co/" in repr(make("dub_x"))
    monkeypatch.setenv("DUB_SERVER_URL", server.url)
    listed(make("dub_x"))
    listed(make("dub_x", server_url=other.url))
    assert (len(server.received), len(other.received)) == (1, 1)
    monkeypatch.setenv("DUB_SERVER_URL", "")
    assert "https://api.dub.co/" in repr(make("dub_x"))


BAD_SERVERS = ["", "api.dub.co", "//api.dub.co", "ftp://api.dub.co", "https://", "https:///x"]
BAD_SERVERS += ["https://api.dub.co:99999", "https://api.dub.co:x", "https://[::1"]
BAD_SERVERS += ["https://api.dub.co?a=b", "https://api.dub.co/#x", "https://api.dub.co?"]
BAD_SERVERS += [
    "https://api dub.co",
    "https://api.dub.co/a b",
    "https://api.dub.co/ü",
    "https://dü bco.example",
    "https://\u2024.example",
    "https://\u200d.example",
    "https://ü.example\\",
    "https://ü.example\\/v1",
    "https://ü.ex\tample",
    "https://ü.example^",
    "https://bücher..example",
    "https://api..dub.co",
    "https://.dub.co",
    "https://ü.example..",
]


@pytest.mark.parametrize("server_url", BAD_SERVERS)
def test_invalid_server_url_raises_value_error(
    monkeypatch: pytest.MonkeyPatch, server_url: str
) -> None:
    with pytest.raises(ValueError, match=r"^server_url "):
        Dub("dub_x", server_url=server_url)
    if server_url:
        monkeypatch.setenv("DUB_SERVER_URL", server_url)
        with pytest.raises(ValueError, match=r"^server_url "):
            Dub("dub_x")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("HTTPS://Api.dub.co", "https://Api.dub.co/"),
        (" https://api.dub.co\n", "https://api.dub.co/"),
        ("\thttps://api.dub.co/v1/ ", "https://api.dub.co/v1/"),
        ("https://bücher.example", "https://xn--bcher-kva.example/"),
        ("https://BÜCHER.example:8443/v1", "https://xn--bcher-kva.example:8443/v1/"),
        ("https://faß.example", "https://xn--fa-hia.example/"),
        ("https://例え.テスト", "https://xn--r8jz45g.xn--zckzah/"),
    ],
)
def test_server_url_with_spaces_or_unicode_host_is_normalized(given: str, used: str) -> None:
    assert used in repr(Dub("dub_x", server_url=given))


def test_server_url_credentials_raise_and_are_not_shown() -> None:
    with pytest.raises(ValueError, match="credentials") as caught:
        Dub("dub_x", server_url="https://user:s3cr3t@api.dub.co")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize("server_url", [5, b"https://api.dub.co", object()])
def test_server_url_of_wrong_type_raises_type_error(server_url: Any) -> None:
    with pytest.raises(TypeError, match="server_url must be a string"):
        Dub("dub_x", server_url=server_url)


@MAKERS
def test_unencrypted_server_url_warns_unless_loopback(make: Any) -> None:
    with pytest.warns(UserWarning, match=r"unencrypted over http to dub\.internal") as caught:
        make("dub_x", server_url="http://dub.internal")
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for host in ("localhost", "dub.localhost", "127.0.0.1", "127.9.9.9", "[::1]"):
            make("dub_x", server_url=f"http://{host}:8000")
        make("dub_x", server_url="https://dub.internal")


def test_unencrypted_url_warning_points_at_the_constructor_call() -> None:
    with pytest.warns(UserWarning, match="unencrypted") as caught:
        Dub("dub_x", server_url="http://dub.internal")
    assert caught[0].filename == __file__


@MAKERS
@pytest.mark.parametrize("client", [object(), "session", requests, uplink.RequestsClient, 5])
def test_unsupported_client_argument_raises_type_error(make: Any, client: Any) -> None:
    with pytest.raises(TypeError, match=r"^client must be a requests\.Session or an uplink"):
        make("dub_x", client=client)


def test_async_uplink_client_raises_type_error() -> None:
    class Asynchronous(uplink.RequestsClient):
        @staticmethod
        def io() -> Any:
            return uplink.clients.io.AsyncioStrategy()

    with pytest.raises(TypeError, match="client must be synchronous, not Asynchronous"):
        Dub("dub_x", client=Asynchronous(requests.Session()))


@MAKERS
def test_unknown_constructor_argument_raises_type_error(make: Any) -> None:
    with pytest.raises(TypeError, match="clinet"):
        make("dub_x", clinet=None)
    with pytest.raises(TypeError, match="positional"):
        make("dub_x", "https://api.dub.co")


@MAKERS
@pytest.mark.parametrize(
    "argument",
    [
        {"retry_config": "backoff"},
        {"retry_config": {"strategy": "none"}},
        {"retry_budget": 5},
        {"clock": 5},
        {"on_retry": "log"},
    ],
)
def test_constructor_option_of_wrong_type_raises_type_error(
    make: Any, argument: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match=next(iter(argument))):
        make("dub_x", **argument)


@MAKERS
@pytest.mark.parametrize("timeout_ms", [0, -1, float("inf"), float("nan"), 1e300, 86_400_001])
def test_timeout_out_of_range_raises_value_error(make: Any, serving: Any, timeout_ms: Any) -> None:
    server = serving()
    with pytest.raises(ValueError, match="timeout_ms"):
        make("dub_x", timeout_ms=timeout_ms)
    with pytest.raises(ValueError, match="timeout_ms"):
        CustomersConsumer("dub_x", server_url=server.url).list(timeout_ms=timeout_ms)
    assert server.connections == 0


@pytest.mark.parametrize("timeout_ms", ["5", True, [5]])
def test_timeout_of_wrong_type_raises_type_error(serving: Any, timeout_ms: Any) -> None:
    server = serving()
    with pytest.raises(TypeError, match="timeout_ms must be a number"):
        Dub("dub_x", timeout_ms=timeout_ms)
    with pytest.raises(TypeError, match="timeout_ms must be a number"):
        CustomersConsumer("dub_x", server_url=server.url).list(timeout_ms=timeout_ms)
    assert server.connections == 0


def test_timeout_too_large_for_a_float_raises_value_error() -> None:
    with pytest.raises(
        ValueError, match=r"timeout_ms must be above 0 and at most 86,400,000 \(a day\)"
    ):
        Dub("dub_x", timeout_ms=10**400)


def test_dub_passes_every_setting_to_customers_consumer(serving: Any, http_response: Any) -> None:
    server = serving(raw=[http_response(500, ""), http_response(200, "[]")])
    retried: list[tuple[Any, ...]] = []
    slept: list[float] = []
    budget = RetryBudget(3)
    dub = Dub(
        "dub_x",
        server_url=server.url,
        client=requests.Session(),
        retry_config=RetryConfig(),
        timeout_ms=2000,
        retry_budget=budget,
        on_retry=lambda *arguments: retried.append(arguments),
        clock=Clock(sleep=slept.append),
    )
    assert dub.customers.list() == []
    assert (len(slept), len(retried), len(server.received)) == (1, 1, 2)
    assert dub.rate_limit_status is None
    assert repr(dub) == f"<Dub <CustomersConsumer {server.url}/>>"


@pytest.mark.parametrize("retries", ["none", 3, {"strategy": "none"}, False])
def test_retries_of_wrong_type_raise_before_sending(serving: Any, retries: Any) -> None:
    server = serving()
    customers = CustomersConsumer("dub_x", server_url=server.url)
    calls: list[Callable[[], Any]] = [
        lambda: customers.list(retries=retries),
        lambda: customers.create({"external_id": "u"}, retries=retries),
        lambda: customers.get("x", retries=retries),
        lambda: customers.update("x", retries=retries),
        lambda: customers.delete("x", retries=retries),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="retries must be a RetryConfig or None"):
            call()
    assert server.connections == 0


def test_rate_limit_status_comes_from_the_last_error(serving: Any, connect: Any) -> None:
    headers = {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "42"}
    customers = connect(serving(404, "", headers).url)
    assert customers.rate_limit_status is None
    with pytest.raises(errors.SDKError):
        customers.get("x")
    assert (customers.rate_limit_status.limit, customers.rate_limit_status.remaining) == (600, 42)
