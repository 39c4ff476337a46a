"""Limit the request rate of one API key with Lua scripts in Redis.

A slot is the permission to send one request at a certain time. Each operation on slots is one
round trip. The scripts use the clock of the Redis server. The clocks of the processes may differ.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from typing import Any

from .redis_connection import RedisConnection
from .sliding_window import (
    INTERACTIVE_RESERVE_DIVISOR,
    LEARNED_LIMIT_TTL,
    TIME_RESOLUTION,
    LimitConfig,
    Reservation,
    ReservationResult,
    ServerFeedback,
)

#: A heartbeat is a reservation that also records the process. A process counts for this number of
#: seconds after its last heartbeat. If the window is longer, the process counts for one window.
_HEARTBEAT_TTL = 10.0
#: The minimum number of seconds between two heartbeats of a process.
_HEARTBEAT_INTERVAL = 1.0
#: The maximum number of slots that one command restores.
_RESTORE_BATCH = 500

# The start of every script. ARGV[1]: the window in seconds. ARGV[2]: the configured limit.
_SCRIPT_START = f"""
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1e6
local window, configured = tonumber(ARGV[1]), tonumber(ARGV[2])
local slots, state, processes = KEYS[1], KEYS[2], KEYS[3]
-- Lua converts a number to 14 digits, which rounds a Unix time to 0.0001 seconds.
local function format_time(n) return string.format('%.6f', n) end
local fields = redis.call('HMGET', state, 'epoch', 'not_before', 'limit', 'limit_until')
local epoch, not_before = fields[1], tonumber(fields[2] or 0)
local function keep_state()
    epoch = epoch or format_time(now)
    redis.call('HSET', state, 'epoch', epoch)  -- raises an error if Redis is out of memory
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

# Arguments after the window and the configured limit:
#   ARGV[3]: id of the slot
#   ARGV[4]: id of the process if this call is its heartbeat, else ''
#   ARGV[5]: maximum wait in seconds
#   ARGV[6]: N if one of every N slots is reserved for interactive calls; 0 if none is reserved
#   ARGV[7]: during a pause, the seconds from the end of the pause to the slot
# Returns a list:
#   the wait in seconds, as a string
#   1 if this call granted a slot, else 0
#   the number of requests in the window
#   the number of processes; 0 if this call is not a heartbeat
#   the epoch: the creation time of the state; it changes if Redis has lost the state
_RESERVE_SCRIPT = (
    _SCRIPT_START
    + f"""
local slot_id, process = ARGV[3], ARGV[4]
local max_wait, reserve_every = tonumber(ARGV[5]), tonumber(ARGV[6])
local pause_delay, process_count = tonumber(ARGV[7]), 0
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
    if now < not_before then scheduled_at = not_before + pause_delay end
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

# Arguments after the window and the configured limit:
#   ARGV[3]: the server's limit, or ''
#   ARGV[4]: the number of requests that the server still allows in its window, or ''
#   ARGV[5]: seconds until the server's window ends; after a rejection, until the next attempt
#   ARGV[6]: '1' if the server rejected the request because of the rate limit, else '0'
#   ARGV[7]: prefix for the slot ids of requests that other clients sent
#   ARGV[8]: all waiting requests are sent within this number of seconds after a pause
#   ARGV[9]: id of the slot of a slow request, or ''
_FEEDBACK_SCRIPT = (
    _SCRIPT_START
    + f"""
local server_limit, remaining, reset = ARGV[3], ARGV[4], tonumber(ARGV[5])
local is_rejected, foreign_prefix = ARGV[6] == '1', ARGV[7]
local margin, late_slot_id = tonumber(ARGV[8]), ARGV[9]
if is_rejected and now + reset > not_before then
    not_before = now + reset
    redis.call('HSET', state, 'not_before', format_time(not_before))
end
if server_limit ~= '' then
    local limit_until = format_time(now + {LEARNED_LIMIT_TTL})
    redis.call('HSET', state, 'limit', server_limit, 'limit_until', limit_until)
    limit = math.min(configured, tonumber(server_limit))
end
if late_slot_id ~= '' then
    redis.call('ZADD', slots, 'XX', format_time(now - margin), late_slot_id)
end
local waiting = redis.call('ZRANGEBYSCORE', slots, '(' .. format_time(now), '+inf')
redis.call('ZREMRANGEBYSCORE', slots, '(' .. format_time(now), '+inf')
redis.call('ZREMRANGEBYSCORE', slots, '-inf', format_time(now - window))
if server_limit ~= '' and remaining ~= '' then
    local foreign_count = limit - tonumber(remaining) - redis.call('ZCARD', slots)
    local earliest_exit = math.min(reset, window)
    for n = 0, foreign_count - 1 do
        local expires_in = earliest_exit + (window - earliest_exit) * n / foreign_count
        local time = format_time(now + expires_in - window)
        redis.call('ZADD', slots, time, foreign_prefix .. ':' .. n)
    end
end
-- Grant new slots to all waiting requests, in the order of their old slots.
local times = {{}}
for i, part in ipairs(redis.call('ZRANGE', slots, 0, -1, 'WITHSCORES')) do
    if i % 2 == 0 then times[#times + 1] = tonumber(part) end
end
local start, step = math.max(now, not_before), 0
if start > now then step = margin / math.max(#waiting, 1) end
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

# Arguments after the window and the configured limit: for each slot, its age in seconds and its id.
# The age of a future slot is negative.
_RESTORE_SCRIPT = (
    _SCRIPT_START
    + """
keep_state()  -- first: only the first write of a script fails if Redis is out of memory
for n = 3, #ARGV, 2 do
    redis.call('ZADD', slots, 'NX', format_time(now - tonumber(ARGV[n])), ARGV[n + 1])
end
keep_slots()
"""
)

_SCRIPT_DIGESTS = {
    script: hashlib.sha1(script.encode()).hexdigest()
    for script in (_RESERVE_SCRIPT, _FEEDBACK_SCRIPT, _RESTORE_SCRIPT)
}


class RedisLimiter:
    """Grants the slots of one API key and stores them in Redis (version 5 or later).

    The methods run in the worker thread and raise the exceptions of redis-py. They do not modify
    reservations, which belong to the callers' threads. Every operation is idempotent, because it
    may be sent twice.
    """

    def __init__(self, connection: RedisConnection, key_hash: str, config: LimitConfig) -> None:
        self._connection = connection
        self._config = config
        # The braces are a hash tag: Redis Cluster and its proxies keep the three keys on one node.
        prefix = f"dub_uplink:{{{key_hash}}}"
        # slots: sorted set of requests, sent or waiting, scored by their time.
        # state: hash with the epoch, the end of a pause, and the limit learned from the server.
        # processes: sorted set of the processes that share the limit, scored by the last heartbeat.
        # The time to live of slots and processes depends on the window length. Therefore each
        # window length has its own slots and processes. All window lengths share the state.
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
        is_heartbeat = not 0 <= now - self._last_heartbeat < _HEARTBEAT_INTERVAL
        wait, granted, window_count, process_count, epoch = self._run_script(
            _RESERVE_SCRIPT,
            reservation.slot_id,
            reservation.slot_id.rpartition(":")[0] if is_heartbeat else "",
            min(max_wait, 1e9),
            INTERACTIVE_RESERVE_DIVISOR if reservation.bulk else 0,
            reservation.clock.random() * self._config.margin,
        )
        if is_heartbeat:
            self._last_heartbeat, self._process_count = now, int(process_count)
        return ReservationResult(
            float(wait),
            bool(granted),
            int(window_count),
            self._process_count,
            # Append the connection's generation. After a failover, the new primary has the epoch
            # of the old primary, but may lack the latest slots.
            f"{epoch}-{self._connection.generation}",
        )

    def _run_script(self, script: str, *arguments: Any) -> Any:
        config = self._config
        command = (len(self._keys), *self._keys, config.window, config.limit, *arguments)
        try:
            return self._connection.execute("EVALSHA", _SCRIPT_DIGESTS[script], *command)
        except self._connection.errors.NoScriptError:
            return self._connection.execute("EVAL", script, *command)

    def cancel(self, reservation: Reservation) -> None:
        """Release the slot of a reservation."""
        self._connection.execute("ZREM", self._keys[0], reservation.slot_id)

    def postpone_slot(self, reservation: Reservation) -> None:
        """Move the slot of a slow request; see :meth:`Limiter.postpone_slot`."""
        empty_feedback = ServerFeedback(None, None, 0.0, rejected=False)
        self._run_feedback_script(empty_feedback, late_slot_id=reservation.slot_id)

    def apply_feedback(self, feedback: ServerFeedback, slot_id: str) -> None:
        """Apply feedback for all processes; see :meth:`Limiter.apply_feedback`."""
        self._run_feedback_script(feedback, f"{slot_id}:{next(self._feedback_numbers)}")

    def _run_feedback_script(
        self, feedback: ServerFeedback, foreign_prefix: str = "", late_slot_id: str = ""
    ) -> None:
        self._run_script(
            _FEEDBACK_SCRIPT,
            "" if feedback.limit is None else feedback.limit,
            "" if feedback.remaining is None else feedback.remaining,
            feedback.reset_seconds,
            int(feedback.rejected),
            foreign_prefix,
            self._config.margin,
            late_slot_id,
        )

    def restore(self, slots: Iterable[tuple[float, str]]) -> None:
        """Add slots that Redis may have lost.

        Args:
            slots: for each slot its age in seconds and its id.
        """
        arguments: list[Any] = [part for pair in slots for part in pair]
        for start in range(0, max(len(arguments), 1), 2 * _RESTORE_BATCH):
            self._run_script(_RESTORE_SCRIPT, *arguments[start : start + 2 * _RESTORE_BATCH])
