"""The turns of a key in Redis: what the window in the process does, as scripts there.

One exchange a question. The clock is Redis's own, so that machines may disagree about the time.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from typing import Any

from .redis_connection import RedisConnection
from .sliding_window import (
    LEARNED_FOR,
    LEFT_TO_INTERACTIVE,
    RESOLUTION,
    Given,
    Notice,
    Rules,
    Ticket,
)

#: Of a key: the moments of its requests, those that wait among them; what was learned; who shares.
_KEYS = ("slots", "state", "sharers")
#: How long one who sends nothing is counted among those who share, in seconds, if not a window.
_QUIET = 10.0
_COUNT_EVERY = 1.0  # seconds between two times that a process says that it is there
_AT_ONCE = 500  # turns that are put back in one exchange


_PRELUDE = f"""
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1e6
local window, given = tonumber(ARGV[1]), tonumber(ARGV[2])
local slots, state, sharers = KEYS[1], KEYS[2], KEYS[3]
-- Lua writes a number with 14 digits, which leaves a moment a hundredth of a second.
local function text(n) return string.format('%.6f', n) end
local facts = redis.call('HMGET', state, 'memory', 'not_before', 'limit', 'until')
local memory, not_before = facts[1], tonumber(facts[2] or 0)
local function keep_state(seconds)
    memory = memory or text(now)
    redis.call('HSET', state, 'memory', memory)  -- which fails where Redis is full
    redis.call('PEXPIRE', state, math.ceil((window + seconds + {LEARNED_FOR}) * 1000))
end
local function keep_slots()
    local last = redis.call('ZRANGE', slots, -1, -1, 'WITHSCORES')[2]
    if last then
        redis.call('PEXPIRE', slots, math.ceil((tonumber(last) - now + 2 * window) * 1000))
    end
end
local limit = given
if facts[3] and tonumber(facts[4]) > now then limit = math.min(given, tonumber(facts[3])) end
"""

# 3 member, 4 process if it is to be counted anew, 5 patience, 6 one in so many is left over,
# 7 the seconds after a pause.
# Returns wait, whether it has a new place, requests in the window, who shares if counted, memory.
_ASK = (
    _PRELUDE
    + f"""
local member, me = ARGV[3], ARGV[4]
local patience, left, count = tonumber(ARGV[5]), tonumber(ARGV[6]), 0
if me ~= '' or not memory then keep_state(math.max(not_before - now, 0)) end
if me ~= '' then
    local quiet = math.max(window, {_QUIET})
    redis.call('ZADD', sharers, text(now), me)
    redis.call('ZREMRANGEBYSCORE', sharers, '-inf', text(now - quiet))
    redis.call('PEXPIRE', sharers, math.ceil(quiet * 1000))
    count = redis.call('ZCARD', sharers)
end
local due = tonumber(redis.call('ZSCORE', slots, member) or nil)
if due and now < not_before and due < not_before then
    redis.call('ZREM', slots, member)
    due = nil
end
local placed, taken = 0, 0
if not due then
    redis.call('ZREMRANGEBYSCORE', slots, '-inf', text(now - window))
    local room = limit
    if left > 0 then room = room - math.floor(room / left) end
    taken, due = redis.call('ZCARD', slots), now
    if now < not_before then due = not_before + tonumber(ARGV[7]) end
    if taken >= room then
        local firsts = redis.call('ZRANGE', slots, 0, taken - room, 'WITHSCORES')
        local lasts = redis.call('ZRANGE', slots, room - 1, -1, 'WITHSCORES')
        for i = 2, #firsts, 2 do
            local first, last = tonumber(firsts[i]), tonumber(lasts[i])
            if last - window >= due then break end
            if last - first < window - {RESOLUTION} then due = math.max(due, first + window) end
        end
    end
    if due - now < patience and (left == 0 or due <= now) then
        placed = 1
        redis.call('ZADD', slots, text(due), member)
        keep_slots()
    end
elseif math.max(due - now, 0) >= patience then
    redis.call('ZREM', slots, member)
end
return {{text(math.max(due - now, 0)), placed, taken, count, memory}}
"""
)

# 3 the server's limit or '', 4 remaining or '', 5 reset, 6 whether it refused, 7 a name, 8 the
# seconds over which they come back after a pause, 9 a member whose answer was late or ''.
_HEED = (
    _PRELUDE
    + f"""
local reset = tonumber(ARGV[5])
if ARGV[6] == '1' and now + reset > not_before then
    not_before = now + reset
    redis.call('HSET', state, 'not_before', text(not_before))
end
if ARGV[3] ~= '' then
    redis.call('HSET', state, 'limit', ARGV[3], 'until', text(now + {LEARNED_FOR}))
    limit = math.min(given, tonumber(ARGV[3]))
end
if ARGV[9] ~= '' then
    redis.call('ZADD', slots, 'XX', text(now - tonumber(ARGV[8])), ARGV[9])
end
local waiting = redis.call('ZRANGEBYSCORE', slots, '(' .. text(now), '+inf')
redis.call('ZREMRANGEBYSCORE', slots, '(' .. text(now), '+inf')
redis.call('ZREMRANGEBYSCORE', slots, '-inf', text(now - window))
if ARGV[3] ~= '' and ARGV[4] ~= '' then
    local missing = limit - tonumber(ARGV[4]) - redis.call('ZCARD', slots)
    local first = math.min(reset, window)
    for n = 0, missing - 1 do
        local leaves = first + (window - first) * n / missing
        redis.call('ZADD', slots, text(now + leaves - window), ARGV[7] .. ':' .. n)
    end
end
-- All who wait have another turn, by what is known now and in the same order.
local taken = {{}}
for i, part in ipairs(redis.call('ZRANGE', slots, 0, -1, 'WITHSCORES')) do
    if i % 2 == 0 then taken[#taken + 1] = tonumber(part) end
end
local start, step = math.max(now, not_before), 0
if start > now then step = tonumber(ARGV[8]) / math.max(#waiting, 1) end
for i, member in ipairs(waiting) do
    local due, before = start + step * (i - 1), taken[#taken - limit + 1]
    if before then due = math.max(due, before + window) end
    taken[#taken + 1] = due
    redis.call('ZADD', slots, text(due), member)
end
keep_slots()
keep_state(math.max(not_before - now, 0))
"""
)

# Pairs from 3 on: the age of a turn in seconds, below 0 where it is to come, and its name.
_RESTORE = (
    _PRELUDE
    + """
keep_state(0)  -- first: after another write Redis would not say that it is full
for n = 3, #ARGV, 2 do
    redis.call('ZADD', slots, 'NX', text(now - tonumber(ARGV[n])), ARGV[n + 1])
end
keep_slots()
"""
)

# What Redis calls a script by.
_SHA = {text: hashlib.sha1(text.encode()).hexdigest() for text in (_ASK, _HEED, _RESTORE)}


class RedisTurns:
    """The turns of one key in a Redis, of version 5 or later."""

    def __init__(self, connection: RedisConnection, name: str, rules: Rules) -> None:
        self._connection = connection
        self._rules = rules
        # In braces what a cluster looks at to keep the three together.
        self._keys = [f"dub_uplink:{{{name}}}:{kind}" for kind in _KEYS]
        self._notices = itertools.count()
        self._sharers = 1
        self._counted = float("-inf")

    def ask(self, ticket: Ticket, patience: float) -> Given:
        rules = self._rules
        now = ticket.clock.monotonic()
        count = not 0 <= now - self._counted < _COUNT_EVERY
        wait, placed, used, sharers, memory = self._run(
            _ASK,
            ticket.member,
            ticket.member.rpartition(":")[0] if count else "",
            min(patience, 1e9),
            LEFT_TO_INTERACTIVE if ticket.bulk else 0,
            ticket.clock.random() * rules.spread,
        )
        if count:
            self._counted, self._sharers = now, int(sharers)
        return Given(float(wait), bool(placed), int(used), self._sharers, str(memory))

    def _run(self, script: str, *arguments: Any) -> Any:
        rules = self._rules
        command = (len(_KEYS), *self._keys, rules.window, rules.limit, *arguments)
        try:
            return self._connection.execute("EVALSHA", _SHA[script], *command)
        except Exception as error:
            if type(error).__name__ != "NoScriptError":
                raise
            return self._connection.execute("EVAL", script, *command)

    def give_back(self, ticket: Ticket) -> None:
        self._connection.execute("ZREM", self._keys[0], ticket.member)

    def late(self, ticket: Ticket) -> None:
        self._correct(Notice(None, None, 0.0, refused=False), late=ticket.member)

    def heed(self, notice: Notice, name: str) -> None:
        self._correct(notice, name)

    def _correct(self, notice: Notice, name: str = "", late: str = "") -> None:
        self._run(
            _HEED,
            "" if notice.limit is None else notice.limit,
            "" if notice.remaining is None else notice.remaining,
            notice.reset,
            int(notice.refused),
            f"{name}:{next(self._notices)}",
            self._rules.spread,
            late,
        )

    def restore(self, given: Iterable[tuple[float, str]]) -> None:
        flat: list[Any] = [part for pair in given for part in pair]
        for start in range(0, max(len(flat), 1), 2 * _AT_ONCE):
            self._run(_RESTORE, *flat[start : start + 2 * _AT_ONCE])
