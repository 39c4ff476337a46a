"""Fixtures for a user's tests: ``fake_dub``, and ``dub``, a client on it.

pytest loads it by its entry point. Imports pytest, the client's public names and the fake.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .. import Dub
from .clock import SkippingClock
from .fake import FakeDub


@pytest.fixture
def fake_dub() -> Iterator[FakeDub]:
    """An empty :class:`~dub_uplink.testing.FakeDub` with the key ``dub_test``."""
    with FakeDub() as fake:
        yield fake


@pytest.fixture
def dub(fake_dub: FakeDub) -> Iterator[Dub]:
    """A :class:`~dub_uplink.Dub` on ``fake_dub`` that does not sleep: both their times move ahead.

    Its requests can reach nothing but the fake.
    """
    skipping = SkippingClock(on_sleep=fake_dub.clock.advance)
    with (
        fake_dub.session(sleep=skipping.sleep) as session,
        Dub(
            token=fake_dub.token,
            server_url=fake_dub.base_url,
            client=session,
            clock=skipping.clock(),
        ) as client,
    ):
        yield client
