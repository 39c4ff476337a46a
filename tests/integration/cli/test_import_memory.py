"""Test that the memory of an import does not grow with the file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("click")

# The peak of this process: ru_maxrss would include the time before exec.
MEASURED = """
import atexit, re, sys
def peak():
    with open("/proc/self/status") as status:
        print(re.search(r"VmHWM:\\s*(\\d+)", status.read())[1])
atexit.register(peak)
from dub_uplink._cli import main
sys.argv[0] = "dub-uplink"
main()
"""


def csv_of(count: int) -> Iterator[str]:
    yield "External ID,E-Mail,Country\n"
    for number in range(count):
        yield f"user_{number},user_{number}@example.com,gb\n"


def array_of(count: int) -> Iterator[str]:
    for number in range(count):
        row = {"externalId": f"u{number}", "email": f"u{number}@example.com", "country": "GB"}
        yield ("," if number else "[") + json.dumps(row)
    yield "]"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak")
@pytest.mark.parametrize("write", [csv_of, array_of])
def test_import_memory_does_not_grow_with_the_file_size(
    tmp_path: Path, environment: dict[str, str], write: Callable[[int], Iterator[str]]
) -> None:
    def peak_mb(count: int) -> float:
        path = tmp_path / "people"
        with path.open("w") as file:
            file.writelines(write(count))
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, "customers", "import", "--dry-run", str(path)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=100,
        )
        assert f"{count:,} rows without problems" in done.stdout
        return int(done.stdout.split()[-1]) / 1024

    # The rows as Python objects take about 40 MB.
    assert peak_mb(60_000) - peak_mb(1_000) < 8
