"""Test the requests and the rejected input of ``customers create``, ``update`` and ``delete``."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink._cli.customers.write import create_command, update_command
from dub_uplink.models import operations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from dub_uplink.testing import FakeDub

    Invoke = Callable[..., Result]
    Live = tuple[FakeDub, dict[str, str]]


def sent(live: Live) -> Any:
    return live[0].requests[-1].json


def test_every_writable_field_has_an_option() -> None:
    for command, request in (
        (create_command, operations.CreateCustomerRequestBody),
        (update_command, operations.UpdateCustomerRequestBody),
    ):
        fields = set(inspect.signature(request).parameters)
        assert fields <= {parameter.name for parameter in command.params}


def test_create_sends_the_given_fields(invoke: Invoke, live: Live) -> None:
    options = ["--external-id", "user_1", "--name", "Zoë", "--email", "zoe@example.com"]
    options += ["--stripe-customer-id", "cus_s", "--avatar", "https://example.com/a.png"]
    done = invoke("customers", "create", *options, "--country", "GB")
    assert done.exit_code == 0, done.output
    assert sent(live) == {
        "externalId": "user_1",
        "name": "Zoë",
        "email": "zoe@example.com",
        "avatar": "https://example.com/a.png",
        "stripeCustomerId": "cus_s",
        "country": "GB",
    }
    assert json.loads(done.output)["id"] == live[0].customers[0].id


@pytest.mark.parametrize("key", ["externalId", "external_id"])
def test_create_options_override_json_from_stdin(invoke: Invoke, live: Live, key: str) -> None:
    body = json.dumps({key: "user_1", "country": "GB", "name": "Bo"})
    done = invoke("customers", "create", "--from-file", "-", "--name", "Zoë", input=body)
    assert done.exit_code == 0, done.output
    assert sent(live) == {"externalId": "user_1", "country": "GB", "name": "Zoë"}
    done = invoke(
        "customers", "create", "--from-file", "-", "--external-id", "user_2", input="\ufeff" + body
    )
    assert (done.exit_code, sent(live)["externalId"]) == (0, "user_2")


def test_update_and_create_read_the_output_of_get(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    live[0].add(external_id="user_1", name="Ada", email="ada@example.com", country="GB")
    file = tmp_path / "ada.json"
    shown = invoke("customers", "get", "ext_user_1", "--expand", "-o", "json").output
    file.write_text(shown.replace("Ada", "Zoë"), encoding="utf-8")
    done = invoke("customers", "update", "ext_user_1", "--from-file", str(file))
    assert (done.exit_code, live[0].customers[0].name) == (0, "Zoë"), done.output
    more = ["--external-id", "user_2", "--email", "zoe@example.com"]
    done = invoke("customers", "create", "--from-file", str(file), *more)
    assert (done.exit_code, json.loads(done.output)["name"]) == (0, "Zoë"), done.output


def test_option_null_clears_a_field_and_json_text_null_is_stored(
    invoke: Invoke, live: Live
) -> None:
    live[0].add(external_id="user_1", name="Ada", email="ada@example.com")
    assert invoke("customers", "update", "ext_user_1", "--email", "null").exit_code == 0
    assert (sent(live), live[0].customers[0].email) == ({"email": None}, None)
    word = '{"name": "null"}'
    assert (
        invoke("customers", "update", "ext_user_1", "--from-file", "-", input=word).exit_code == 0
    )
    assert live[0].customers[0].name == "null"
    done = invoke("customers", "update", "ext_user_1", "--external-id", "null")
    assert (done.exit_code, "external_id: Field may not be null." in done.output) == (2, True)


def test_update_changes_only_the_given_fields(invoke: Invoke, live: Live) -> None:
    live[0].add(external_id="user_1", name="Ada", email="ada@example.com")
    done = invoke("customers", "update", "ext_user_1", "--name", "")
    assert (done.exit_code, sent(live)) == (0, {"name": ""})
    when = "2026-08-21T21:14:02Z"
    done = invoke("customers", "update", "ext_user_1", "--subscription-canceled-at", when)
    assert (done.exit_code, sent(live)) == (
        0,
        {"subscriptionCanceledAt": "2026-08-21T21:14:02.000Z"},
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["create", "--country", "GB"], "--external-id is missing"),
        (["create", "--external-id", "a\udceb"], "byte 0xeb at position 2 is not UTF-8"),
        (["create", "user_1"], "unexpected extra argument"),
        (["update", "ext_user_1"], "nothing to change"),
        (["update", "--name", "Ada"], "Missing argument 'ID'"),
        (["update", "..", "--name", "Ada"], "id must not be '..'"),
        (
            ["update", "ext_user_1", "--subscription-canceled-at", "soon"],
            "subscription_canceled_at",
        ),
        (["delete"], "Missing argument 'ID...'"),
        (["delete", "--yes", ""], "id must not be ''"),
        (["delete", "ext_user_1"], "no terminal for the confirmation.  Hint: give"),
    ],
)
def test_write_command_with_an_invalid_option_sends_nothing(
    invoke: Invoke, live: Live, arguments: list[str], expected: str
) -> None:
    done = invoke("customers", *arguments)
    assert (done.exit_code, live[0].requests) == (2, []), done.output
    assert expected in done.output


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is not JSON"),
        (b"externalId: user_1", "is not JSON: Expecting value: line 1 column 1"),
        (b'{"name": "Zo\xeb"}', "is not UTF-8; save the file as UTF-8"),
        (b"[{}]", "contains a list; for several customers, use"),
        (b"null", "does not contain a JSON object"),
        (b'{"external_id": "user_1", "contry": "GB"}', "did you mean 'country'?"),
        (b'{"external_id": 5}', "external_id: Not a valid string."),
        (b'{"external_id": "a", "externalId": "b"}', "has externalId twice"),
    ],
)
def test_from_file_without_a_customer_object_is_rejected(
    invoke: Invoke, live: Live, tmp_path: Path, content: bytes, expected: str
) -> None:
    file = tmp_path / "body"
    file.write_bytes(content)
    for arguments in (["--from-file", str(file)], ["--from-file", "-"]):
        done = invoke("customers", "create", *arguments, input=content)
        assert (done.exit_code, live[0].requests) == (2, []), done.output
        assert expected in done.output


def test_from_file_that_cannot_be_read_is_rejected(
    invoke: Invoke, live: Live, tmp_path: Path
) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        done = invoke("customers", "create", "--from-file", str(path))
        assert (done.exit_code, live[0].requests) == (2, [])
        assert f"cannot read {path}: " in done.output


def test_api_error_of_a_write_command_is_printed_in_one_line(invoke: Invoke, live: Live) -> None:
    live[0].add(external_id="user_1", country="GB")
    done = invoke("customers", "create", "--external-id", "user_1", "--country", "GB")
    assert done.exit_code == 1
    assert done.output == (
        "Error: 409 conflict: A customer with this external ID already exists.\n"
    )
    done = invoke("customers", "create", "--external-id", "user_2", "--email", "no", "--country=GB")
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "422 unprocessable_entity" in done.output
    assert invoke("customers", "update", "ext_nobody", "--name", "Ada").exit_code == 4


@pytest.mark.parametrize(
    ("output", "written"),
    [
        ("table", "Deleted {0}\nDeleted {1}\n"),
        ("jsonl", '{{"id": "{0}"}}\n{{"id": "{1}"}}\n'),
        ("csv", "id\n{0}\n{1}\n"),
    ],
)
def test_delete_with_yes_option_deletes_each_id_once(
    invoke: Invoke, live: Live, output: str, written: str
) -> None:
    live[0].add_many(3)
    first, second, third = (f"ext_user_{n}" for n in (1, 2, 3))
    ids = [live[0].customers[n].id for n in (0, 1)]
    done = invoke("customers", "delete", "-y", first, second, first, "-o", output)
    assert (done.exit_code, done.output) == (0, written.format(*ids))
    assert [request.method for request in live[0].requests] == ["DELETE", "DELETE"]
    done = invoke("customers", "delete", "-y", "ext_nobody", third)
    assert done.exit_code == 4
    assert "Error: ext_nobody: 404 not_found" in done.output
    assert live[0].customers == []
