"""The examples of the seed document run as they stand, with ``dub`` changed to ``dub_uplink``."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

import dub_uplink
from dub_uplink.testing import FakeDub


@pytest.fixture
def environment(fake: FakeDub, served: str, token: str, monkeypatch: pytest.MonkeyPatch) -> FakeDub:
    """The fake where the examples look for Dub; they give the token themselves."""
    monkeypatch.setenv("DUB_SERVER_URL", served)
    return fake


def test_official_example_lists_customers(environment: FakeDub, token: str) -> None:
    environment.add_many(2)
    from dub_uplink import Dub

    with Dub(token=token) as s:
        res = s.customers.list()

        if res is not None:
            assert [customer.external_id for customer in res] == ["user_2", "user_1"]


def test_official_example_creates_a_customer(environment: FakeDub, token: str) -> None:
    from dub_uplink import Dub

    with Dub(token=token) as s:
        with pytest.raises(TypeError) as caught:
            s.customers.create()  # type: ignore[call-arg]
        assert str(caught.value) == "create() missing a required argument: 'request'"
        assert environment.requests == []

        res = s.customers.create(request={"external_id": "user_1", "country": "GB"})
        assert res.external_id == "user_1"


def test_official_example_creates_from_a_model(environment: FakeDub, token: str) -> None:
    from dub_uplink import Dub
    from dub_uplink.models import components, operations

    with Dub(token=token) as s:
        res = s.customers.create(
            request=operations.CreateCustomerRequestBody(external_id="user_1", country="GB")
        )
        assert isinstance(res, operations.CreateCustomerResponseBody)
        assert isinstance(res, components.Customer)


def test_official_example_gets_a_customer(environment: FakeDub, token: str) -> None:
    stored = environment.add(external_id="user_1", name="Ada")
    from dub_uplink import Dub

    with Dub(token=token) as s:
        res = s.customers.get(request={"id": stored.id})
        assert res.id == stored.id
        assert s.customers.get(request={"id": "ext_user_1"}) == res
        assert s.customers.get("ext_user_1") == res


def test_official_example_updates_a_customer(environment: FakeDub, token: str) -> None:
    stored = environment.add(external_id="user_1", name="Ada")
    from dub_uplink import Dub

    with Dub(token=token) as s:
        res = s.customers.update(id=stored.id)
        assert (res.id, res.name) == (stored.id, "Ada")
        res = s.customers.update(id=stored.id, request_body={"name": "Grace"})
        assert res.name == "Grace"


def test_official_example_deletes_a_customer(environment: FakeDub, token: str) -> None:
    stored = environment.add(external_id="user_1")
    from dub_uplink import Dub

    with Dub(token=token) as s:
        res = s.customers.delete(id=stored.id)
        assert res.id == stored.id
    assert environment.customers == []


def test_official_example_sets_retries_per_call_and_client(
    environment: FakeDub, token: str
) -> None:
    from dub_uplink import Dub
    from dub_uplink.utils import BackoffStrategy, RetryConfig

    with Dub(token=token) as s:
        s.customers.list(retries=RetryConfig("backoff", BackoffStrategy(1, 50, 1.1, 100), False))
    with Dub(
        token=token,
        retry_config=RetryConfig("backoff", BackoffStrategy(1, 50, 1.1, 100), False),
    ) as s:
        s.customers.list()
    assert len(environment.requests) == 2


def test_official_example_catches_errors_by_class(environment: FakeDub, token: str) -> None:
    from dub_uplink import Dub
    from dub_uplink.models import errors

    with Dub(token=token) as s:
        res = None
        try:
            res = s.customers.get(request={"id": "cus_nobody"})
        except errors.NotFound as e:
            data = e.data
        except errors.SDKError:
            pytest.fail("of another class")
        assert res is None
        assert data is not None
        assert data.error.code == "not_found"


PATHS = {
    "dub_uplink": ["Dub", "CustomersConsumer", "UNSET", "declare", "DeadlineAdapter"],
    "dub_uplink.models": ["components", "errors", "operations"],
    "dub_uplink.models.components": ["Customer", "Discount", "Link", "Partner"],
    "dub_uplink.models.errors": [
        "APIConnectionError",
        "APIStatusError",
        "APITimeoutError",
        "BadRequest",
        "Conflict",
        "DubError",
        "Forbidden",
        "InternalServerError",
        "InviteExpired",
        "NotFound",
        "RateLimitExceeded",
        "ResponseValidationError",
        "SDKError",
        "Unauthorized",
        "UnprocessableEntity",
    ],
    "dub_uplink.models.operations": [
        "CreateCustomerRequestBody",
        "CreateCustomerResponseBody",
        "DeleteCustomerResponseBody",
        "GetCustomerRequest",
        "GetCustomerResponseBody",
        "ResponseBody",
        "UpdateCustomerRequestBody",
        "UpdateCustomerResponseBody",
    ],
    "dub_uplink.utils": ["BackoffStrategy", "RetryConfig"],
    "dub_uplink.types": ["UNSET", "Unset"],
}


@pytest.mark.parametrize("path", PATHS)
def test_official_import_paths_exist(path: str) -> None:
    module = importlib.import_module(path)
    for name in PATHS[path]:
        assert hasattr(module, name), name


def test_every_name_in_dunder_all_exists() -> None:
    assert len(dub_uplink.__all__) == len(set(dub_uplink.__all__))
    for name in dub_uplink.__all__:
        assert hasattr(dub_uplink, name)


OPTIONS = ("retries", "timeout_ms", "http_headers")


@pytest.mark.parametrize("name", ["list", "create", "get", "update", "delete"])
def test_call_options_are_keyword_only(name: str) -> None:
    parameters: Any = inspect.signature(getattr(dub_uplink.Dub("dub_x").customers, name)).parameters
    for option in OPTIONS:
        assert parameters[option].kind is inspect.Parameter.KEYWORD_ONLY
