"""Serve signups with FastAPI, and share a rate limit with ``nightly_batch.py``.

If Dub is unavailable, a signup still succeeds, and ``nightly_batch.py`` creates the customer later.
Run it with ``dub-uplink serve`` and ``redis-server`` in two other terminals::

    DUB_API_KEY=dub_test DUB_SERVER_URL=http://127.0.0.1:8000 \
        uvicorn --app-dir examples --port 8081 signup_service:app

Install the packages with ``pip install "dub-uplink[redis]" fastapi uvicorn``. Send a request::

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

#: Limits a call to 2 seconds, including retries and the wait for the rate limit.
RETRIES = RetryConfig("backoff", BackoffStrategy(max_elapsed_time=2_000))


class Signup(BaseModel):
    """The body of a signup."""

    external_id: str
    email: str
    country: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Create one client for all threads of the process, and close it at the end."""
    with Dub(rate_limit=rate_limit("interactive"), retry_config=RETRIES, timeout_ms=2_000) as dub:
        app.state.dub = dub
        yield


app = FastAPI(lifespan=lifespan)


# FastAPI runs a function without `async` in a thread, so a waiting call blocks no other request.
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
