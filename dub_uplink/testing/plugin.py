"""Fixtures for a user's tests: ``fake_dub``, and ``dub``, a client on it. Imports pytest.

The rest of the package is imported by the fixtures that need it, so that pytest starts no slower.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from dub_uplink import Dub

    from .fake import FakeDub


@pytest.fixture
def fake_dub() -> Iterator[FakeDub]:
    """An empty :class:`~dub_uplink.testing.FakeDub` with the key ``dub_test``."""
    from .fake import FakeDub  # noqa: PLC0415 - only where it is used

    with FakeDub() as fake:
        yield fake


@pytest.fixture
def dub(fake_dub: FakeDub) -> Iterator[Dub]:
    """A :class:`~dub_uplink.Dub` on ``fake_dub`` that does not sleep: both their times move ahead.

    Its requests can reach nothing but the fake.
    """
    from dub_uplink import Dub  # noqa: PLC0415 - only where it is used

    from .clock import SkippingClock  # noqa: PLC0415

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
