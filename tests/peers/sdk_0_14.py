"""Make calls with the official SDK of November 2024; runs like ``sdk_0_39.py``."""

from __future__ import annotations

import json
import sys

from dub import Dub
from dub.models import errors


def main(url: str) -> dict[str, object]:
    seen: dict[str, object] = {}
    sdk = Dub(token="dub_test", server_url=url)
    customers = sdk.customers
    got = customers.get(request={"id": "ext_user_3"})
    seen["get"] = [got.external_id, got.name]
    seen["list"] = [customer.external_id for customer in customers.list()]
    updated = customers.update(id=got.id, request_body={"name": "Grace"})
    seen["update"] = updated.name
    seen["delete"] = customers.delete(id="ext_user_3").id == got.id
    try:
        customers.get(request={"id": "ext_user_3"})
    except errors.NotFound as error:
        seen["not found"] = error.data.error.code.value
    try:
        # This SDK cannot send the country, which the current server requires.
        customers.create(request={"external_id": "new", "email": "new@example.com"})
    except errors.UnprocessableEntity as error:
        seen["create"] = error.data.error.message
    return seen


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
