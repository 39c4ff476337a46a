"""Test that `iterate` yields every customer once, with a mounted fake."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dub_uplink import Dub, errors
from dub_uplink.testing import FakeDub, faults

FAR_PAST = dt.datetime(2019, 5, 1, tzinfo=dt.timezone.utc)
FAR_FUTURE = dt.datetime(2099, 5, 1, tzinfo=dt.timezone.utc)


@pytest.fixture
def fake() -> FakeDub:
    return FakeDub()


@pytest.fixture
def dub(fake: FakeDub) -> Iterator[Dub]:
    with client(fake) as s:
        yield s


def client(fake: FakeDub) -> Dub:
    return Dub("dub_test", client=fake.session(), retry_config=None)


def ids(fake: FakeDub) -> set[str]:
    return {customer.id for customer in fake.customers}


@pytest.mark.parametrize("count", [0, 1, 99, 101, 150, 199, 250])
def test_iterate_sends_at_most_one_extra_request(fake: FakeDub, dub: Dub, count: int) -> None:
    fake.add_many(count)
    assert {c.id for c in dub.customers.iterate()} == ids(fake)
    assert len(fake.requests) <= -(-count // 100) + 1


@pytest.mark.parametrize("count", [100, 200])
def test_full_last_page_needs_a_request_for_an_empty_page(
    fake: FakeDub, dub: Dub, count: int
) -> None:
    fake.add_many(count)
    assert len(list(dub.customers.iterate())) == count
    assert len(fake.requests) == count // 100 + 2


def test_iterate_fetches_the_next_page_at_the_last_row(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(10)
    iterator = dub.customers.iterate(page_size=4)
    assert len(fake.requests) == 0
    for _ in range(3):
        next(iterator)
    assert len(fake.requests) == 1
    next(iterator)
    assert len(fake.requests) == 3  # in both directions from the last row of the first page


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("created_at", [FAR_PAST, FAR_FUTURE])
def test_iterate_returns_back_dated_customers_once(
    fake: FakeDub, dub: Dub, order: str, created_at: dt.datetime
) -> None:
    fake.add_many(7)
    odd = fake.add(external_id="odd", created_at=created_at)
    fake.add_many(7)
    found = [c.id for c in dub.customers.iterate(page_size=5, sort_order=order)]
    assert found.count(odd.id) == 1
    assert sorted(found) == sorted(ids(fake))


def test_following_cursors_by_hand_misses_back_dated_customers(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(7)
    odd = fake.add(external_id="odd", created_at=FAR_PAST)
    page = dub.customers.list(page_size=5)
    pages = list(page)
    while (following := page.next()) is not None:
        pages += following
        page = following
    assert odd.id not in [c.id for c in pages]


def test_deleting_while_iterating_empties_the_workspace(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(1_000)
    for customer in dub.customers.iterate():
        dub.customers.delete(customer.id)
    assert ids(fake) == set()


@given(
    back_dated=st.lists(st.integers(-400, 400) | st.none(), max_size=30),
    page_size=st.integers(1, 7),
    order=st.sampled_from(["asc", "desc"]),
)
def test_iterate_returns_every_customer_once(
    back_dated: list[int | None], page_size: int, order: str
) -> None:
    fake = FakeDub()
    for days in back_dated:
        moment = None
        if days is not None:
            moment = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=days)
        fake.add(created_at=moment)
    with client(fake) as s:
        found = [c.id for c in s.customers.iterate(page_size=page_size, sort_order=order)]
    assert sorted(found) == sorted(ids(fake))
    assert len(fake.requests) <= -(-len(back_dated) // page_size) + 3


@given(
    count=st.integers(0, 25),
    page_size=st.integers(1, 6),
    order=st.sampled_from(["asc", "desc"]),
    data=st.data(),
)
def test_iterate_during_changes_returns_unchanged_customers_once(
    count: int, page_size: int, order: str, data: st.DataObject
) -> None:
    fake = FakeDub()
    fake.add_many(count)
    staying, found, created = ids(fake), [], 0
    with client(fake) as s:
        for customer in s.customers.iterate(page_size=page_size, sort_order=order):
            found.append(customer.id)
            assert len(found) <= 100
            present = sorted(ids(fake))
            if present and data.draw(st.booleans()):
                for gone in data.draw(st.sets(st.sampled_from(present), max_size=6)):
                    s.customers.delete(gone)
                    staying.discard(gone)
            if created < 10 and data.draw(st.integers(0, 3)) == 0:
                created += 1
                fake.add(created_at=data.draw(st.sampled_from([None, FAR_PAST, FAR_FUTURE])))
    assert len(found) == len(set(found))
    assert staying <= set(found)


def test_iterate_ends_while_customers_are_created(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(30)
    before = ids(fake)
    found = []
    for customer in dub.customers.iterate(page_size=5):
        found.append(customer.id)
        dub.customers.create({"external_id": f"copy_{len(found)}", "country": "GB"})
        assert len(found) < 100
    assert before <= set(found)
    assert len(found) == len(set(found))


def test_iterate_continues_after_the_last_pages_are_deleted(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(30)
    everyone = sorted(ids(fake), reverse=True)
    iterator = dub.customers.iterate(page_size=5)
    found = [next(iterator).id for _ in range(12)]
    for gone in everyone[:15]:
        dub.customers.delete(gone)
    found += [c.id for c in iterator]
    assert len(found) == len(set(found))
    assert set(everyone[15:]) <= set(found)


def test_iterate_continues_after_an_error_with_all_customers(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(12)
    iterator = dub.customers.iterate(page_size=4)
    found = [next(iterator).id for _ in range(7)]
    fake.faults.add(faults.Status(500))
    with pytest.raises(errors.InternalServerError):
        for customer in iterator:
            found.append(customer.id)
    found += [c.id for c in iterator]
    assert sorted(found) == sorted(ids(fake))


@given(
    count=st.integers(0, 20),
    page_size=st.integers(1, 5),
    odd=st.sampled_from([None, FAR_PAST, FAR_FUTURE]),
)
def test_iterate_resumes_from_the_cursor_of_any_customer(
    count: int, page_size: int, odd: dt.datetime | None
) -> None:
    fake = FakeDub()
    for number in range(count):
        fake.add(created_at=odd if number % 4 == 3 else None)
    found: list[str] = []
    with client(fake) as s:
        iterator = s.customers.iterate(page_size=page_size)
        for customer in iterator:
            found.append(customer.id)
            assert len(found) <= count
            iterator = s.customers.iterate(page_size=page_size, cursor=iterator.cursor)
            break
        while found and (customer := next(iterator, None)) is not None:  # type: ignore[assignment]
            found.append(customer.id)
            assert len(found) <= count
            iterator = s.customers.iterate(page_size=page_size, cursor=iterator.cursor)
    assert sorted(found) == sorted(ids(fake))


@given(st.text() | st.binary().map(lambda raw: raw.hex()))
def test_iterate_with_an_invalid_cursor_raises_value_error(text: str) -> None:
    with client(FakeDub()) as s, pytest.raises(ValueError, match="cursor"):
        s.customers.iterate(cursor=text)


@pytest.mark.parametrize("search", ["~~~", "???"])
def test_cursor_in_standard_base64_raises_value_error(dub: Dub, search: str) -> None:
    cursor = dub.customers.iterate(search=search).cursor
    standard = cursor.translate(str.maketrans("-_", "+/"))
    assert standard != cursor
    dub.customers.iterate(search=search, cursor=cursor)
    with pytest.raises(ValueError, match="cursor is not valid"):
        dub.customers.iterate(search=search, cursor=standard)


def test_cursor_with_different_filters_raises_value_error(fake: FakeDub, dub: Dub) -> None:
    fake.add(country="GB")
    cursor = dub.customers.iterate(country="GB").cursor
    with pytest.raises(ValueError, match="pass the same filters"):
        dub.customers.iterate(country="US", cursor=cursor)


def test_iterate_sends_filters_with_every_page(fake: FakeDub, dub: Dub) -> None:
    for number in range(24):
        fake.add(country="GB" if number % 3 else "US")
    found = list(dub.customers.iterate(country="GB", page_size=4))
    assert [c.country for c in found] == ["GB"] * 16


def test_iterate_sorted_by_sale_amount_uses_page_numbers(fake: FakeDub, dub: Dub) -> None:
    for number in range(11):
        fake.add(sale_amount=number * 100)
    found = list(dub.customers.iterate(sort_by="saleAmount", page_size=4))
    assert [c.sale_amount for c in found] == [number * 100 for number in range(10, -1, -1)]
    assert [r.query.get("page") for r in fake.requests] == ["1", "2", "3"]


def test_iterate_beyond_the_page_limit_raises(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(1_001)
    found = []
    with pytest.raises(errors.PageLimitReached, match="1000"):
        for customer in dub.customers.iterate(sort_by="saleAmount", page_size=1):
            found.append(customer.id)
    assert len(set(found)) == 1_000
