"""pytest fixtures: ``fake_dub``, and ``dub``, a client of ``fake_dub``.

pytest loads this module by its entry point before it collects tests. The client and the fake are
imported only in the fixtures. So test suites without these fixtures start fast, and a coverage
measurement that starts later includes the imports.
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

    Instead of sleeping, the client moves its own clock and that of ``fake_dub`` ahead.
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
