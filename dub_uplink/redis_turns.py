"""The turns of a key in Redis: what :class:`~dub_uplink.window.Window` does, as scripts there.

One exchange a question. The clock is Redis's own, so that machines may disagree about the time. May
import the window.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from typing import Any

from .window import LEARNED_FOR, LEFT_TO_INTERACTIVE, Notice, Rules, Ticket

#: Of a key: the moments of its requests, those that wait among them; what was learned; who shares.
_KEYS = ("slots", "state", "sharers")
#: How long one who sends nothing is counted among those who share, in seconds, if not a window.
_QUIET = 10.0
_COUNT_EVERY = 1.0  # seconds between two times that a process says that it is there
_AT_ONCE = 500  # turns that are put back in one exchange

_PRELUDE = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1e6
local window = tonumber(ARGV[1])
local slots, state, sharers = KEYS[1], KEYS[2], KEYS[3]
-- Lua writes a number with 14 digits, which leaves a moment a hundredth of a second.
local function text(n) return string.format('%.6f', n) end
local facts = redis.call('HMGET', state, 'version', 'not_before', 'limit', 'until')
local version, not_before = facts[1] or '0', tonumber(facts[2] or 0)
local function limit(given)
    if facts[3] and tonumber(facts[4]) > now then return math.min(given, tonumber(facts[3])) end
    return given
end
"""

# 2 member, 3 process if it is to be counted anew, 4 the version it waits under, 5 limit,
# 6 patience, 7 one in so many is left over, 8 the seconds after a pause.
# Returns wait, version, requests in the window, whether it has a new place, who shares if counted.
_ASK = (
    _PRELUDE
    + f"""
local member, me, known = ARGV[2], ARGV[3], ARGV[4]
local patience, left, count = tonumber(ARGV[6]), tonumber(ARGV[7]), 0
if me ~= '' then
    local quiet = math.max(window, {_QUIET})
    redis.call('ZADD', sharers, text(now), me)
    redis.call('ZREMRANGEBYSCORE', sharers, '-inf', text(now - quiet))
    redis.call('PEXPIRE', sharers, math.ceil(quiet * 1000))
    count = redis.call('ZCARD', sharers)
end
if known ~= '' then
    local due = redis.call('ZSCORE', slots, member)
    if due and known == version then
        return {{text(math.max(tonumber(due) - now, 0)), version, 0, 0, count}}
    end
    redis.call('ZREM', slots, member)
end
redis.call('ZREMRANGEBYSCORE', slots, '-inf', text(now - window))
local room, taken, due = limit(tonumber(ARGV[5])), redis.call('ZCARD', slots), now
if left > 0 then room = room - math.floor(room / left) end
if taken >= room then
    local first = redis.call('ZRANGE', slots, taken - room, taken - room, 'WITHSCORES')
    due = math.max(now, tonumber(first[2]) + window)
end
if due < not_before then due = not_before + tonumber(ARGV[8]) end
local wait = due - now
if wait > patience or (left > 0 and wait > 0) then
    return {{text(wait), version, taken, 0, count}}
end
redis.call('ZADD', slots, text(due), member)
redis.call('PEXPIRE', slots, math.ceil((wait + window) * 1000))
return {{text(wait), version, taken, 1, count}}
"""
)

# 2 limit, 3 the server's limit or '', 4 remaining, 5 reset, 6 whether it refused, 7 a name.
_HEED = (
    _PRELUDE
    + f"""
local given, reset, changed = tonumber(ARGV[2]), tonumber(ARGV[5]), false
if ARGV[3] ~= '' then
    local before = limit(given)
    redis.call('HSET', state, 'limit', ARGV[3], 'until', text(now + {LEARNED_FOR}))
    local allowed = math.min(given, tonumber(ARGV[3]))
    local used = redis.call('ZCOUNT', slots, '(' .. text(now - window), text(now))
    local missing, first = allowed - tonumber(ARGV[4]) - used, math.min(reset, window)
    for n = 0, missing - 1 do
        local leaves = first + (window - first) * n / missing
        redis.call('ZADD', slots, text(now + leaves - window), ARGV[7] .. ':' .. n)
    end
    if missing > 0 then redis.call('PEXPIRE', slots, math.ceil(window * 2000)) end
    changed = missing > 0 or allowed < before
end
if ARGV[6] == '1' then
    if now + reset > not_before then
        redis.call('HSET', state, 'not_before', text(now + reset))
        changed = true
    end
end
if changed then redis.call('HINCRBY', state, 'version', 1) end
redis.call('PEXPIRE', state, math.ceil((math.max(window, reset) + {LEARNED_FOR}) * 1000))
"""
)

# Pairs from 2 on: the age of a turn in seconds, below 0 where it is to come, and its name.
_RESTORE = (
    _PRELUDE
    + """
for n = 2, #ARGV, 2 do
    redis.call('ZADD', slots, 'NX', text(now - tonumber(ARGV[n])), ARGV[n + 1])
end
if #ARGV > 1 then redis.call('PEXPIRE', slots, math.ceil(window * 2000)) end
"""
)

# What Redis calls a script by.
_SHA = {text: hashlib.sha1(text.encode()).hexdigest() for text in (_ASK, _HEED, _RESTORE)}


class RedisTurns:
    """The turns of one key in a Redis, of version 5 or later."""

    def __init__(self, storage: Any, name: str, rules: Rules) -> None:
        self._client = storage.get_connection()
        self._rules = rules
        # In braces what a cluster looks at to keep the three together.
        self._keys = [f"dub_uplink:{{{name}}}:{kind}" for kind in _KEYS]
        self._notices = itertools.count()
        self._sharers = 1
        self._counted = float("-inf")

    def ask(self, ticket: Ticket, patience: float, *, waited: bool) -> tuple[float, int]:
        rules = self._rules
        now = ticket.clock.monotonic()
        count = not 0 <= now - self._counted < _COUNT_EVERY
        wait, version, taken, placed, sharers = self._run(
            _ASK,
            rules.window,
            ticket.member,
            ticket.member.rpartition(":")[0] if count else "",
            ticket.version if waited else "",
            rules.limit,
            min(patience, 1e9),
            LEFT_TO_INTERACTIVE if ticket.bulk else 0,
            ticket.clock.random() * rules.spread,
        )
        if count:
            self._counted, self._sharers = now, int(sharers)
        seconds = float(wait)
        if placed:
            ticket.due = ticket.clock.monotonic() + seconds
            ticket.version, ticket.used, ticket.place = int(version), int(taken), self
        elif seconds > patience:
            ticket.due = None
        return seconds, self._sharers

    def _run(self, script: str, *arguments: Any) -> Any:
        # Not the library's own Script: it takes as long as the exchange itself.
        command = (len(_KEYS), *self._keys, *arguments)
        try:
            return self._client.execute_command("EVALSHA", _SHA[script], *command)
        except Exception as error:
            if "NOSCRIPT" not in str(error) and type(error).__name__ != "NoScriptError":
                raise
            return self._client.execute_command("EVAL", script, *command)

    def give_back(self, ticket: Ticket) -> None:
        self._client.zrem(self._keys[0], ticket.member)

    def heed(self, notice: Notice, name: str) -> None:
        self._run(
            _HEED,
            self._rules.window,
            self._rules.limit,
            "" if notice.limit is None else notice.limit,
            notice.remaining,
            notice.reset,
            int(notice.refused),
            f"{name}:{next(self._notices)}",
        )

    def restore(self, given: Iterable[tuple[float, str]]) -> None:
        flat: list[Any] = [part for pair in given for part in pair]
        for start in range(0, max(len(flat), 1), 2 * _AT_ONCE):
            self._run(_RESTORE, self._rules.window, *flat[start : start + 2 * _AT_ONCE])
