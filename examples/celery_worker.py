"""A Celery worker whose task may run twice, and is retried when Dub asks for time.

Run it with ``dub-uplink serve`` in another terminal::

    DUB_API_KEY=dub_test DUB_SERVER_URL=http://127.0.0.1:8000 \
        celery --workdir examples --app celery_worker worker --pool solo

Needs ``pip install celery``; the broker is a directory, so no other server has to run. In a third
terminal, ``python examples/celery_worker.py user_1 ada@example.com GB`` submits a task.
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
    "polling_interval": 0.2,  # seconds between two looks at the directory
}
app.conf.task_acks_late = True  # a worker that dies hands its task on, so a task may run twice


@functools.cache
def dub() -> Dub:
    """One client a process, made after the fork: its connections are nobody else's."""
    return Dub()


@app.task(bind=True, max_retries=5)
def sign_up(self: Task, user_id: str, email: str, country: str) -> str:
    """Dub's id of a customer for this user: the one who is there, or a new one."""
    try:
        # Not create(): of a task that runs twice the second must find what the first has done.
        customer = dub().customers.ensure(
            {"external_id": user_id, "email": email, "country": country}
        )
    except errors.RateLimitExceeded as error:
        # Longer than a call may wait. The queue can, and the worker does something else.
        raise self.retry(exc=error, countdown=error.retry_after or 60) from error
    except (errors.APIConnectionError, errors.InternalServerError) as error:
        raise self.retry(exc=error, countdown=60) from error
    return customer.id


if __name__ == "__main__":
    print(sign_up.delay(*sys.argv[1:4]).get(timeout=100, interval=0.1))
