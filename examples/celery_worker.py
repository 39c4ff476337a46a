"""Create customers in a Celery task, which may run twice. If a call fails, Celery repeats the task.

Run it with ``dub-uplink serve`` in another terminal::

    DUB_API_KEY=dub_test DUB_SERVER_URL=http://127.0.0.1:8000 \
        celery --workdir examples --app celery_worker worker --pool solo

Install Celery with ``pip install celery``. The broker is a directory, so no other server is needed.
To submit a task, run ``python examples/celery_worker.py user_1 ada@example.com GB`` in a third
terminal.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from pathlib import Path

from celery import Celery, Task

from dub_uplink import Dub, errors

HOME = Path(os.environ.get("CELERY_HOME") or Path(tempfile.gettempdir()) / "dub-uplink-celery")
for directory in ("queue", "control", "results"):
    (HOME / directory).mkdir(parents=True, exist_ok=True)

app = Celery("celery_worker", broker="filesystem://", backend=f"file://{HOME / 'results'}")
app.conf.broker_transport_options = {
    "data_folder_in": str(HOME / "queue"),
    "data_folder_out": str(HOME / "queue"),
    "control_folder": str(HOME / "control"),
    "polling_interval": 0.2,  # seconds
}
app.conf.task_acks_late = True  # if a worker stops during a task, another worker repeats the task


@functools.cache
def dub() -> Dub:
    """Return the client of this process. The first call, after the fork, creates it."""
    return Dub()


@app.task(bind=True, max_retries=5)
def sign_up(self: Task, user_id: str, email: str, country: str) -> str:
    """Get or create the customer of a user, and return the id that Dub assigns."""
    try:
        # create() would raise Conflict if the task runs twice.
        customer = dub().customers.ensure(
            {"external_id": user_id, "email": email, "country": country}
        )
    except errors.APIStatusError as error:
        # Check the status, because a gateway before Dub may send a 429 without Dub's error object.
        if error.status_code != 429 and error.status_code < 500:
            raise
        # The requested wait exceeds the deadline of the call. While the task waits in the queue,
        # the worker can run other tasks.
        raise self.retry(exc=error, countdown=error.retry_after or 60) from error
    except errors.APIConnectionError as error:
        raise self.retry(exc=error, countdown=60) from error
    return customer.id


if __name__ == "__main__":
    print(sign_up.delay(*sys.argv[1:4]).get(timeout=100, interval=0.1))
