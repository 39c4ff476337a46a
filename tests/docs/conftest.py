"""Provide a served fake for the code of the documentation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dub_uplink.testing import FakeDub


@pytest.fixture
def fake_as_dub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDub]:
    """Serve a fake and set the variables that ``Dub()`` without arguments reads."""
    with FakeDub() as fake, fake.serve() as url:
        monkeypatch.setenv("DUB_API_KEY", fake.token)
        monkeypatch.setenv("DUB_SERVER_URL", url)
        yield fake
