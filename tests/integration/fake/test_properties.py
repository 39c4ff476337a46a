"""Random sequences of operations, held against a plain model of the rules.

``FAKE_DUB_RUNS`` is the number of sequences; a few by default.
"""

from __future__ import annotations

import collections
import datetime as dt
import os
import random
import time
from typing import Any
from urllib.parse import quote

import requests
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dub_uplink.testing import FakeDub
from dub_uplink.testing._server import Server

RUNS = int(os.environ.get("FAKE_DUB_RUNS", "40"))
START = 1_795_000_000

EXTERNAL_IDS = ["a", "b", "ext_a", "ext_ext_b", "x/y", "ü%41", ""]
EMAILS = ["a@example.com", "b@example.com", "Ada.L+1@mail.example.org"]
NAMES = ["Ada", "Bob Lee", "", "Zoë a@example.com"]
STRIPE_IDS = ["s1", "s2"]
COUNTRIES = ["GB", "US", "DE"]
AVATARS = ["https://dubassets.com/a.png", "https://api.dub.co/og/avatar/b"]

GOOD_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "email": st.sampled_from([None, *EMAILS]),
    "name": st.sampled_from([None, *NAMES]),
    "avatar": st.sampled_from([None, *AVATARS]),
    "externalId": st.sampled_from(EXTERNAL_IDS),
    "stripeCustomerId": st.sampled_from([None, *STRIPE_IDS]),
    "country": st.sampled_from(COUNTRIES),
}
BAD_FIELDS: dict[str, list[tuple[Any, str]]] = {
    "email": [
        ("x", "invalid_format: email: Invalid email address"),
        (1, "invalid_type: email: Invalid input: expected string, received number"),
    ],
    "name": [([], "invalid_type: name: Invalid input: expected string, received array")],
    "avatar": [("nope", "invalid_format: avatar: Invalid URL")],
    "externalId": [
        (None, "invalid_type: externalId: External ID is required"),
        (1, "invalid_type: externalId: External ID is required"),
    ],
    "stripeCustomerId": [
        (True, "invalid_type: stripeCustomerId: Invalid input: expected string, received boolean")
    ],
    "country": [(None, "invalid_type: country: Invalid input: expected string, received null")],
}
BAD_QUERIES: list[tuple[str, str, str]] = [
    ("page", "x", "invalid_type: page: Page must be a number."),
    ("page", "1.5", "invalid_type: page: Page must be an integer."),
    ("page", "0", "too_small: page: Page must be greater than 0."),
    ("pageSize", "x", "invalid_type: pageSize: Page size must be a number."),
    ("pageSize", "2.5", "invalid_type: pageSize: Page size must be an integer."),
    ("pageSize", "-1", "too_small: pageSize: Page size must be greater than 0."),
    ("pageSize", "101", "too_big: pageSize: Max page size is 100."),
    (
        "includeExpandedFields",
        "1",
        'invalid_value: includeExpandedFields: Invalid option: expected one of "true"|"false"',
    ),
    (
        "sortBy",
        "id",
        (
            'invalid_value: sortBy: Invalid option: expected one of "createdAt"|"saleAmount"|'
            '"firstSaleAt"|"subscriptionCanceledAt"'
        ),
    ),
    ("sortOrder", "x", 'invalid_value: sortOrder: Invalid option: expected one of "asc"|"desc"'),
]
NOT_FOUND = (
    "Customer not found. Make sure you're using the correct customer ID (e.g. "
    "`cus_3TagGjzRzmsFJdH8od2BNCsc`) or external ID (has to be prefixed with `ext_`)."
)
CONFLICT = "A customer with this external ID already exists."
MOMENTS = st.none() | st.integers(-5, 5)

bodies = st.fixed_dictionaries({}, optional=GOOD_FIELDS)
spoilt = st.lists(
    st.sampled_from([(field, *bad) for field, bads in BAD_FIELDS.items() for bad in bads]),
    max_size=2,
)
queries = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from(["", *EMAILS]),
        "externalId": st.sampled_from(EXTERNAL_IDS),
        "search": st.sampled_from(["", "ada", "LEE", "example", "a@example.com", "nobody"]),
        "country": st.sampled_from(["", *COUNTRIES]),
        "partnerId": st.sampled_from(["pn_1", "pn_2"]),
        "linkId": st.sampled_from(["link_1", "link_2"]),
        "programId": st.sampled_from(["", "prog_1", "prog_2"]),
        "sortOrder": st.sampled_from(["asc", "desc"]),
        "pageSize": st.sampled_from(["1", "2", "3", "100"]),
        "includeExpandedFields": st.sampled_from(["true", "false"]),
        "unknown": st.just("x"),
    },
)
sort_fields = st.sampled_from(["createdAt", "saleAmount", "firstSaleAt", "subscriptionCanceledAt"])


def words(text: str | None) -> set[str]:
    marks = str.maketrans(dict.fromkeys("@.+ -", " "))
    return set((text or "").lower().translate(marks).split())


class Workspace(RuleBasedStateMachine):
    """The fake beside a list of customers as the API shows them, expanded."""

    @initialize(served=st.sampled_from([False, False, False, True]))
    def start(self, served: bool) -> None:
        self.now = float(START)
        self.fake = FakeDub(now=lambda: self.now, default_program="prog_1")
        self.api = self.fake.session()
        self.url = self.fake.base_url
        self.server: Server | None = None
        if served:
            self.server = self.fake.serve()
            self.url = self.server.__enter__()
            self.api = requests.Session()
        self.rows: list[dict[str, Any]] = []

    def teardown(self) -> None:
        if hasattr(self, "fake"):
            if self.server is not None:
                self.server.close()
            self.api.close()
            self.fake.close()

    def ask(self, method: str, path: str, query: Any = None, body: Any = ...) -> Any:
        self.now += 0.25
        return self.api.request(
            method,
            self.url + path,
            params=query,
            headers={"Authorization": "Bearer dub_test"},
            **({} if body is ... else {"json": body}),
        )

    def refused(self, answer: Any, status: int, message: str) -> None:
        assert (answer.status_code, answer.json()["error"]["message"]) == (status, message)
        assert int(answer.headers["Retry-After"]) > self.now * 1000

    def shown(self, answer: Any, row: dict[str, Any], *, expanded: bool) -> None:
        assert "Retry-After" not in answer.headers
        self.same(answer.json(), row, expanded=expanded)

    def same(self, actual: dict[str, Any], row: dict[str, Any], *, expanded: bool) -> None:
        expected = {
            key: value
            for key, value in row.items()
            if key not in ("programId", "link", "partner") or (expanded and value is not None)
        }
        expected["name"] = row["name"] or row["email"] or actual["name"]
        assert actual == expected
        assert list(actual) == list(expected)
        assert actual["name"]

    def taken(self, fields: dict[str, Any], but: dict[str, Any] | None = None) -> bool:
        return any(
            fields.get(key) is not None and fields[key] == row[key]
            for row in self.rows
            if row is not but
            for key in ("externalId", "stripeCustomerId")
        )

    def pick(self, choice: int, by_external_id: bool) -> tuple[str, dict[str, Any] | None]:
        """A path to a customer, or sometimes to none."""
        if choice >= len(self.rows):
            return ("/customers/ext_nobody" if by_external_id else "/customers/cus_x"), None
        row = self.rows[choice]
        key = f"ext_{row['externalId']}" if by_external_id else row["id"]
        return "/customers/" + quote(key, safe=""), row

    @rule(body=bodies, bad=spoilt)
    def create(self, body: dict[str, Any], bad: list[tuple[str, Any, str]]) -> None:
        sent = {**body, **{field: value for field, value, _ in bad}, "extra": 1}
        answer = self.ask("POST", "/customers", body=sent)
        problem = self.body_problem(sent, creating=True)
        if problem is not None:
            self.refused(answer, 422, problem)
        elif self.taken(body):
            self.refused(answer, 409, CONFLICT)
        else:
            assert answer.status_code == 201
            row = self.row(answer.json()["id"], body)
            assert all(row["id"] > other["id"] for other in self.rows)
            self.rows.append(row)
            self.shown(answer, row, expanded=False)

    def row(self, id: str, fields: dict[str, Any]) -> dict[str, Any]:
        blank = dict.fromkeys(
            ("name", "email", "avatar", "externalId", "stripeCustomerId", "country")
        )
        written = {key: value for key, value in fields.items() if key in blank}
        return {
            "id": id,
            **blank,
            **written,
            "sales": 0,
            "saleAmount": 0,
            "createdAt": self.timestamp(self.now),
            "firstSaleAt": None,
            "subscriptionCanceledAt": None,
            "programId": None,
            "link": None,
            "partner": None,
        }

    @staticmethod
    def timestamp(moment: float) -> str:
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(moment)))
        return f"{whole}.{round(moment % 1 * 1000):03}Z"

    def body_problem(self, sent: dict[str, Any], *, creating: bool) -> str | None:
        for field in GOOD_FIELDS:
            for bad_field, bads in BAD_FIELDS.items():
                for value, message in bads:
                    if (
                        field == bad_field
                        and field in sent
                        and type(value) is type(sent[field])
                        and sent[field] == value
                    ):
                        return message
            if creating and field not in sent:
                if field == "externalId":
                    return "invalid_type: externalId: External ID is required"
                if field == "country":
                    return (
                        "invalid_type: country: Invalid input: expected string, received undefined"
                    )
        return None

    @rule(
        back=st.integers(-3, 3),
        amount=st.integers(0, 3),
        sold=MOMENTS,
        canceled=MOMENTS,
        expansion=st.integers(0, 3),
        country=st.sampled_from(COUNTRIES),
    )
    def back_date(
        self,
        back: int,
        amount: int,
        sold: int | None,
        canceled: int | None,
        expansion: int,
        country: str,
    ) -> None:
        def moment(hours: int) -> dt.datetime:
            return dt.datetime.fromtimestamp(START + hours * 3600, dt.timezone.utc)

        self.now += 0.25
        partner = {"id": f"pn_{expansion}"} if expansion else None
        link = {"id": f"link_{expansion}"} if expansion > 1 else None
        stored = self.fake.add(
            created_at=moment(back),
            sale_amount=amount,
            first_sale_at=None if sold is None else moment(sold),
            subscription_canceled_at=None if canceled is None else moment(canceled),
            program_id=f"prog_{expansion % 2}" if expansion else None,
            partner=partner,
            link=link,
            country=country,
        )
        row = self.row(stored.id, {"externalId": stored.external_id, "country": country})
        row["saleAmount"] = amount
        row["createdAt"] = self.timestamp(START + back * 3600)
        for key, hours in (("firstSaleAt", sold), ("subscriptionCanceledAt", canceled)):
            row[key] = None if hours is None else self.timestamp(START + hours * 3600)
        row["programId"] = stored.program_id
        row["partner"], row["link"] = stored.partner, stored.link
        self.rows.append(row)

    @rule(
        choice=st.integers(0, 6),
        by_external_id=st.booleans(),
        expanded=st.booleans(),
        bad=st.none() | st.sampled_from(BAD_QUERIES),
    )
    def get(
        self,
        choice: int,
        by_external_id: bool,
        expanded: bool,
        bad: tuple[str, str, str] | None,
    ) -> None:
        path, row = self.pick(choice, by_external_id)
        query = {"includeExpandedFields": "true"} if expanded else {}
        if bad is not None:
            self.refused(self.ask("GET", path, {**query, bad[0]: bad[1]}), 422, bad[2])
            return
        answer = self.ask("GET", path, query)
        if row is None:
            self.refused(answer, 404, NOT_FOUND)
        else:
            self.shown(answer, row, expanded=expanded)

    @rule(
        choice=st.integers(0, 6),
        by_external_id=st.booleans(),
        expanded=st.booleans(),
        body=bodies,
        bad=spoilt,
    )
    def update(
        self,
        choice: int,
        by_external_id: bool,
        expanded: bool,
        body: dict[str, Any],
        bad: list[tuple[str, Any, str]],
    ) -> None:
        path, row = self.pick(choice, by_external_id)
        sent = {**body, **{field: value for field, value, _ in bad}}
        query = {"includeExpandedFields": str(expanded).lower()}
        answer = self.ask("PATCH", path, query, body=sent)
        problem = self.body_problem(sent, creating=False)
        if problem is not None:
            self.refused(answer, 422, problem)
        elif row is None:
            self.refused(answer, 404, NOT_FOUND)
        elif self.taken(body, but=row):
            self.refused(answer, 409, CONFLICT)
        else:
            row.update({key: value for key, value in body.items() if key != "country"})
            self.shown(answer, row, expanded=expanded)

    @rule(choice=st.integers(0, 6), by_external_id=st.booleans())
    def delete(self, choice: int, by_external_id: bool) -> None:
        path, row = self.pick(choice, by_external_id)
        answer = self.ask("DELETE", path)
        if row is None:
            self.refused(answer, 404, NOT_FOUND)
        else:
            assert (answer.status_code, answer.json()) == (200, {"id": row["id"]})
            self.rows.remove(row)

    def filtered(self, query: dict[str, str]) -> list[dict[str, Any]]:
        rows = self.rows
        search = query.get("search", "")
        if query.get("email"):
            rows = [row for row in rows if row["email"] == query["email"]]
        elif query.get("externalId"):
            rows = [row for row in rows if row["externalId"] == query["externalId"]]
        elif "@" in search:
            rows = [row for row in rows if row["email"] == search]
        elif search:
            found = [words(row["name"]) | words(row["email"]) for row in rows]
            rows = [row for row, has in zip(rows, found, strict=True) if words(search) & has]
        for name, of in (
            ("country", lambda row: row["country"]),
            ("linkId", lambda row: row["link"] and row["link"]["id"]),
            ("partnerId", lambda row: row["partner"] and row["partner"]["id"]),
        ):
            if query.get(name):
                rows = [row for row in rows if of(row) == query[name]]
        if query.get("programId") or query.get("partnerId"):
            rows = [row for row in rows if row["programId"] == "prog_1"]
        return rows

    def listed(self, query: dict[str, str], expected: list[dict[str, Any]]) -> None:
        answer = self.ask("GET", "/customers", query)
        assert answer.status_code == 200, answer.text
        assert [row["id"] for row in answer.json()] == [row["id"] for row in expected]
        expanded = query.get("includeExpandedFields") == "true"
        for actual, row in zip(answer.json(), expected, strict=True):
            self.same(actual, row, expanded=expanded)

    @rule(query=queries, sort_by=sort_fields, page=st.none() | st.integers(1, 3))
    def list_by_page(self, query: dict[str, str], sort_by: str, page: int | None) -> None:
        def order(row: dict[str, Any]) -> tuple[Any, ...]:
            return (row[sort_by] is not None, row[sort_by] or 0, row["id"])

        rows = sorted(self.filtered(query), key=order, reverse=query.get("sortOrder") != "asc")
        size = int(query.get("pageSize", "100"))
        start = ((page or 1) - 1) * size
        query = {**query, "sortBy": sort_by, **({} if page is None else {"page": str(page)})}
        self.listed(query, rows[start : start + size])

    @rule(query=queries, choices=st.sets(st.integers(0, 6), min_size=1))
    def list_by_ids(self, query: dict[str, str], choices: set[int]) -> None:
        ids = [self.rows[one]["id"] if one < len(self.rows) else "cus_x" for one in choices]
        answer = self.ask(
            "GET", "/customers", {**query, "pageSize": "100", "customerIds": ",".join(ids)}
        )
        expected = [row["id"] for row in self.filtered(query) if row["id"] in ids]
        assert sorted(row["id"] for row in answer.json()) == sorted(expected)

    @rule(query=queries)
    def count(self, query: dict[str, str]) -> None:
        assert self.ask("GET", "/customers/count", query).json() == len(self.filtered(query))

    @rule(query=queries, group=st.sampled_from(["country", "linkId"]))
    def count_groups(self, query: dict[str, str], group: str) -> None:
        rows = self.filtered({name: value for name, value in query.items() if name != group})
        link_ids = [row["link"]["id"] for row in rows if row["link"] is not None]
        values = [row["country"] for row in rows] if group == "country" else link_ids
        groups = self.ask("GET", "/customers/count", {**query, "groupBy": group}).json()
        assert {one[group]: one["_count"] for one in groups} == collections.Counter(values)
        counts = [one["_count"] for one in groups]
        assert counts == sorted(counts, reverse=True)

    @rule(query=queries, choice=st.integers(0, 6), after=st.booleans())
    def list_by_cursor(self, query: dict[str, str], choice: int, after: bool) -> None:
        name = "startingAfter" if after else "endingBefore"
        if choice >= len(self.rows):
            answer = self.ask("GET", "/customers", {**query, name: "cus_x"})
            self.refused(answer, 422, "Invalid cursor: the provided ID does not exist.")
            return
        cursor = self.rows[choice]["id"]
        rows = sorted(self.filtered(query), key=lambda row: row["id"])
        if query.get("sortOrder") != "asc":
            rows.reverse()
        ascending = query.get("sortOrder") == "asc"
        size = int(query.get("pageSize", "100"))
        later = [row for row in rows if (row["id"] > cursor) == ascending and row["id"] != cursor]
        earlier = [row for row in rows if (row["id"] < cursor) == ascending and row["id"] != cursor]
        expected = later[:size] if after else earlier[-size:]
        self.listed({**query, name: cursor}, expected)

    @rule(query=queries, bad=st.lists(st.sampled_from(BAD_QUERIES), min_size=1, max_size=3))
    def list_with_a_bad_query(self, query: dict[str, str], bad: list[tuple[str, str, str]]) -> None:
        # Of a repeated field the last value counts; of several problems the schema's first.
        sent = {**query, **{field: value for field, value, _ in bad}}
        first = next(one for one in BAD_QUERIES if sent.get(one[0]) == one[1])
        items = list(sent.items())
        random.Random(len(sent)).shuffle(items)
        self.refused(self.ask("GET", "/customers", items), 422, first[2])

    @invariant()
    def stored_is_what_the_model_has(self) -> None:
        if hasattr(self, "fake"):
            stored = {(row.id, row.name, row.email) for row in self.fake.customers}
            assert stored == {(row["id"], row["name"], row["email"]) for row in self.rows}


Workspace.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestWorkspace = Workspace.TestCase
