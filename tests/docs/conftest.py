"""Where the pages' code runs: beside a fake that is Dub as far as the environment says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dub_uplink.testing import FakeDub


@pytest.fixture
def fake_as_dub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDub]:
    """A served fake; ``Dub()`` without arguments is a client of it."""
    with FakeDub() as fake, fake.serve() as url:
        monkeypatch.setenv("DUB_API_KEY", fake.token)
        monkeypatch.setenv("DUB_SERVER_URL", url)
        yield fake
