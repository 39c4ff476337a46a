"""Test AsyncDub with pytest-asyncio and the fixtures of dub_uplink.testing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pytest_asyncio")

USER_TESTS = """
import asyncio

import pytest
import pytest_asyncio

from dub_uplink import AsyncDub, Customer, amap_unordered, errors
from dub_uplink.testing import faults


@pytest_asyncio.fixture
async def customers(fake_dub):
    with fake_dub.serve() as url:
        async with AsyncDub("dub_test", server_url=url) as dub:
            yield dub.customers


@pytest.mark.asyncio
async def test_async_create_is_retried(customers, fake_dub):
    fake_dub.faults.add(faults.DropAfter(), method="POST")
    created = await customers.create({"external_id": "user_1", "country": "GB"})
    assert [created.id] == [customer.id for customer in fake_dub.customers]


@pytest.mark.asyncio
async def test_async_error_is_raised(customers):
    with pytest.raises(errors.NotFound):
        await customers.get("ext_nobody")


@pytest.mark.asyncio
async def test_batch_closes(customers):
    rows = ({"external_id": f"user_{number}", "country": "GB"} for number in range(100))
    results = amap_unordered(customers.ensure, rows, workers=2)
    _, first = await anext(results)
    assert isinstance(first, Customer)
    await results.aclose()
    assert len([customer async for customer in customers.iterate()]) < 10


def test_sync_client_works(dub):
    assert dub.customers.list() == []
"""


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_async_client_works_under_pytest_asyncio(tmp_path: Path, mode: str) -> None:
    (tmp_path / "test_shop.py").write_text(USER_TESTS, encoding="utf-8")
    settings = f"asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n"
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{settings}", encoding="utf-8")
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "4 passed" in ended.stdout
