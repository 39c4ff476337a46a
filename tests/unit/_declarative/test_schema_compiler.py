"""The compiler of the package's own schemas."""

from __future__ import annotations

import datetime as dt
import traceback
from dataclasses import dataclass, field
from typing import Any

import marshmallow
import pytest
from marshmallow import fields

from dub_uplink._customers.schemas import CustomerSchema, DeletedSchema
from dub_uplink._declarative.schema_compiler import UnsupportedSchema, compile_loader
from dub_uplink._declarative.schemas import ModelSchema

PLAIN = {
    "id": "cus_1",
    "name": "Ada",
    "email": None,
    "avatar": None,
    "externalId": "user_1",
    "stripeCustomerId": None,
    "country": "GB",
    "sales": 2,
    "saleAmount": 4900,
    "createdAt": "2026-08-21T21:14:02.000Z",
    "firstSaleAt": None,
    "subscriptionCanceledAt": None,
}
EXPANDED = {
    **PLAIN,
    "programId": "prog_1",
    "link": {"id": "link_1", "domain": "dub.sh", "key": "k", "shortLink": "", "url": ""},
    "partner": {"id": "pn_1", "name": "Grace", "email": None, "image": None},
    "discount": {"id": "disc_1", "amount": 25, "type": "percentage", "maxDuration": None},
}
OF_2024 = {key: PLAIN[key] for key in ("id", "externalId", "name", "email", "avatar", "createdAt")}
WITH_PROGRAM = {**PLAIN, "programId": "prog_1"}
WITH_NEW_FIELDS = {**EXPANDED, "tier": "gold", "link": {"id": "link_1", "clicks": 3}}


class CountingSchema(CustomerSchema):
    """A schema that records each body which its own ``load`` reads."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.loaded: list[Any] = []

    def load(self, data: Any, **options: Any) -> Any:
        self.loaded.append(data)
        return super().load(data, **options)


@pytest.mark.parametrize("body", [PLAIN, EXPANDED, WITH_PROGRAM, OF_2024, WITH_NEW_FIELDS])
def test_compiled_loader_of_a_known_body_skips_marshmallow(body: Any) -> None:
    schema = CountingSchema()
    assert compile_loader(schema)(body) == CustomerSchema().load(body)
    assert schema.loaded == []


def test_compiled_list_uses_marshmallow_for_an_unusual_item() -> None:
    odd = {**PLAIN, "createdAt": "2026-08-21T21:14:02", "name": b"Ada"}
    schema = CountingSchema(many=True)
    loaded = compile_loader(schema)([PLAIN, odd, PLAIN])
    assert loaded == CustomerSchema(many=True).load([PLAIN, odd, PLAIN])
    assert schema.loaded == [odd]


def test_compiled_loader_does_not_change_the_body() -> None:
    before = {**WITH_NEW_FIELDS}
    customer = compile_loader(CustomerSchema())(WITH_NEW_FIELDS)
    assert before == WITH_NEW_FIELDS
    assert customer.extra == {"tier": "gold"}
    assert customer.link.extra == {"clicks": 3}


def test_compiled_customers_do_not_share_extra() -> None:
    one, other = compile_loader(CustomerSchema(many=True))([PLAIN, PLAIN])
    assert one.extra == {}
    assert one.extra is not other.extra


def test_compiled_loader_raises_only_the_marshmallow_error() -> None:
    with pytest.raises(marshmallow.ValidationError) as caught:
        compile_loader(CustomerSchema(many=True))([PLAIN, {**PLAIN, "sales": True}])
    assert caught.value.messages == {1: {"sales": ["Not a valid integer."]}}
    assert caught.value.__context__ is None


@dataclass
class Note:
    id: str
    text: Any = None
    extra: dict[str, Any] = field(default_factory=dict)


class NoteSchema(ModelSchema):
    model = Note

    id = fields.String(required=True)


class LoudText(fields.String):
    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        return super()._deserialize(*args, **kwargs).upper()


@pytest.mark.parametrize(
    "text",
    [
        LoudText(allow_none=True),
        fields.String(allow_none=True, validate=marshmallow.validate.Length(3)),
        fields.String(allow_none=True, load_default="-"),
        fields.String(),
        fields.String(required=True, allow_none=True),
        fields.Integer(allow_none=True),
        fields.Boolean(allow_none=True),
        fields.AwareDateTime(format="rfc", allow_none=True),
        fields.Nested(marshmallow.Schema(), allow_none=True),
        None,
    ],
    ids=repr,
)
def test_compiler_rejects_a_schema_with_unsupported_features(text: Any) -> None:
    schema: Any = type("TextSchema", (NoteSchema,), {} if text is None else {"text": text})
    with pytest.raises(UnsupportedSchema, match=r"text|different fields"):
        compile_loader(schema())


def test_compiled_date_is_parsed_by_fromisoformat_directly() -> None:
    date: Any = CustomerSchema().fields["created_at"]
    if date.DESERIALIZATION_FUNCS["iso"] != dt.datetime.fromisoformat:
        pytest.skip("this release of marshmallow reads dates by a regular expression")
    load: Any = compile_loader(CustomerSchema())
    assert "[4:20:3]" not in load.source


def test_traceback_through_a_compiled_loader_shows_the_code() -> None:
    class Picky(Note):
        def __init__(self, id: str, text: Any = None, extra: Any = None) -> None:
            raise RuntimeError("picky")

    class PickySchema(NoteSchema):
        model = Picky
        text = fields.String(allow_none=True)

    load: Any = compile_loader(PickySchema())
    assert "def load_PickySchema(data):" in load.source
    with pytest.raises(RuntimeError, match="picky") as caught:
        load({"id": "1"})
    assert "return fallback(data)" in "".join(traceback.format_tb(caught.tb))


def test_compiled_loader_of_a_delete_response_returns_the_id() -> None:
    assert compile_loader(DeletedSchema())({"id": "1", "x": 2}).extra == {"x": 2}


def test_loader_compiled_under_freezegun_returns_datetime() -> None:
    freezegun = pytest.importorskip("freezegun", reason="freezegun is not installed")
    with freezegun.freeze_time("2020-01-01"):
        load = compile_loader(CustomerSchema())
    customer = load({"id": "cus_1", "createdAt": "2026-08-21T21:14:02.000Z"})
    assert type(customer.created_at) is dt.datetime
