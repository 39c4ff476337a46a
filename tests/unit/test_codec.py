"""What the compiler takes on, and what it leaves to the schema."""

from __future__ import annotations

import abc
import collections
import dataclasses
import traceback
from typing import Any

import marshmallow
import pytest
from marshmallow import fields

from dub_uplink._declarative import schema_compiler as codec
from dub_uplink._declarative.schema_compiler import compile_loader, lazy_loader
from dub_uplink._declarative.schemas import CustomerSchema, DeletedSchema
from dub_uplink.models.components import Customer

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
OF_TOMORROW = {**EXPANDED, "tier": "gold", "link": {"id": "link_1", "clicks": 3}}


class Counted(CustomerSchema):
    """Counts how often marshmallow itself is asked."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: list[Any] = []

    def watch(self) -> Counted:
        """To be called when it is compiled; before that it would be a schema of another kind."""

        def load(data: Any, **options: Any) -> Any:
            self.asked.append(data)
            return marshmallow.Schema.load(self, data, **options)

        self.load = load  # type: ignore[method-assign]
        return self


@pytest.mark.parametrize("body", [PLAIN, EXPANDED, OF_2024, OF_TOMORROW])
def test_what_a_server_of_any_year_sends_is_read_without_marshmallow(body: Any) -> None:
    schema = Counted()
    load = compile_loader(schema)
    schema.watch()
    assert load(body) == CustomerSchema().load(body)
    assert schema.asked == []


def test_an_odd_item_of_a_list_is_read_by_marshmallow_and_no_other_is() -> None:
    odd = {**PLAIN, "createdAt": "2026-08-21T21:14:02+02:00", "name": b"Ada"}
    schema = Counted(many=True)
    load = compile_loader(schema)
    schema.watch()
    assert load([PLAIN, odd, PLAIN]) == CustomerSchema(many=True).load([PLAIN, odd, PLAIN])
    assert schema.asked == [odd]


def test_a_compiled_function_changes_nothing_of_the_body() -> None:
    before = {**OF_TOMORROW}
    customer = compile_loader(CustomerSchema())(OF_TOMORROW)
    assert before == OF_TOMORROW
    assert customer.extra == {"tier": "gold"}
    assert customer.link.extra == {"clicks": 3}


def test_two_customers_share_no_extra() -> None:
    one, other = compile_loader(CustomerSchema(many=True))([PLAIN, PLAIN])
    assert one.extra == {}
    assert one.extra is not other.extra


def test_an_error_is_marshmallows_own_and_nothing_else() -> None:
    with pytest.raises(marshmallow.ValidationError) as caught:
        compile_loader(CustomerSchema(many=True))([PLAIN, {**PLAIN, "sales": True}])
    assert caught.value.messages == {1: {"sales": ["Not a valid integer."]}}
    assert caught.value.__context__ is None


class Loud(fields.String):
    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        return super()._deserialize(value, attr, data, **kwargs).upper()


class OwnField(CustomerSchema):
    name = Loud()


class Validated(CustomerSchema):
    name = fields.String(validate=marshmallow.validate.Length(max=3))


class Validates(CustomerSchema):
    @marshmallow.validates("name")
    def short(self, value: Any, **_: Any) -> None:
        raise marshmallow.ValidationError("too long")


class PreLoaded(CustomerSchema):
    @marshmallow.pre_load
    def unwrap(self, data: Any, **_: Any) -> Any:
        return data["customer"]


class PostLoaded(CustomerSchema):
    @marshmallow.post_load
    def wrap(self, data: Any, **_: Any) -> Any:
        return [data]


class OtherMake(CustomerSchema):
    @marshmallow.post_load(pass_original=True)
    def make(self, data: dict[str, Any], original: Any, **_: Any) -> Any:
        return data


class QuietMake(CustomerSchema):
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        return data


class OtherLoad(CustomerSchema):
    def load(self, *args: Any, **kwargs: Any) -> Any:
        return [super().load(*args, **kwargs)]


class Told(CustomerSchema):
    def handle_error(self, *_: Any, **__: Any) -> None:
        raise LookupError


class Elsewhere(CustomerSchema):
    name = fields.String(attribute="nickname")


class TwoOfOneKey(marshmallow.Schema):
    first = fields.String(data_key="name")
    second = fields.String(data_key="name", load_only=True)


class Getting(CustomerSchema):
    def __getattribute__(self, name: str) -> Any:
        return super().__getattribute__(name)


class Factory(abc.ABCMeta):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return (args, kwargs)


@dataclasses.dataclass
class Made(metaclass=Factory):
    id: str
    extra: Any = None


class OtherModel(DeletedSchema):
    model = Made


@dataclasses.dataclass
class NoExtra:
    id: str


class WithoutExtra(DeletedSchema):
    model = NoExtra


@dataclasses.dataclass
class Single:
    id: str
    extra: Any = None

    def __new__(cls, *_: Any, **given: Any) -> Any:
        return given or super().__new__(cls)


class OfSingles(DeletedSchema):
    model = Single


class ByFunction(DeletedSchema):
    model = staticmethod(lambda **given: given)  # type: ignore[assignment]


class Counting(CustomerSchema):
    # Whoever counts its calls would count two where the schema reads a record once more.
    name = fields.String(load_default=lambda: "made")


class OtherDict(QuietMake):
    dict_class = collections.OrderedDict


class FieldExtra(DeletedSchema):
    extra = fields.String()


def shadowed() -> marshmallow.Schema:
    schema = CustomerSchema()
    schema.fields["name"].deserialize = lambda *_, **__: "shadow"  # type: ignore[method-assign]
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        OwnField(),
        Validated(),
        Validates(),
        PreLoaded(),
        PostLoaded(),
        OtherMake(),
        OtherLoad(),
        Told(),
        Elsewhere(),
        TwoOfOneKey(),
        Getting(),
        OtherModel(),
        WithoutExtra(),
        OfSingles(),
        ByFunction(),
        Counting(),
        OtherDict(),
        FieldExtra(),
        CustomerSchema(partial=True),
        CustomerSchema(partial=("id",)),
        shadowed(),
        Counted().watch(),
    ],
    ids=lambda schema: type(schema).__name__,
)
def test_a_schema_of_its_own_mind_is_left_to_marshmallow(schema: marshmallow.Schema) -> None:
    assert compile_loader(schema) == schema.load


class Branch(marshmallow.Schema):
    id = fields.String(required=True)
    next = fields.Nested("Branch", allow_none=True)
    all = fields.Nested("Branch", many=True)


def test_a_schema_may_nest_itself() -> None:
    body = {"id": "1", "next": {"id": "2", "next": None, "all": [{"id": "3", "all": []}]}}
    load = compile_loader(Branch())
    assert hasattr(load, "source")
    assert load(body) == Branch().load(body) == body


class MoreCustomer(Customer):
    """A subclass without a constructor of its own."""


class SubclassSchema(CustomerSchema):
    model = MoreCustomer

    country = fields.String(allow_none=True, load_default="??")


def test_a_subclass_is_compiled_by_the_same_rule() -> None:
    load = compile_loader(SubclassSchema())
    assert hasattr(load, "source")
    found = load({"id": "cus_1"})
    assert type(found) is MoreCustomer
    assert found.country == "??"
    assert found == SubclassSchema().load({"id": "cus_1"})


def test_a_make_that_is_no_hook_makes_nothing() -> None:
    load = compile_loader(QuietMake())
    assert hasattr(load, "source")
    assert load({"id": "cus_1", "x": 1}) == QuietMake().load({"id": "cus_1", "x": 1})


@dataclasses.dataclass
class Gap:
    id: str
    between: str = "kept"
    extra: Any = None


class GapSchema(DeletedSchema):
    model = Gap


def test_a_parameter_that_is_no_field_keeps_its_default() -> None:
    load = compile_loader(GapSchema())
    assert hasattr(load, "source")
    assert load({"id": "1", "x": 2}) == Gap("1", "kept", {"x": 2})


@dataclasses.dataclass
class Picky:
    id: str
    extra: Any = None

    def __post_init__(self) -> None:
        if self.id == "bad":
            raise RuntimeError("picky")


class PickySchema(DeletedSchema):
    model = Picky


def test_what_a_model_raises_is_raised_and_the_traceback_shows_the_code() -> None:
    load: Any = compile_loader(PickySchema())
    assert "def load_PickySchema(data):" in load.source
    assert load({"id": "good"}) == Picky("good", {})
    with pytest.raises(RuntimeError, match="picky") as caught:
        load({"id": "bad"})
    assert "return stock(data)" in "".join(traceback.format_tb(caught.tb))


@pytest.mark.parametrize(("many", "compiled"), [(False, [0, 1, 1]), (True, [1, 1, 1])])
def test_a_schema_is_compiled_once_and_for_more_than_one_record(
    monkeypatch: pytest.MonkeyPatch, many: bool, compiled: list[int]
) -> None:
    made: list[Any] = []

    def compiling(schema: Any) -> Any:
        made.append(schema)
        return compile_loader(schema)

    monkeypatch.setattr(codec, "compile_loader", compiling)
    schema = DeletedSchema(many=many)
    load = lazy_loader(schema)
    for number in compiled:
        body: Any = [{"id": "1", "x": 2}] if many else {"id": "1", "x": 2}
        assert load(body) == schema.load(body)
        assert len(made) == number
