"""Make calls with the current official SDK, in an environment with that SDK; takes a URL.

Prints the results as JSON. The script does not import this package.
"""

from __future__ import annotations

import json
import sys

from dub import Dub
from dub.models import errors


def main(url: str) -> dict[str, object]:
    seen: dict[str, object] = {}
    with Dub(token="dub_test", server_url=url) as sdk:
        customers = sdk.customers
        got = customers.get(request={"id": "ext_user_3", "include_expanded_fields": True})
        seen["get"] = [got.external_id, got.name, got.sale_amount, got.partner.name]
        # Request the pages by number, because next() of the SDK ends after the first page.
        pages = [customers.list(request={"page": page, "page_size": 2}) for page in (1, 2, 3, 4)]
        listed = [customer.external_id for page in pages for customer in page.result]
        seen["list"] = listed
        cursor = customers.list(request={"starting_after": got.id, "country": "GB"})
        seen["cursor"] = [customer.external_id for customer in cursor.result]
        updated = customers.update(request={"id": got.id, "request_body": {"name": "Grace"}})
        seen["update"] = [updated.name, updated.country]
        seen["delete"] = customers.delete(id="ext_user_3").id == got.id
        try:
            customers.get(request={"id": "ext_user_3"})
        except errors.NotFound as error:
            seen["not found"] = error.data.error.code.value
        try:
            customers.list(request={"page_size": 2, "starting_after": got.id})
        except errors.UnprocessableEntity as error:
            seen["deleted cursor"] = error.data.error.message
    try:
        Dub(token="dub_wrong", server_url=url).customers.list(request={})
    except errors.Unauthorized as error:
        seen["wrong key"] = error.data.error.message
    return seen


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
