"""The sliding-window limiter of one API key as Lua scripts in Redis.

Each operation is one round trip. The scripts use Redis's clock, so the clocks of the processes that
share a limit may differ.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from typing import Any

from .redis_connection import RedisConnection
from .sliding_window import (
    INTERACTIVE_RESERVE,
    LEARNED_LIMIT_TTL,
    TIME_RESOLUTION,
    LimitConfig,
    Reservation,
    ReservationResult,
    ServerFeedback,
)

_HEARTBEAT_TTL = 10.0  # seconds that a silent process is counted, or a window if that is longer
_HEARTBEAT_INTERVAL = 1.0  # seconds
_RESTORE_BATCH = 500  # slots that one command restores


_PRELUDE = f"""
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1e6
local window, configured = tonumber(ARGV[1]), tonumber(ARGV[2])
local slots, state, processes = KEYS[1], KEYS[2], KEYS[3]
-- Lua converts a number with 14 digits, which rounds a Unix time to hundredths of a second.
local function format_time(n) return string.format('%.6f', n) end
local fields = redis.call('HMGET', state, 'epoch', 'not_before', 'limit', 'limit_until')
local epoch, not_before = fields[1], tonumber(fields[2] or 0)
local function keep_state()
    epoch = epoch or format_time(now)
    redis.call('HSET', state, 'epoch', epoch)  -- an error where Redis is out of memory
    local pause = math.max(not_before - now, 0)
    redis.call('PEXPIRE', state, math.ceil((window + pause + {LEARNED_LIMIT_TTL}) * 1000))
end
local function keep_slots()
    local last = redis.call('ZRANGE', slots, -1, -1, 'WITHSCORES')[2]
    if last then
        redis.call('PEXPIRE', slots, math.ceil((tonumber(last) - now + 2 * window) * 1000))
    end
end
local limit = configured
if fields[3] and tonumber(fields[4]) > now then limit = math.min(limit, tonumber(fields[3])) end
"""

# Arguments: 3 slot_id, 4 process that sends a heartbeat or '', 5 maximum wait, 6 one request in so
# many is reserved or 0, 7 delay after a pause.
# Returns the wait, whether a slot was granted, requests in the window, processes if there was a
# heartbeat, the epoch.
_RESERVE = (
    _PRELUDE
    + f"""
local slot_id, process = ARGV[3], ARGV[4]
local max_wait, reserve_every, process_count = tonumber(ARGV[5]), tonumber(ARGV[6]), 0
if process ~= '' or not epoch then keep_state() end
if process ~= '' then
    local ttl = math.max(window, {_HEARTBEAT_TTL})
    redis.call('ZADD', processes, format_time(now), process)
    redis.call('ZREMRANGEBYSCORE', processes, '-inf', format_time(now - ttl))
    redis.call('PEXPIRE', processes, math.ceil(ttl * 1000))
    process_count = redis.call('ZCARD', processes)
end
local scheduled_at = tonumber(redis.call('ZSCORE', slots, slot_id) or nil)
if scheduled_at and now < not_before and scheduled_at < not_before then
    redis.call('ZREM', slots, slot_id)
    scheduled_at = nil
end
local granted, count = 0, 0
if not scheduled_at then
    redis.call('ZREMRANGEBYSCORE', slots, '-inf', format_time(now - window))
    local capacity = limit
    if reserve_every > 0 then capacity = capacity - math.floor(capacity / reserve_every) end
    count, scheduled_at = redis.call('ZCARD', slots), now
    if now < not_before then scheduled_at = not_before + tonumber(ARGV[7]) end
    if count >= capacity then
        local run_starts = redis.call('ZRANGE', slots, 0, count - capacity, 'WITHSCORES')
        local run_ends = redis.call('ZRANGE', slots, capacity - 1, -1, 'WITHSCORES')
        for i = 2, #run_starts, 2 do
            local first, last = tonumber(run_starts[i]), tonumber(run_ends[i])
            if last - window >= scheduled_at then break end
            if last - first < window - {TIME_RESOLUTION} then
                scheduled_at = math.max(scheduled_at, first + window)
            end
        end
    end
    if scheduled_at - now < max_wait and (reserve_every == 0 or scheduled_at <= now) then
        granted = 1
        redis.call('ZADD', slots, format_time(scheduled_at), slot_id)
        keep_slots()
    end
elseif math.max(scheduled_at - now, 0) >= max_wait then
    redis.call('ZREM', slots, slot_id)
end
return {{format_time(math.max(scheduled_at - now, 0)), granted, count, process_count, epoch}}
"""
)

# Arguments: 3 the server's limit or '', 4 remaining or '', 5 reset, 6 whether it rejected, 7 a name
# for foreign requests, 8 jitter after a pause, 9 a member that was late or ''.
_FEEDBACK = (
    _PRELUDE
    + f"""
local reset = tonumber(ARGV[5])
if ARGV[6] == '1' and now + reset > not_before then
    not_before = now + reset
    redis.call('HSET', state, 'not_before', format_time(not_before))
end
if ARGV[3] ~= '' then
    local limit_until = format_time(now + {LEARNED_LIMIT_TTL})
    redis.call('HSET', state, 'limit', ARGV[3], 'limit_until', limit_until)
    limit = math.min(configured, tonumber(ARGV[3]))
end
if ARGV[9] ~= '' then
    redis.call('ZADD', slots, 'XX', format_time(now - tonumber(ARGV[8])), ARGV[9])
end
local waiting = redis.call('ZRANGEBYSCORE', slots, '(' .. format_time(now), '+inf')
redis.call('ZREMRANGEBYSCORE', slots, '(' .. format_time(now), '+inf')
redis.call('ZREMRANGEBYSCORE', slots, '-inf', format_time(now - window))
if ARGV[3] ~= '' and ARGV[4] ~= '' then
    local missing = limit - tonumber(ARGV[4]) - redis.call('ZCARD', slots)
    local earliest_exit = math.min(reset, window)
    for n = 0, missing - 1 do
        local expires_in = earliest_exit + (window - earliest_exit) * n / missing
        redis.call('ZADD', slots, format_time(now + expires_in - window), ARGV[7] .. ':' .. n)
    end
end
-- Grant new slots to all that wait, in the same order.
local times = {{}}
for i, part in ipairs(redis.call('ZRANGE', slots, 0, -1, 'WITHSCORES')) do
    if i % 2 == 0 then times[#times + 1] = tonumber(part) end
end
local start, step = math.max(now, not_before), 0
if start > now then step = tonumber(ARGV[8]) / math.max(#waiting, 1) end
for i, slot_id in ipairs(waiting) do
    local scheduled_at, first = start + step * (i - 1), times[#times - limit + 1]
    if first then scheduled_at = math.max(scheduled_at, first + window) end
    times[#times + 1] = scheduled_at
    redis.call('ZADD', slots, format_time(scheduled_at), slot_id)
end
keep_slots()
keep_state()
"""
)

# Pairs from 3 on: the age of a slot in seconds, negative for one to come, and its slot_id.
_RESTORE = (
    _PRELUDE
    + """
keep_state()  -- first: after another write Redis would not report that it is out of memory
for n = 3, #ARGV, 2 do
    redis.call('ZADD', slots, 'NX', format_time(now - tonumber(ARGV[n])), ARGV[n + 1])
end
keep_slots()
"""
)

_DIGESTS = {
    script: hashlib.sha1(script.encode()).hexdigest() for script in (_RESERVE, _FEEDBACK, _RESTORE)
}


class RedisLimiter:
    """Grants the slots of one API key in Redis 5 or later.

    Each method may raise what redis-py raises. None of them writes to a reservation, which belongs
    to another thread. Each may be executed twice without an effect beyond that of the first.
    """

    def __init__(self, connection: RedisConnection, name: str, config: LimitConfig) -> None:
        self._connection = connection
        self._config = config
        # Redis Cluster and its proxies keep keys with the same part in braces together.
        prefix = f"dub_uplink:{{{name}}}"
        # The times of requests, sent or waiting, and the processes that share the limit by the time
        # of their last heartbeat. Another window of the same API key keeps its own, since it
        # removes requests at other times. All share the pause and the limit that was learned.
        self._keys = (
            f"{prefix}:{config.per}:slots",
            f"{prefix}:state",
            f"{prefix}:{config.per}:processes",
        )
        self._feedback_numbers = itertools.count()
        self._process_count = 1
        self._last_heartbeat = float("-inf")

    def reserve(self, reservation: Reservation, max_wait: float) -> ReservationResult:
        """Return the wait for a reservation; see :meth:`Limiter.reserve`."""
        now = reservation.clock.monotonic()
        heartbeat = not 0 <= now - self._last_heartbeat < _HEARTBEAT_INTERVAL
        wait, granted, window_count, process_count, epoch = self._run(
            _RESERVE,
            reservation.slot_id,
            reservation.slot_id.rpartition(":")[0] if heartbeat else "",
            min(max_wait, 1e9),
            INTERACTIVE_RESERVE if reservation.bulk else 0,
            reservation.clock.random() * self._config.jitter,
        )
        if heartbeat:
            self._last_heartbeat, self._process_count = now, int(process_count)
        return ReservationResult(
            float(wait),
            bool(granted),
            int(window_count),
            self._process_count,
            # A replica that is now the primary has the epoch, but perhaps not the last slots.
            f"{epoch}-{self._connection.generation}",
        )

    def _run(self, script: str, *arguments: Any) -> Any:
        config = self._config
        command = (len(self._keys), *self._keys, config.window, config.limit, *arguments)
        try:
            return self._connection.execute("EVALSHA", _DIGESTS[script], *command)
        except self._connection.errors.NoScriptError:
            return self._connection.execute("EVAL", script, *command)

    def cancel(self, reservation: Reservation) -> None:
        """Release the slot of a reservation."""
        self._connection.execute("ZREM", self._keys[0], reservation.slot_id)

    def report_late(self, reservation: Reservation) -> None:
        """Move the slot of a request that was late to the present."""
        empty_feedback = ServerFeedback(None, None, 0.0, rejected=False)
        self._apply(empty_feedback, late_slot_id=reservation.slot_id)

    def apply_feedback(self, feedback: ServerFeedback, slot_id: str) -> None:
        """Correct the limit, the requests in the window and the pause for all processes."""
        self._apply(feedback, f"{slot_id}:{next(self._feedback_numbers)}")

    def _apply(self, feedback: ServerFeedback, name: str = "", late_slot_id: str = "") -> None:
        self._run(
            _FEEDBACK,
            "" if feedback.limit is None else feedback.limit,
            "" if feedback.remaining is None else feedback.remaining,
            feedback.reset,
            int(feedback.rejected),
            name,
            self._config.jitter,
            late_slot_id,
        )

    def restore(self, slots: Iterable[tuple[float, str]]) -> None:
        """Add slots that Redis may have lost: the age of each in seconds and its slot_id."""
        flat: list[Any] = [part for pair in slots for part in pair]
        for start in range(0, max(len(flat), 1), 2 * _RESTORE_BATCH):
            self._run(_RESTORE, *flat[start : start + 2 * _RESTORE_BATCH])
