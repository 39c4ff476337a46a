"""The user's code that the type checkers read also does what it says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from dub_uplink.testing import FakeDub


@pytest.fixture
def user_code() -> Any:
    if sys.version_info < (3, 11):
        pytest.importorskip("typing_extensions")
    path = Path(__file__).with_name("user_code.py")
    spec = importlib.util.spec_from_file_location("user_code", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_users_code_runs_as_it_is_typed(user_code: Any, monkeypatch: Any) -> None:
    # The one line of it that only a checker may see.
    monkeypatch.setattr(user_code, "policies", lambda: None)
    with FakeDub() as fake, fake.serve() as url:
        ids = user_code.main(url)
        assert ids == [customer.id for customer in fake.customers]


def test_a_strategy_that_the_checker_refuses_is_refused(user_code: Any) -> None:
    with pytest.raises(ValueError, match="sometimes"):
        user_code.policies()
