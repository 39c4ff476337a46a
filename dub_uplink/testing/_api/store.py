"""Store the customers of a fake workspace in SQLite, in memory or in a file.

With SQLite's compact rows and indexes, a fake with a million customers is fast.
"""

import dataclasses
import datetime as dt
import json
import re
import sqlite3
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from .._messages import FakeClosed

_COLUMNS = (
    "id",
    "name",
    "email",
    "avatar",
    "external_id",
    "stripe_customer_id",
    "country",
    "sales",
    "sale_amount",
    "created_at",
    "first_sale_at",
    "subscription_canceled_at",
    "program_id",
    "link",
    "partner",
    "discount",
)
_DATE_COLUMNS = ("created_at", "first_sale_at", "subscription_canceled_at")
_JSON_COLUMNS = ("link", "partner", "discount")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS customers (
    id TEXT PRIMARY KEY,
    name TEXT,
    email TEXT,
    avatar TEXT,
    external_id TEXT NOT NULL,
    stripe_customer_id TEXT,
    country TEXT,
    sales INTEGER NOT NULL,
    sale_amount INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    first_sale_at INTEGER,
    subscription_canceled_at INTEGER,
    program_id TEXT,
    link TEXT,
    partner TEXT,
    discount TEXT,
    link_id TEXT,
    partner_id TEXT
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS by_external_id ON customers (external_id);
CREATE UNIQUE INDEX IF NOT EXISTS by_stripe_customer_id ON customers (stripe_customer_id)
    WHERE stripe_customer_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_created_at ON customers (created_at);
"""
# Create the indexes of these columns on first use: they slow writes, and few fakes need them.
_LAZY_INDEXES = ("email", "sale_amount", "first_sale_at", "subscription_canceled_at")

_SELECT = f"SELECT {', '.join(_COLUMNS)}"
_INSERT = (
    f"INSERT INTO customers ({', '.join(_COLUMNS)}, link_id, partner_id) "
    f"VALUES ({', '.join('?' * (len(_COLUMNS) + 2))})"
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_MILLISECOND = dt.timedelta(milliseconds=1)

Row: TypeAlias = tuple[Any, ...]


class InvalidId(ValueError):
    """The Dub id of a new customer is empty or begins with ``ext_``."""


class DuplicateKey(ValueError):
    """Another customer has the same value of a unique field, such as ``external_id``."""

    def __init__(self, field: str) -> None:
        super().__init__(f"another customer has the same {field}")
        self.field = field


def check_id_format(id: str) -> None:
    """Raise ``InvalidId`` if a Dub id is empty or begins with ``ext_``."""
    if not id or id.startswith("ext_"):
        raise InvalidId(
            f"id must not be empty or begin with ext_, the prefix of external ids, not {id!r}"
        )


def to_milliseconds(moment: dt.datetime) -> int:
    """Convert an aware datetime to Unix milliseconds."""
    return (moment - _EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> dt.datetime:
    """Convert Unix milliseconds to an aware datetime."""
    return _EPOCH + milliseconds * _MILLISECOND


@dataclasses.dataclass(frozen=True, slots=True)
class StoredCustomer:
    """A stored customer, with its link, partner and discount.

    For a missing name, responses contain the email or a random name. ``sale_amount`` is in cents.
    Dates have a time zone. ``link``, ``partner`` and ``discount`` have Dub's camelCase keys.
    """

    __module__ = "dub_uplink.testing"

    id: str
    name: str | None
    email: str | None
    avatar: str | None
    external_id: str
    stripe_customer_id: str | None
    country: str | None
    created_at: dt.datetime
    sales: int = 0
    sale_amount: int = 0
    first_sale_at: dt.datetime | None = None
    subscription_canceled_at: dt.datetime | None = None
    program_id: str | None = None
    link: Mapping[str, Any] | None = None
    partner: Mapping[str, Any] | None = None
    discount: Mapping[str, Any] | None = None


def customer_from_row(row: Row) -> StoredCustomer:
    """Convert a row of the database to a customer."""
    fields = dict(zip(_COLUMNS, row, strict=True))
    for name in _DATE_COLUMNS:
        if fields[name] is not None:
            fields[name] = from_milliseconds(fields[name])
    for name in _JSON_COLUMNS:
        if fields[name] is not None:
            fields[name] = json.loads(fields[name])
    return StoredCustomer(**fields)


def row_from_customer(customer: StoredCustomer) -> Row:
    """Convert a customer to a row of the database."""
    fields = {name: getattr(customer, name) for name in _COLUMNS}
    for name in _DATE_COLUMNS:
        if fields[name] is not None:
            fields[name] = to_milliseconds(fields[name])
    ids = [
        None if customer.link is None else customer.link.get("id"),
        None if customer.partner is None else customer.partner.get("id"),
    ]
    for name in _JSON_COLUMNS:
        if fields[name] is not None:
            try:
                fields[name] = json.dumps(fields[name], ensure_ascii=False, allow_nan=False)
            except ValueError as error:
                raise ValueError(f"{name} must be a JSON object: {error}") from None
    return (*fields.values(), *ids)


@dataclasses.dataclass(frozen=True, slots=True)
class ListQuery:
    """The filters, sort order and page of a list.

    ``equal_values`` maps columns to required values. ``search`` is a text for names and emails.
    ``ids`` are Dub ids.
    """

    equal_values: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    search: str | None = None
    ids: Sequence[str] | None = None
    sort_by: str = "created_at"
    ascending: bool = False
    page: int = 1
    page_size: int = 100
    starting_after: str | None = None
    ending_before: str | None = None


def _where_clause(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


_WORD_PATTERN = re.compile(r"\w+")


def _split_words(text: str | None) -> set[str]:
    return set(_WORD_PATTERN.findall(text.casefold())) if text else set()


def _shares_a_word(search: str, name: str | None, email: str | None) -> bool:
    return not _split_words(search).isdisjoint(_split_words(name) | _split_words(email))


class Store:
    """Store customers in a SQLite file or in memory. The caller must hold a lock.

    Dub's server does not define the order of equal values or nulls of the sort field. The store
    sorts equal values by id, in the direction of the list. Nulls are first in ascending order. A
    search finds customers with at least one word of the search text, and ignores case.
    """

    def __init__(self, database: str | None = None) -> None:
        self._db = sqlite3.connect(
            database or ":memory:", isolation_level=None, check_same_thread=False
        )
        # Close at garbage collection and exit too. Python 3.13 warns of open databases.
        self._finalizer = weakref.finalize(self, self._db.close)
        self._db.create_function("shares_a_word", 3, _shares_a_word, deterministic=True)
        # Do not wait for the disk. Writes survive a killed process, but not a power failure.
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        # Cache 64 MiB. With SQLite's default of 2 MB, 100,000 customers cause many disk reads.
        self._db.execute("PRAGMA cache_size = -65536")
        self._db.executescript(_SCHEMA)
        self._indexed_columns: set[str] = set()

    def close(self) -> None:
        """Close the database."""
        self._finalizer()

    def check_open(self) -> None:
        """Raise ``FakeClosed`` if the database is closed."""
        if not self._finalizer.alive:
            raise FakeClosed(
                "the fake is closed; send requests before close(), or use a new FakeDub"
            )

    def __len__(self) -> int:
        count: int = self._db.execute("SELECT count(*) FROM customers").fetchone()[0]
        return count

    def get(self, key: str) -> Row | None:
        """Return the row for a Dub id or an ``ext_`` id; ``None`` if there is none."""
        if key.startswith("ext_"):
            result = self._db.execute(f"{_SELECT} FROM customers WHERE external_id = ?", (key[4:],))
        else:
            result = self._db.execute(f"{_SELECT} FROM customers WHERE id = ?", (key,))
        row: Row | None = result.fetchone()
        return row

    def has(self, id: str) -> bool:
        """Return whether a customer with a Dub id exists."""
        return (
            self._db.execute("SELECT 1 FROM customers WHERE id = ?", (id,)).fetchone() is not None
        )

    def check_id(self, id: str) -> None:
        """Check the Dub id of a new customer.

        Raises:
            DuplicateKey: A stored customer has this id.
            InvalidId: ``id`` is empty or begins with ``ext_``.
        """
        check_id_format(id)
        if self.has(id):
            raise DuplicateKey("id")

    def all(self) -> list[Row]:
        """Return all rows, sorted by id."""
        return self._db.execute(f"{_SELECT} FROM customers ORDER BY id").fetchall()

    def newest(self, before: str | None, limit: int) -> list[Row]:
        """Return at most ``limit`` rows, the highest id first.

        With ``before``, return only ids below ``before``.
        """
        where = "" if before is None else "WHERE id < ?"
        values = [limit] if before is None else [before, limit]
        return self._db.execute(
            f"{_SELECT} FROM customers {where} ORDER BY id DESC LIMIT ?", values
        ).fetchall()

    def add(self, customer: StoredCustomer) -> None:
        """Store a customer.

        Raises:
            DuplicateKey: Another customer has the same value of a unique column.
        """
        self._write(_INSERT, row_from_customer(customer))

    def add_missing(self, rows: Iterable[Row]) -> int:
        """Store rows in one transaction; skip duplicates. Return the number of stored rows."""
        changes_before = self._db.total_changes
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany(_INSERT.replace("INSERT", "INSERT OR IGNORE", 1), rows)
        return self._db.total_changes - changes_before

    def update(self, id: str, values: Mapping[str, str | None]) -> None:
        """Update the given columns of a customer.

        Raises:
            DuplicateKey: Another customer has the same value of a unique column.
        """
        if values:
            columns = ", ".join(f"{column} = ?" for column in values)
            self._write(f"UPDATE customers SET {columns} WHERE id = ?", (*values.values(), id))

    def delete(self, id: str) -> None:
        self._db.execute("DELETE FROM customers WHERE id = ?", (id,))

    def clear(self) -> None:
        self._db.execute("DELETE FROM customers")

    def page(self, query: ListQuery) -> list[Row]:
        """Return the rows of one page."""
        conditions, values = self._conditions(query)
        cursor = query.starting_after or query.ending_before
        # To find the rows before a cursor, reverse the order and find the rows after the cursor.
        ascending = query.ascending != bool(query.ending_before)
        direction = "ASC" if ascending else "DESC"
        if cursor:
            conditions.append("id > ?" if ascending else "id < ?")
            values.append(cursor)
            order = f"id {direction}"
        else:
            self._ensure_index(query.sort_by)
            order = f"{query.sort_by} {direction}, id {direction}"
        where = _where_clause(conditions)
        values += [query.page_size, (query.page - 1) * query.page_size]
        page = f"FROM customers{where} ORDER BY {order} LIMIT ? OFFSET ?"
        if query.page > 1:
            # Skip earlier pages by id, and read complete rows only for the requested page.
            page = f"FROM customers WHERE id IN (SELECT id {page}) ORDER BY {order}"
        rows: list[Row] = self._db.execute(f"{_SELECT} {page}", values).fetchall()
        return rows[::-1] if query.ending_before else rows

    def count(self, query: ListQuery) -> int:
        """Return the number of customers that match the filters of a query."""
        conditions, values = self._conditions(query)
        statement = f"SELECT count(*) FROM customers{_where_clause(conditions)}"
        count: int = self._db.execute(statement, values).fetchone()[0]
        return count

    def count_by_country(self, query: ListQuery) -> list[Row]:
        """Return each country with its number of customers, the largest number first."""
        conditions, values = self._conditions(query)
        return self._db.execute(
            f"SELECT country, count(*) FROM customers{_where_clause(conditions)} "
            "GROUP BY country ORDER BY count(*) DESC, country",
            values,
        ).fetchall()

    def count_by_link(self, query: ListQuery, limit: int) -> list[Row]:
        """Return each link's id, number of customers and JSON, the largest number first."""
        conditions, values = self._conditions(query)
        where = _where_clause([*conditions, "link_id IS NOT NULL"])
        return self._db.execute(
            f"SELECT link_id, count(*), min(link) FROM customers{where} "
            "GROUP BY link_id ORDER BY count(*) DESC, link_id LIMIT ?",
            (*values, limit),
        ).fetchall()

    def _conditions(self, query: ListQuery) -> tuple[list[str], list[str | int]]:
        conditions = [f"{column} = ?" for column in query.equal_values]
        values: list[str | int] = list(query.equal_values.values())
        if "email" in query.equal_values:
            self._ensure_index("email")
        if query.search is not None:
            conditions.append("shares_a_word(?, name, email)")
            values.append(query.search)
        if query.ids is not None:
            conditions.append("id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(query.ids))
        return conditions, values

    def _write(self, statement: str, values: Sequence[Any]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.IntegrityError as error:
            # SQLite's message ends with the column, such as "customers.external_id".
            column = str(error).rpartition(".")[2]
            if column == "id":
                raise
            raise DuplicateKey(column) from error

    def _ensure_index(self, column: str) -> None:
        if column in _LAZY_INDEXES and column not in self._indexed_columns:
            self._db.execute(f"CREATE INDEX IF NOT EXISTS by_{column} ON customers ({column})")
            self._indexed_columns.add(column)
