"""pytest fixtures: ``fake_dub`` is a fake, and ``dub`` is a client of this fake.

pytest loads this module in every test suite. Only the fixtures import the client and the fake.
Therefore test suites without these fixtures start fast. Coverage measurement starts after the
plugins are loaded, so it includes the client and the fake.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .. import Dub
    from ._fake import FakeDub


@pytest.fixture
def fake_dub() -> Iterator[FakeDub]:
    """Provide an empty :class:`~dub_uplink.testing.FakeDub` with the API key ``dub_test``."""
    from ._fake import FakeDub  # noqa: PLC0415 - see above

    with FakeDub() as fake:
        yield fake


@pytest.fixture
def dub(fake_dub: FakeDub) -> Iterator[Dub]:
    """Provide a :class:`~dub_uplink.Dub` that can reach only ``fake_dub``.

    The client does not sleep. Each wait moves the clocks of the client and the fake ahead.
    """
    from .. import Dub  # noqa: PLC0415 - see above
    from ._clock import SkippingClock  # noqa: PLC0415

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
