"""Test the requests and the output of ``customers list`` and ``customers get``."""

from __future__ import annotations

import csv
import inspect
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink import CustomersConsumer
from dub_uplink._cli.customers.read import list_command
from dub_uplink._cli.io.output import write_records
from dub_uplink.testing import faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from dub_uplink.testing import FakeDub

    Invoke = Callable[..., Result]
    Live = tuple[FakeDub, dict[str, str]]

# A future server might send unknown fields and values.
SENT: dict[str, Any] = {
    "id": "cus_1",
    "name": "Zoë \U0001f600 \u202e",
    "email": None,
    "avatar": None,
    "externalId": "user_1",
    "stripeCustomerId": None,
    "country": "GB",
    "sales": 3,
    "saleAmount": 4900,
    "createdAt": "2026-08-21T21:14:02.007Z",
    "firstSaleAt": None,
    "subscriptionCanceledAt": None,
    "programId": "prog_1",
    "link": {
        "id": "link_1",
        "domain": "dub.sh",
        "key": "a",
        "shortLink": None,
        "url": "u",
        "programId": None,
        "x": 1,
    },
    "partner": {"id": "pn_1", "name": "=1+1", "email": None, "image": None},
    "mood": {"of": ["the", 1, None]},
}


def table(done: Result) -> list[dict[str, str]]:
    assert done.exit_code == 0, done.output
    # Read the bytes, because the text of the runner has other line ends.
    return list(csv.DictReader(io.StringIO(done.stdout_bytes.decode())))


def lines(done: Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.output.splitlines()]


def test_list_in_a_pipe_writes_jsonl_with_all_fields(invoke: Invoke, serving: Any) -> None:
    server = serving(body=json.dumps([SENT, {**SENT, "id": "cus_2"}]))
    done = invoke("customers", "list", env={"DUB_SERVER_URL": server.url})
    assert lines(done) == [SENT | {"link": SENT["link"]}, {**SENT, "id": "cus_2"}]
    assert "Zoë \U0001f600" in done.output
    assert "\u202e" not in done.output


def test_list_json_without_customers_is_an_empty_list(invoke: Invoke, live: Live) -> None:
    assert json.loads(invoke("customers", "list", "-o", "json").output) == []
    live[0].add_many(2)
    for arguments in (["list"], ["list", "--all"], ["get", "ext_user_2", "ext_user_1"]):
        done = invoke("customers", *arguments, "-o", "json")
        assert [found["externalId"] for found in json.loads(done.output)] == ["user_2", "user_1"]


def test_list_command_has_an_option_for_every_filter() -> None:
    of_client = set(inspect.signature(CustomersConsumer.list).parameters)
    of_client -= {"self", "request", "retries", "timeout_ms", "http_headers", "extra_query"}
    assert of_client <= {parameter.name for parameter in list_command.params}


def test_list_sends_every_filter(invoke: Invoke, live: Live) -> None:
    common = ["--country", "GB", "--link-id", "l", "--program-id", "p", "--partner-id", "pn"]
    common += ["--expand", "--sort-order", "asc", "--page-size", "7"]
    as_sent = {"country": "GB", "linkId": "l", "programId": "p", "partnerId": "pn"}
    as_sent |= {"includeExpandedFields": "true", "sortOrder": "asc", "pageSize": "7"}
    for more, query in (
        (["--email", "a@b.c", "--page", "2"], {"email": "a@b.c", "page": "2"}),
        (["--external-id", "é", "--sort-by", "saleAmount"], {"externalId": "é", "sortBy": ...}),
        (["--search", "ada"], {"search": "ada"}),
    ):
        assert lines(invoke("customers", "list", *common, *more)) == []
        sent = live[0].requests[-1].query
        assert sent == as_sent | {k: sent[k] if v is ... else v for k, v in query.items()}


def test_list_with_a_cursor_returns_one_page(invoke: Invoke, live: Live) -> None:
    live[0].add_many(5)
    middle = lines(invoke("customers", "list"))[2]["id"]
    for option, found in (("--starting-after", ["2", "1"]), ("--ending-before", ["5", "4"])):
        listed = lines(invoke("customers", "list", option, middle))
        assert [customer["externalId"][-1] for customer in listed] == found


@pytest.mark.parametrize(
    ("arguments", "count", "requests"),
    [
        ([], 100, 1),
        (["--page-size", "20"], 20, 1),
        (["--limit", "3"], 3, 1),
        (["--limit", "3", "--page-size", "50"], 3, 1),
        (["--limit", "150"], 150, 3),
        (["--limit", "10", "--page-size", "4"], 10, 4),
        (["--limit", "1000", "--sort-by", "saleAmount"], 230, 3),
        (["--all"], 230, None),
    ],
)
def test_list_limit_and_all_fetch_as_many_pages_as_needed(
    invoke: Invoke, live: Live, arguments: list[str], count: int, requests: int | None
) -> None:
    live[0].add_many(230)
    found = lines(invoke("customers", "list", *arguments))
    assert len({customer["id"] for customer in found}) == len(found) == count
    assert requests is None or len(live[0].requests) == requests


def test_list_with_small_limit_requests_a_small_page(invoke: Invoke, live: Live) -> None:
    live[0].add_many(5)
    assert len(lines(invoke("customers", "list", "--limit", "3"))) == 3
    assert live[0].requests[0].query == {"pageSize": "3"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--all", "--limit", "3"], "--all cannot be combined with --limit"),
        (
            ["--all", "--page", "2"],
            "--page, --starting-after and --ending-before cannot be combined",
        ),
        (["--limit", "9", "--starting-after", "cus_1"], "--page-size sets the size of the page"),
        (["--limit", "0"], "--limit"),
        (["--page-size", "101"], "--page-size"),
        (["--sort-by", "name"], "--sort-by"),
        (["--email", ""], "list(): email: Must not be empty."),
        (["--page", "2", "--starting-after", "cus_1"], "page: Give a page or a cursor, not both."),
        (["--contry", "GB"], "--country"),
        (["--token", "dub_x"], "--token-file"),
        (["--timeout", "0"], "--timeout"),
        (["--country", "Z\udceb"], "byte 0xeb at position 2 is not UTF-8"),
    ],
)
def test_list_with_an_invalid_option_sends_nothing(
    invoke: Invoke, live: Live, arguments: list[str], expected: str
) -> None:
    done = invoke("customers", "list", *arguments)
    assert done.exit_code == 2
    assert expected in done.output
    assert live[0].requests == []


def test_list_csv_has_the_same_columns_in_every_row(invoke: Invoke, live: Live) -> None:
    hard = 'Ada "A", of\r\nLondon'
    live[0].add(external_id="user_1", name=hard, country="GB", sale_amount=4900)
    live[0].add(external_id="user_2", name="Bo", link={"key": "k"}, partner={"name": "P"})
    plain = table(invoke("customers", "list", "-o", "csv"))
    assert [row["name"] for row in plain] == ["Bo", hard]
    assert list(plain[0]) == list(SENT)[:12]
    assert (plain[1]["saleAmount"], plain[1]["email"]) == ("4900", "")
    expanded = invoke("customers", "get", "ext_user_1", "ext_user_2", "--expand", "-o", "csv")
    first, second = table(expanded)
    assert (first["link.key"], second["link.key"], second["partner.name"]) == ("", "k", "P")


def test_list_csv_escapes_formulas(invoke: Invoke, live: Live) -> None:
    names = ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "-5", "+44 20 7946", "a=b"]
    for number, name in enumerate(names):
        live[0].add(external_id=str(number), name=name)
    done = invoke("customers", "list", "--sort-order", "asc", "-o", "csv")
    shown = [row["name"] for row in table(done)]
    assert shown == [f"'{name}" for name in names[:5]] + names[5:]


def test_get_of_one_id_prints_a_json_object(invoke: Invoke, live: Live) -> None:
    live[0].add(external_id="user_1", name="Ada", link={"key": "k"})
    done = invoke("customers", "get", "ext_user_1", "-o", "json", "--expand")
    found = json.loads(done.output)
    assert (done.exit_code, found["name"], found["link"]["key"]) == (0, "Ada", "k")


def test_get_prints_existing_customers_and_reports_missing_ids(invoke: Invoke, live: Live) -> None:
    live[0].add_many(2)
    done = invoke("customers", "get", "ext_user_2", "nobody", "..", "ext_user_1", "-o", "jsonl")
    assert done.exit_code == 4
    shown = done.output.splitlines()
    errors_shown = [line for line in shown if not line.startswith("{")]
    assert [json.loads(line)["externalId"] for line in shown if line not in errors_shown] == [
        "user_2",
        "user_1",
    ]
    assert [line.split(":")[1].strip() for line in errors_shown] == ["nobody", ".."]
    assert "404 not_found" in errors_shown[0]
    assert "id must not be '..'" in errors_shown[1]


@pytest.mark.parametrize("customer_id", ["", ".", "..", "count"])
def test_get_invalid_id_is_not_sent(invoke: Invoke, live: Live, customer_id: str) -> None:
    done = invoke("customers", "get", customer_id)
    assert (done.exit_code, live[0].requests) == (2, [])
    assert f"id must not be {customer_id!r}" in done.output


def test_get_with_a_rejected_api_key_stops_at_the_first_id(invoke: Invoke, live: Live) -> None:
    done = invoke("customers", "get", "a", "b", "c", env={"DUB_API_KEY": "dub_wrong"})
    assert done.exit_code == 3
    assert len(live[0].requests) == 1
    assert done.output.splitlines()[-1] == "Not tried: b c"
    assert "dub_wrong" not in done.output


def test_list_csv_is_utf_8_in_any_terminal_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    out = io.TextIOWrapper(content, encoding="latin-1", newline="\n")
    monkeypatch.setattr("sys.stdout", out)
    write_records([{"id": "Zoë 永 \ud800"}], "csv", ("id",))
    out.flush()
    assert content.getvalue().decode() == "id\nZoë 永 ?\n"


@pytest.fixture
def grouped(live: Live) -> FakeDub:
    fake = live[0]
    for number, country in enumerate(["US", "US", "GB", None]):
        link = {"id": "link_1", "url": "https://a.com"} if country == "GB" else None
        fake.add(external_id=str(number), country=country, link=link)
    return fake


def test_count_writes_the_number(invoke: Invoke, grouped: FakeDub) -> None:
    assert invoke("customers", "count").stdout == "4\n"
    assert invoke("customers", "count", "--country", "US", "--output", "json").stdout == "2\n"
    assert grouped.requests[-1].query == {"country": "US"}


def test_count_by_country_writes_one_row_per_country(invoke: Invoke, grouped: FakeDub) -> None:
    expected = [("US", 2), ("GB", 1), (None, 1)]
    rows = lines(invoke("customers", "count", "--by", "country"))
    assert [(row["country"], row["count"]) for row in rows] in (
        expected,
        [expected[0], expected[2], expected[1]],
    )
    shown = invoke("customers", "count", "--by", "country", "--output", "table").stdout
    assert shown.splitlines()[:2] == ["country  count", "US       2"]


def test_count_by_link_has_the_fields_of_the_api(invoke: Invoke, grouped: FakeDub) -> None:
    (row,) = lines(invoke("customers", "count", "--by", "link"))
    assert (row["linkId"], row["count"], row["url"]) == ("link_1", 1, "https://a.com")
    (row,) = table(invoke("customers", "count", "--by", "link", "--output", "csv"))
    assert list(row) == ["linkId", "count", "shortLink", "url"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--by", "country", "--country", "GB"),
        ("--by", "link", "--link-id", "x"),
        ("--by", "partner"),
        ("--page", "2"),
    ],
)
def test_count_with_an_invalid_option_sends_nothing(
    invoke: Invoke, grouped: FakeDub, arguments: tuple[str, ...]
) -> None:
    assert invoke("customers", "count", *arguments).exit_code == 2
    assert not grouped.requests


def test_count_without_the_route_exits_with_4(invoke_apart: Invoke, grouped: FakeDub) -> None:
    grouped.faults.add(faults.Status(404, body=b"<html>"))
    done = invoke_apart("customers", "count")
    assert (done.exit_code, done.stdout) == (4, "")
    assert "GET /customers/count" in done.stderr
