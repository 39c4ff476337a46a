"""Test ``DUB_LOG``, which logs to stderr unless the application has configured logging."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest

from dub_uplink.testing import FakeDub, faults

CLIENT = "from dub_uplink import Dub\ndub = Dub()\n"
COUNT = "dub.customers.count()\n"
DEBUG = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} DEBUG dub_uplink: GET /customers/count: "
INFO = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO dub_uplink: GET /customers/count: 503.*"


@pytest.fixture
def log() -> Any:
    """Run code in a process, with a 503 as first response, and return its stderr."""

    def run(level: str, code: str) -> list[str]:
        with FakeDub() as fake, fake.serve() as url:
            fake.faults.add(faults.Status(503))
            env = {**os.environ, "DUB_LOG": level, "DUB_API_KEY": fake.token, "DUB_SERVER_URL": url}
            command = [sys.executable, "-c", code]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
            assert done.stdout == ""
            assert fake.token not in done.stderr
            return done.stderr.splitlines()

    return run


@pytest.mark.parametrize("level", ["debug", " DEBUG"])
def test_dub_log_debug_shows_attempts_and_retries(log: Any, level: str) -> None:
    lines = log(level, CLIENT + "Dub()\n" + COUNT)
    assert len(lines) == 3
    for line, shape in zip(lines, [DEBUG + "503", INFO, DEBUG + "200"], strict=True):
        assert re.match(shape, line)


def test_dub_log_info_shows_retries(log: Any) -> None:
    (line,) = log("info", CLIENT + COUNT)
    assert re.fullmatch(INFO, line)


def test_dub_log_with_empty_value_logs_nothing(log: Any) -> None:
    assert log("", CLIENT + COUNT) == []


def test_dub_log_with_an_unknown_value_emits_a_warning(log: Any) -> None:
    lines = log("trace", CLIENT + COUNT)
    assert "<string>:2: UserWarning: DUB_LOG must be info or debug, not 'trace'" in lines[0]
    assert not re.search("DEBUG|INFO", "".join(lines))


CONFIGURED = "import logging\nlogging.basicConfig(format='mine %(message)s', level=logging.{})\n"
OWN = "import logging\nlogging.getLogger('dub_uplink').addHandler(logging.StreamHandler())\n"


@pytest.mark.parametrize(
    "code",
    [
        CONFIGURED.format("WARNING") + CLIENT + COUNT,
        CLIENT + CONFIGURED.format("WARNING") + COUNT,
        OWN + CLIENT + COUNT,
        CLIENT + OWN + COUNT,
    ],
    ids=["root before", "root after", "own before", "own after"],
)
def test_dub_log_adds_no_handler_to_configured_logging(log: Any, code: str) -> None:
    assert log("debug", code) == []


@pytest.mark.parametrize("after", [False, True])
def test_dub_log_does_not_change_a_configured_root_level(log: Any, after: bool) -> None:
    configured = CONFIGURED.format("INFO")
    parts = [CLIENT, configured] if after else [configured, CLIENT]
    (line,) = log("debug", "".join(parts) + COUNT)
    assert line.startswith("mine GET /customers/count: 503")


def test_dub_log_does_not_change_the_level_of_the_logger(log: Any) -> None:
    level = "import logging\nlogging.getLogger('dub_uplink').setLevel(logging.{})\n"
    assert log("debug", level.format("WARNING") + CLIENT + COUNT) == []
    code = CLIENT + level.format("DEBUG") + CONFIGURED.format("WARNING") + COUNT
    assert len(log("debug", code)) == 3


def test_dub_log_does_not_hide_records_of_a_later_debug_level(log: Any) -> None:
    lines = log("info", CLIENT + CONFIGURED.format("DEBUG") + COUNT)
    own = [line for line in lines if "/customers/count" in line and "HTTP/1.1" not in line]
    expected = ["mine GET /customers/count: 503", "mine GET", "mine GET /customers/count: 200"]
    for line, start in zip(own, expected, strict=True):
        assert line.startswith(start)


def test_dub_log_applies_later_filters_to_the_first_record(log: Any) -> None:
    dropping = "logging.getLogger('dub_uplink').addFilter(lambda record: False)\n"
    assert log("info", CLIENT + CONFIGURED.format("INFO") + dropping + COUNT) == []


def test_dub_log_applies_a_later_level_of_the_logger(log: Any) -> None:
    level = "import logging\nlogging.getLogger('dub_uplink').setLevel(logging.{})\n"
    assert len(log("info", CLIENT + level.format("DEBUG") + COUNT)) == 3
    assert log("info", CLIENT + level.format("WARNING") + COUNT) == []


def test_dub_log_info_shows_no_debug_records_of_child_loggers(log: Any) -> None:
    child = "import logging\nchild = logging.getLogger('dub_uplink.child')\n"
    records = "child.debug('no')\nchild.info('yes')\n"
    (line,) = log("info", CLIENT + child + records)
    assert line.endswith(" INFO dub_uplink.child: yes")


THREADS = """
import logging, sys, threading
from dub_uplink._internal.env_logging import enable_env_logging
sys.setswitchinterval(1e-6)
logger = logging.getLogger("dub_uplink")
barrier = threading.Barrier(8)
def enable():
    barrier.wait()
    enable_env_logging()
for _ in range(300):
    threads = [threading.Thread(target=enable) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    handlers = [h for h in logger.handlers if not isinstance(h, logging.NullHandler)]
    assert len(handlers) == 1, handlers
    logger.removeHandler(handlers[0])
    logger.filters.clear()
"""


def test_dub_log_adds_one_handler_for_several_threads(log: Any) -> None:
    assert log("debug", THREADS) == []
