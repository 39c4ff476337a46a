"""Serve customers with FastAPI and one asynchronous client.

Run it with ``dub-uplink serve`` in another terminal::

    DUB_API_KEY=dub_test DUB_SERVER_URL=http://127.0.0.1:8000 \
        uvicorn --app-dir examples --port 8080 fastapi_app:app

Install the packages with ``pip install "dub-uplink[aiohttp]" fastapi uvicorn``. Send requests::

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
    """Create one client in the event loop of the server, and close it at the end."""
    async with AsyncDub(timeout_ms=5_000) as dub:
        app.state.dub = dub
        yield


def customers_of(request: Request) -> AsyncCustomersConsumer:
    """Return the endpoints; a test may override this dependency."""
    customers: AsyncCustomersConsumer = request.app.state.dub.customers
    return customers


app = FastAPI(lifespan=lifespan)
Customers = Annotated[AsyncCustomersConsumer, Depends(customers_of)]


@app.put("/users/{user_id}")
async def sign_up(customers: Customers, user_id: str, email: str, country: str) -> Customer:
    """Get or create the customer of a user."""
    return await customers.ensure({"external_id": user_id, "email": email, "country": country})


@app.get("/users/{user_id}")
async def user(customers: Customers, user_id: str) -> Customer:
    """Return the customer of a user."""
    return await customers.get(f"ext_{user_id}")


@app.exception_handler(errors.DubError)
async def dub_failed(request: Request, error: errors.DubError) -> JSONResponse:
    """Return 404 and 422 from Dub unchanged, 503 for a rate limit or a timeout, otherwise 502."""
    status = 502
    if isinstance(error, (errors.NotFound, errors.UnprocessableEntity)):
        status = error.status_code
    elif isinstance(error, (errors.RateLimitExceeded, errors.APITimeoutError)):
        status = 503
    headers = {"Retry-After": f"{error.retry_after:.0f}"} if error.retry_after else None
    return JSONResponse({"detail": error.message}, status, headers)
