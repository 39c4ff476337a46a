"""A FastAPI application with one asynchronous client for its whole life.

Run it with ``dub-uplink serve`` in another terminal::

    DUB_API_KEY=dub_test DUB_SERVER_URL=http://127.0.0.1:8000 \
        uvicorn --app-dir examples --port 8080 fastapi_app:app

Needs ``pip install "dub-uplink[aiohttp]" fastapi uvicorn``. Then, for example::

    curl -X PUT "http://127.0.0.1:8080/users/user_1?email=ada@example.com&country=GB"
    curl http://127.0.0.1:8080/users/user_1
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from dub_uplink import AsyncCustomersConsumer, AsyncDub, Customer, errors


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client, made in the loop that serves: it keeps its connections between requests."""
    async with AsyncDub(timeout_ms=5_000) as dub:
        app.state.dub = dub
        yield


def customers_of(request: Request) -> AsyncCustomersConsumer:
    """What the routes depend on; a test may put something else in its place."""
    customers: AsyncCustomersConsumer = request.app.state.dub.customers
    return customers


app = FastAPI(lifespan=lifespan)
Customers = Annotated[AsyncCustomersConsumer, Depends(customers_of)]


@app.put("/users/{user_id}")
async def sign_up(customers: Customers, user_id: str, email: str, country: str) -> Customer:
    """A customer for this user: the one who is there, or a new one."""
    return await customers.ensure({"external_id": user_id, "email": email, "country": country})


@app.get("/users/{user_id}")
async def user(customers: Customers, user_id: str) -> Customer:
    """What Dub knows of this user."""
    return await customers.get(f"ext_{user_id}")


@app.exception_handler(errors.DubError)
async def dub_failed(request: Request, error: errors.DubError) -> JSONResponse:
    """What is the caller's fault stays so; all else is a gateway's failure, and not ours."""
    status = 502
    if isinstance(error, (errors.NotFound, errors.UnprocessableEntity)):
        status = error.status_code
    elif isinstance(error, (errors.RateLimitExceeded, errors.APITimeoutError)):
        status = 503
    headers = {"Retry-After": f"{error.retry_after:.0f}"} if error.retry_after else None
    return JSONResponse({"detail": error.message}, status, headers)
