"""Wait for the end of a batch's cooldown before an attempt.

A cooldown is a wait that the server requests from one worker and that applies to all workers.
"""

from __future__ import annotations

from .._concurrency.cooldown import current_cooldown
from .retry_state import RetryState


def wait_for_cooldown(state: RetryState) -> None:
    """Wait for the current batch's cooldown. If it ends after the deadline, do not wait.

    Raises:
        BatchCancelled: the batch was closed.
    """
    cooldown = current_cooldown.get()
    if cooldown is None:
        return
    remaining = cooldown.remaining(state.clock)
    if 0 < remaining < state.remaining():
        cooldown.sleep(state.add_jitter(remaining), state.clock)


async def wait_for_cooldown_async(state: RetryState) -> None:
    """Wait asynchronously; see :func:`wait_for_cooldown`."""
    cooldown = current_cooldown.get()
    if cooldown is None:
        return
    remaining = cooldown.remaining(state.clock)
    if 0 < remaining < state.remaining():
        await state.clock.async_sleep(state.add_jitter(remaining))
