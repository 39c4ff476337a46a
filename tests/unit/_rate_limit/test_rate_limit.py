"""Test the arguments, the repr and the requirements of a RateLimit."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest

from dub_uplink import AsyncDub, CustomersConsumer, Dub, RateLimit, utils
from dub_uplink._internal.credentials import RedactedStr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"limit": 0}, ValueError),
        ({"limit": -1}, ValueError),
        ({"limit": 1_000_001}, ValueError),
        ({"limit": True}, TypeError),
        ({"limit": 1.5}, TypeError),
        ({"limit": "600"}, TypeError),
        ({"limit": 1, "per": "week"}, ValueError),
        ({"limit": 1, "per": 0.01}, ValueError),
        ({"limit": 1, "per": 86_401}, ValueError),
        ({"limit": 1, "per": float("nan")}, ValueError),
        ({"limit": 1, "per": None}, TypeError),
        ({"limit": 1, "per": True}, TypeError),
        ({"limit": 1, "priority": "low"}, ValueError),
        ({"limit": 1, "storage": 6379}, TypeError),
        ({"limit": 1, "storage": ""}, ValueError),
        ({"limit": 1, "storage": "localhost:6379"}, ValueError),
        ({"limit": 1, "storage": "mongodb://localhost"}, ValueError),
        ({"limit": 1, "storage": "amqp://localhost:5672"}, ValueError),
        ({"limit": 1, "storage": "redis+sentinel://localhost:26379/mymaster"}, ValueError),
        ({"limit": 1, "storage": "redis+cluster://localhost:7000"}, ValueError),
        ({"limit": 1, "storage": "redis:localhost"}, ValueError),
        ({"limit": 1, "storage": "redis://localhost:none"}, ValueError),
        ({"limit": 1, "storage": "redis://localhost?socket_timeout=long"}, ValueError),
        ({"limit": 1, "storage": "redis://localhost?no_such_option=1"}, ValueError),
        ({"limit": 1, "storage": "rediss://localhost?ssl_cert_reqs=perhaps"}, ValueError),
    ],
)
def test_rate_limit_invalid_argument_is_rejected(arguments: Any, error: Any) -> None:
    with pytest.raises(error, match=r"^(limit|per|priority|storage) "):
        RateLimit(**arguments)


@pytest.mark.parametrize("make", [Dub, AsyncDub, CustomersConsumer])
def test_client_rejects_a_rate_limit_of_another_type(make: Any) -> None:
    with pytest.raises(TypeError, match="rate_limit must be a RateLimit or None, not 600"):
        make("dub_test", rate_limit=600)


def test_rate_limit_repr_shows_the_arguments() -> None:
    assert repr(RateLimit(600)) == "RateLimit(600, per='minute')"
    assert repr(RateLimit(5, 0.5, priority="bulk")) == 'RateLimit(5, per=0.5, priority="bulk")'
    assert utils.RateLimit is RateLimit


def test_pickling_or_copying_a_rate_limit_raises() -> None:
    with pytest.raises(TypeError, match="create one in each process"):
        pickle.dumps(RateLimit(5))
    with pytest.raises(TypeError, match="create one in each process"):
        copy.copy(RateLimit(5))


def test_rate_limit_memory_is_bounded_with_renewed_tokens() -> None:
    limit = RateLimit(5)
    for number in range(500):
        limit._limiter_for("https://api.dub.co/", RedactedStr(f"Bearer {number}"))
    assert len(limit._limiters) <= 65


def test_unsupported_storage_url_error_lists_supported_schemes() -> None:
    with pytest.raises(ValueError, match=r"redis://, rediss:// or unix://; Sentinel, Cluster and"):
        RateLimit(5, storage="amqp://localhost")


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Blocked())
from dub_uplink import RateLimit
RateLimit(5)._limiter_for("x", "y")
try:
    RateLimit(5, storage="{storage}")
except ImportError as error:
    print(error)
"""


def test_redis_storage_without_redis_py_names_the_extra() -> None:
    code = BLOCKED.format(names=("redis",), storage="redis://:pa55@h")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith('redis-py; run  pip install "dub-uplink[redis]"')
    assert "pa55" not in done.stdout
