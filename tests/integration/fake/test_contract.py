"""Every recorded exchange with Dub's own routes is answered exactly, mounted and on a socket."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dub_uplink.testing import FakeDub

RECORDED = Path(__file__).parents[1] / "contract" / "customers.jsonl"
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def scenarios() -> Iterator[Any]:
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        scenario = json.loads(line)
        yield pytest.param(scenario["steps"], id=scenario["scenario"].replace(" ", "-"))


def with_ids(value: Any, ids: dict[str, str]) -> Any:
    """A value with each ``$N.id`` replaced by the id that step N created."""
    if isinstance(value, str):
        return re.sub(r"\$(\d+)\.id", lambda match: ids[match[1]], value)
    if isinstance(value, list):
        return [with_ids(item, ids) for item in value]
    if isinstance(value, dict):
        return {key: with_ids(item, ids) for key, item in value.items()}
    return value


def masked(recorded: Any, actual: Any) -> Any:
    """The actual value with what a recording leaves open replaced by its placeholder."""
    if recorded == "<datetime>" and isinstance(actual, str) and TIMESTAMP.fullmatch(actual):
        return recorded
    if recorded == "<name>" and isinstance(actual, str) and actual:
        return recorded
    if isinstance(recorded, dict) and isinstance(actual, dict):
        return {key: masked(recorded.get(key), value) for key, value in actual.items()}
    if isinstance(recorded, list) and isinstance(actual, list) and len(recorded) == len(actual):
        return [masked(*pair) for pair in zip(recorded, actual, strict=True)]
    return actual


@pytest.mark.parametrize("steps", list(scenarios()))
def test_fake_returns_the_recorded_response_of_dub(
    steps: list[dict[str, Any]], reach: Callable[[FakeDub], Any], fake: FakeDub
) -> None:
    api = reach(fake)
    ids: dict[str, str] = {}
    for number, step in enumerate(steps, 1):
        request = with_ids(step["request"], ids)
        answer = api(
            request["method"],
            request["path"],
            request.get("query"),
            json=request.get("json"),
            body=request.get("body"),
            headers=request.get("headers"),
        )
        if answer.status_code == 201:
            ids[str(number)] = answer.json()["id"]
        expected = with_ids(step["response"], ids)
        assert answer.status_code == expected["status"]
        # As text, so that the order of keys and the kinds of numbers count.
        assert json.dumps(masked(expected["json"], answer.json())) == json.dumps(expected["json"])
