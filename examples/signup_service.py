"""Serve signups with FastAPI, within a rate limit shared with a nightly batch.

A signup succeeds even if Dub is unavailable: ``nightly_batch.py`` creates missing customers later.
Run it with ``dub-uplink serve`` and ``redis-server`` in two other terminals::

    DUB_API_KEY=dub_test DUB_SERVER_URL=http://127.0.0.1:8000 \
        uvicorn --app-dir examples --port 8081 signup_service:app

Needs ``pip install "dub-uplink[redis]" fastapi uvicorn``. Then, for example::

    curl -X POST -H "Content-Type: application/json" http://127.0.0.1:8081/signups \
        -d '{"external_id": "user_1", "email": "ada@example.com", "country": "GB"}'
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from pydantic import BaseModel
from signups import add_user, rate_limit, store_dub_id

from dub_uplink import BackoffStrategy, Dub, RetryConfig, errors

logger = logging.getLogger("uvicorn.error")

#: A visitor waits no longer than 2 seconds, retries and the rate limit included.
RETRIES = RetryConfig("backoff", BackoffStrategy(max_elapsed_time=2_000))


class Signup(BaseModel):
    """The body of a signup."""

    external_id: str
    email: str
    country: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Create one client for the process; its threads share it."""
    with Dub(rate_limit=rate_limit("interactive"), retry_config=RETRIES, timeout_ms=2_000) as dub:
        app.state.dub = dub
        yield


app = FastAPI(lifespan=lifespan)


# Not `async def`: FastAPI runs this in a thread, where a call may wait.
@app.post("/signups", status_code=201)
def sign_up(signup: Signup, request: Request) -> dict[str, str | None]:
    """Store the user, and create the customer if Dub responds in time."""
    user = signup.model_dump()
    add_user(user)
    dub: Dub = request.app.state.dub
    try:
        customer = dub.customers.ensure(user)
    except errors.DubError as error:
        logger.warning("%s is left to the nightly batch: %s", signup.external_id, error)
        return {"external_id": signup.external_id, "dub_id": None}
    store_dub_id(signup.external_id, customer.id)
    return {"external_id": signup.external_id, "dub_id": customer.id}
