"""Create a customer for each line of a CSV file, eight at once, and count the results.

Run it with ``dub-uplink serve`` in another terminal::

    DUB_API_KEY=dub_test DUB_SERVER_URL=http://127.0.0.1:8000 \
        python examples/import_csv.py examples/customers.csv

After an interruption, run it again. It does not change customers that exist.
"""

from __future__ import annotations

import csv
import sys

from dub_uplink import Dub, errors


def import_customers(s: Dub, rows: list[dict[str, str]]) -> dict[str, int]:
    """Create the customers and return how many were created, existed already and were rejected."""
    counts = {"created": 0, "existed": 0, "rejected": 0}
    # The results are in the order of the rows. The result of a failed call is its error.
    for row, result in zip(rows, s.customers.create_many(rows), strict=True):
        if isinstance(result, errors.Conflict):
            counts["existed"] += 1
        elif isinstance(result, Exception):
            counts["rejected"] += 1
            print(f"{row['external_id']}: {result}", file=sys.stderr)
        else:
            counts["created"] += 1
    return counts


def main() -> None:
    """Import the file named on the command line."""
    with open(sys.argv[1], newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with Dub() as s:
        for what, count in import_customers(s, rows).items():
            print(count, what)


if __name__ == "__main__":
    main()
