"""Wait for the cooldown of the batch that a call belongs to, within the call's deadline."""

from __future__ import annotations

from .._concurrency.cooldown import current_cooldown
from .retry_state import RetryState


def wait_for_cooldown(state: RetryState) -> None:
    """Wait until the current batch may send again, if the deadline leaves time for it.

    Raises:
        BatchCancelled: the batch was closed.
    """
    cooldown = current_cooldown.get()
    if cooldown is None:
        return
    remaining = cooldown.remaining(state.clock)
    if 0 < remaining < state.remaining():
        cooldown.sleep(state.with_jitter(remaining), state.clock)


async def wait_for_cooldown_async(state: RetryState) -> None:
    """Wait until the current batch may send again, if the deadline leaves time for it."""
    cooldown = current_cooldown.get()
    if cooldown is None:
        return
    remaining = cooldown.remaining(state.clock)
    if 0 < remaining < state.remaining():
        await state.clock.async_sleep(state.with_jitter(remaining))
