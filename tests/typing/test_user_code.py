"""Run the user code that the type checkers read."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from dub_uplink.testing import FakeDub


def load(name: str) -> Any:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def user_code() -> Any:
    return load("user_code")


def test_typed_async_user_code_runs() -> None:
    code = load("async_user_code")
    with FakeDub() as fake, fake.serve() as url:
        asyncio.run(code.every_operation(url))
        asyncio.run(code.a_subclass(url))
        assert [customer.external_id for customer in fake.customers] == ["1"]


def test_typed_user_code_runs(user_code: Any, monkeypatch: Any) -> None:
    # This function is for type checkers only.
    monkeypatch.setattr(user_code, "policies", lambda: None)
    with FakeDub() as fake, fake.serve() as url:
        ids = user_code.main(url)
        assert ids == [customer.id for customer in fake.customers]


def test_retry_strategy_rejected_by_type_checkers_raises(user_code: Any) -> None:
    with pytest.raises(ValueError, match="sometimes"):
        user_code.policies()
