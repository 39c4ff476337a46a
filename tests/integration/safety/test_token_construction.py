"""Test that an invalid token is rejected, and not shown by the frames of the constructors."""

from __future__ import annotations

import contextlib
import sys
import traceback
import warnings
from typing import Any

import pytest

from dub_uplink import AsyncCustomersConsumer, AsyncDub, CustomersConsumer, Dub

MAKERS = [Dub, CustomersConsumer, AsyncDub, AsyncCustomersConsumer]
EACH_MAKER = pytest.mark.parametrize("make", MAKERS)

INVALID_TOKENS: list[Any] = ["s3cr3t\n"]
INVALID_TOKENS += [" s3cr3t", "s3cr3t\x00", "s3cr3té", "s3cr3t s", "s3cr3t\r\nX: y"]
INVALID_TOKENS += [b"s3cr3t", ["s3cr3t"], {"token": "s3cr3t"}]
#: Wrong arguments, with a valid token.
WRONG_ARGUMENTS: list[dict[str, Any]] = [
    {"server_url": "ftp://x"},
    {"server_url": "https://u:p@api.dub.co"},
    {"timeout_ms": -1},
    {"client": object()},
    {"retry_config": 5},
    {"on_retry": 5},
    {"clock": 5},
]
CASES: list[tuple[Any, dict[str, Any]]] = [(bad, {}) for bad in INVALID_TOKENS]
CASES += [("s3cr3t", wrong) for wrong in WRONG_ARGUMENTS]


def locals_of(error: BaseException) -> list[str]:
    """Return the reprs of all local variables in a traceback, except those of this test."""
    reprs = []
    for link in (error, error.__cause__, error.__context__):
        for frame, _ in traceback.walk_tb(link.__traceback__ if link else None):
            if frame.f_code.co_filename != __file__:
                for value in frame.f_locals.values():
                    with contextlib.suppress(AttributeError):  # of a partly constructed client
                        reprs.append(repr(value))
    return reprs


@pytest.mark.promise("constructors-show-no-token")
@EACH_MAKER
@pytest.mark.parametrize(("token", "wrong"), CASES, ids=lambda value: ascii(value)[:30])
def test_constructor_error_hides_the_token(make: Any, token: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        make(token, **wrong)
    error = caught.value
    assert "s3cr3t" not in f"{error} {error!r} {error.args}"
    assert len(locals_of(error)) > 10
    assert not [text for text in locals_of(error) if "s3cr3t" in text]


@pytest.mark.promise("constructors-show-no-token")
@EACH_MAKER
def test_invalid_token_from_the_environment_is_hidden(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUB_API_KEY", "s3cr3t\n")
    with pytest.raises(ValueError, match=r"^the token begins or ends with whitespace") as caught:
        make()
    error = caught.value
    assert "s3cr3t" not in str(error)
    assert not [text for text in locals_of(error) if "s3cr3t" in text]


@pytest.mark.promise("plain-http-warns")
@EACH_MAKER
def test_unencrypted_url_warning_points_at_the_constructor_call(make: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        line = sys._getframe().f_lineno + 1
        make("dub_x", server_url="http://dub.internal")
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, line)]
    assert "unencrypted over http to dub.internal" in str(caught[0].message)


def test_unencrypted_url_warning_points_at_subclass_constructor() -> None:
    class Mine(CustomersConsumer):
        def __init__(self) -> None:
            super().__init__("dub_x", server_url="http://dub.internal")

    with pytest.warns(UserWarning, match="unencrypted") as caught:
        Mine()
    assert caught[0].filename == __file__
