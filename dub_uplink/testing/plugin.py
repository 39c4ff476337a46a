"""Fixtures for a user's tests: ``fake_dub``, and ``dub``, a client on it.

pytest loads it by its entry point, before it knows which tests there are: the client and the fake
are imported by the fixtures, so that tests which use neither do not wait for them, and whatever
watches imports, a measurement of coverage above all, is there first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .. import Dub
    from .fake import FakeDub


@pytest.fixture
def fake_dub() -> Iterator[FakeDub]:
    """An empty :class:`~dub_uplink.testing.FakeDub` with the key ``dub_test``."""
    from .fake import FakeDub  # noqa: PLC0415 - see above

    with FakeDub() as fake:
        yield fake


@pytest.fixture
def dub(fake_dub: FakeDub) -> Iterator[Dub]:
    """A :class:`~dub_uplink.Dub` on ``fake_dub`` that does not sleep: both their times move ahead.

    Its requests can reach nothing but the fake.
    """
    from .. import Dub  # noqa: PLC0415 - see above
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
