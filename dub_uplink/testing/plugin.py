"""pytest fixtures: ``fake_dub``, and ``dub``, a client on it.

pytest loads this module by its entry point before it collects tests. The fixtures import the client
and the fake, so that suites which use neither do not pay for the imports, and a coverage
measurement that starts later sees them.
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
    """Provide an empty :class:`~dub_uplink.testing.FakeDub` with the key ``dub_test``."""
    from ._fake import FakeDub  # noqa: PLC0415 - see above

    with FakeDub() as fake:
        yield fake


@pytest.fixture
def dub(fake_dub: FakeDub) -> Iterator[Dub]:
    """Provide a :class:`~dub_uplink.Dub` on ``fake_dub`` that moves time ahead instead of sleeping.

    Its requests reach only the fake.
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
