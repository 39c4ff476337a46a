"""Read a whole response of ``aiohttp``, with a size limit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
from aiohttp.base_protocol import BaseProtocol
from requests.structures import CaseInsensitiveDict

from ..models.response import Response
from .aiohttp_errors import SEND_ERRORS, to_requests_error
from .connection_errors import IncompleteResponse
from .decoding import ContentDecoder, check_size


async def read_response(
    response: aiohttp.ClientResponse, *, restore: bool = False
) -> Response | IncompleteResponse:
    """Read a response to its end, or return the exception that prevented it.

    Args:
        response: a response whose body ``aiohttp`` does not decompress.
        restore: whether ``response`` can be read again afterwards. A trace callback, a subclass of
            the session or a library that records responses may read it.
    """
    raw_chunks: list[bytes] = []
    try:
        content = await _read_body(response, raw_chunks)
    except BaseException as error:
        # Also after a cancellation: session.request() has not returned, so no other code can
        # release the connection, which would stay in the connector.
        response.close()
        if isinstance(error, SEND_ERRORS):
            return IncompleteResponse(response.status, to_requests_error(error))
        raise
    if restore and raw_chunks:
        # aiohttp can restore a body only with StreamReader.unread_data(), which is deprecated.
        # vcrpy and aiohttp-client-cache replace `response.content`, too.
        raw = b"".join(raw_chunks)
        loop = asyncio.get_running_loop()
        limit = max(len(raw), 2**16)  # StreamReader rejects lines of more than twice this limit
        stream = response.content = aiohttp.StreamReader(BaseProtocol(loop), limit, loop=loop)
        stream.feed_data(raw)
        stream.feed_eof()
    return Response(response.status, _join_repeated(response.headers), content)


async def _read_body(response: aiohttp.ClientResponse, raw_chunks: list[bytes]) -> bytes:
    """Return the decompressed body. Append its chunks, as received, to ``raw_chunks``."""
    encoding = response.headers.get("Content-Encoding")
    decoder = ContentDecoder(encoding) if encoding else None
    chunks = [] if decoder else raw_chunks
    size = 0
    content = response.content
    while not content.at_eof():
        chunk = await content.readany()
        raw_chunks.append(chunk)
        if decoder:
            chunk = decoder.decode(chunk)
            chunks.append(chunk)
        size += len(chunk)
        check_size(size)
    if decoder:
        decoder.check_complete()
    return b"".join(chunks)


def _join_repeated(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers with the values of each repeated header joined by commas."""
    if len({name.lower() for name in headers}) == len(headers):
        return headers
    joined: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in headers.items():
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined
