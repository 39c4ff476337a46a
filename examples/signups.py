"""Store the users and the rate limit of ``signup_service.py`` and ``nightly_batch.py``.

This module reads the settings from the environment, so both programs use the same limit.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import Any, Literal

from dub_uplink import RateLimit

DATABASE = os.environ.get("SIGNUPS_DATABASE", "signups.sqlite3")
STORAGE = os.environ.get("DUB_RATE_LIMIT_STORAGE", "redis://127.0.0.1:6379")
LIMIT = int(os.environ.get("DUB_RATE_LIMIT", "600"))  # requests in a window; 600 on the plan pro
WINDOW = float(os.environ.get("DUB_RATE_WINDOW", "60"))  # seconds

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    external_id TEXT PRIMARY KEY, email TEXT NOT NULL, country TEXT NOT NULL, dub_id TEXT
)
"""


def rate_limit(priority: Literal["interactive", "bulk"]) -> RateLimit:
    """Return the rate limit of the API key, which all processes share in Redis."""
    return RateLimit(LIMIT, per=WINDOW, storage=STORAGE, priority=priority)


def execute(statement: str, *values: Any) -> list[sqlite3.Row]:
    """Run one statement in a new transaction, and return its rows."""
    with closing(sqlite3.connect(DATABASE, timeout=30)) as database, database:
        database.row_factory = sqlite3.Row
        database.execute(SCHEMA)
        return database.execute(statement, values).fetchall()


def add_user(user: dict[str, str]) -> None:
    """Store a user without a Dub id. Leave an existing user unchanged."""
    execute(
        "INSERT OR IGNORE INTO users VALUES (?, ?, ?, NULL)",
        user["external_id"],
        user["email"],
        user["country"],
    )


def users_without_customer() -> list[dict[str, str]]:
    """Return the users whose customer is missing in Dub, as ``create_many()`` takes them."""
    rows = execute("SELECT external_id, email, country FROM users WHERE dub_id IS NULL")
    return [dict(row) for row in rows]


def store_dub_id(external_id: str, dub_id: str) -> None:
    """Record that a user has a customer in Dub."""
    execute("UPDATE users SET dub_id = ? WHERE external_id = ?", dub_id, external_id)
