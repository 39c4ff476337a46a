"""Test that errors can be pickled and copied, and do not contain the token."""

from __future__ import annotations

import copy
import itertools
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dub_uplink import CustomersConsumer, errors


def scenarios() -> dict[str, tuple[bytes | None, type[errors.DubError]]]:
    """Return a response for each error class; ``None`` stands for a closed server."""
    detail = b'{"error": {"code": "c", "message": "m", "doc_url": "https://dub.co/docs"}}'

    def reply(status: int, body: bytes) -> bytes:
        return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)

    found: dict[str, tuple[bytes | None, type[errors.DubError]]] = {
        cls.__name__: (reply(status, detail), cls) for status, cls in errors.BY_STATUS.items()
    }
    return {
        **found,
        "SDKError": (reply(502, b"<html>"), errors.SDKError),
        "SDKError, a redirect": (
            b"HTTP/1.1 302 X\r\nLocation: https://x.example/\r\nContent-Length: 0\r\n\r\n",
            errors.SDKError,
        ),
        "ResponseValidationError": (reply(200, b"<html>"), errors.ResponseValidationError),
        "ResponseValidationError, a field": (
            reply(200, b'{"id": 5}'),
            errors.ResponseValidationError,
        ),
        "APIConnectionError": (b"", errors.APIConnectionError),
        "APIConnectionError, broken": (b"no HTTP at all\r\n\r\n", errors.APIConnectionError),
        "APIConnectionError, cut short": (reply(200, b'{"id": "cus_'), errors.APIConnectionError),
        "APIConnectionError, refused": (None, errors.APIConnectionError),
        "APITimeoutError": (b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n", errors.APITimeoutError),
    }


SCENARIOS = scenarios()


@pytest.fixture(params=SCENARIOS, ids=[name.replace(" ", "-") for name in SCENARIOS])
def error(
    request: pytest.FixtureRequest, serving: Any, connect: Any, client: Any
) -> errors.DubError:
    """Return an error of a real call, for each type of ``client=``."""
    raw, cls = SCENARIOS[request.param]
    server = serving(raw=raw or b"")
    if raw is None:
        server.close()
    timeout_ms = 150 if cls is errors.APITimeoutError else 30_000
    customers = connect(server.url, client=client, timeout_ms=timeout_ms)
    with pytest.raises(errors.DubError) as caught:
        customers.get("cus_1")
    assert type(caught.value) is cls
    return caught.value


def test_error_safety_scenarios_cover_every_error_class() -> None:
    raised = {cls for _, cls in SCENARIOS.values()}
    named = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.DubError) and value.__doc__
    }
    abstract = {errors.DubError, errors.APIStatusError, errors._ResponseError}
    # An iteration raises it; test_iterate.py tests that.
    assert named - abstract - raised <= {getattr(errors, "PageLimitReached", None)}
    assert len(raised) == 13


def facts(error: errors.DubError) -> dict[str, Any]:
    names = ("status_code", "code", "message", "doc_url", "data", "body", "sent")
    numbers = ("attempts", "elapsed", "retry_after")
    found = {name: getattr(error, name, None) for name in (*names, *numbers)}
    if hasattr(error, "response"):
        found["headers"] = dict(error.headers)
        found["content"] = error.response.content
        found["reason"] = error.response.reason
    return found


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "oldest pickle": lambda error: pickle.loads(pickle.dumps(error, 0)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def test_error_survives_pickling_and_copying(error: errors.DubError) -> None:
    for make in COPIES.values():
        again = make(error)
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert repr(again) == repr(error)
        assert again.args == error.args
        assert facts(again) == facts(error)


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        yield from chain(error.__cause__)
        error = error.__context__


def test_error_chain_contains_no_library_exception(error: errors.DubError) -> None:
    for link in chain(error):
        module = type(link).__module__
        assert module.startswith("dub_uplink.") or module in ("builtins", "json.decoder"), link
    assert error.__cause__ is None
    printed = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    assert "During handling of the above exception" not in printed


def shown(error: BaseException) -> str:
    """Return all texts that a log, a report or a debugger prints of an error."""
    printed = [pickle.dumps(error).decode("latin-1"), pickle.dumps(error, 0).decode("latin-1")]
    for link in chain(error):
        printed += [str(link), repr(link), repr(link.args), repr(vars(link))]
        printed += traceback.format_exception(type(link), link, link.__traceback__)
        for frame, _ in traceback.walk_tb(link.__traceback__):
            if frame.f_code.co_filename == __file__:
                continue  # the frames of this test have the token
            for value in frame.f_locals.values():
                printed += [repr(value), repr(getattr(value, "__dict__", None))]
    response = getattr(error, "response", None)
    printed += [repr(response), repr(dict(getattr(response, "headers", {})))]
    return "\n".join(printed)


def test_error_traceback_with_locals_hides_the_token(error: errors.DubError, token: str) -> None:
    printed = shown(error)
    assert len(printed) > 1000
    assert token not in printed


def test_interrupt_traceback_hides_the_token(
    serving: Any, connect: Any, client: Any, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exceptions such as Ctrl-C are not wrapped, and have frames of the package."""

    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("dub_uplink._http.reading.read_body", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        connect(serving().url, client=client).list()
    frames = traceback.walk_tb(caught.value.__traceback__)
    ours = [frame for frame, _ in frames if "/dub_uplink/" in frame.f_code.co_filename]
    assert len(ours) > 2
    assert token not in repr([(frame.f_locals) for frame in ours])


def test_invalid_token_traceback_hides_the_token(serving: Any) -> None:
    """The local variables of the package must not contain the rejected token."""
    customers = CustomersConsumer(lambda: "dub_s3cr3t\n", server_url=serving().url)
    with pytest.raises(ValueError, match="begins or ends with whitespace") as caught:
        customers.list()
    assert "s3cr3t" not in str(caught.value)
    tb = itertools.islice(traceback.walk_tb(caught.value.__traceback__), 1, None)
    assert "s3cr3t" not in repr([frame.f_locals for frame, _ in tb])


@pytest.mark.promise("reprs-show-no-token")
def test_client_repr_hides_the_token(serving: Any, connect: Any, client: Any, token: str) -> None:
    customers = connect(serving().url, client=client)
    page = customers.list()
    for part in (customers, page, vars(customers), vars(page), customers._transport):
        assert token not in repr(part)
        assert token not in str(part)
    parts = vars(customers._transport)
    assert token not in repr(parts)
    assert token not in repr({name: getattr(part, "__dict__", 0) for name, part in parts.items()})
