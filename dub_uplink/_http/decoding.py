"""Decompress response bodies up to a size limit.

The HTTP libraries have no size limit. They decompress a whole chunk at once, and 64 KB of brotli
data can expand to a gigabyte.
"""

from __future__ import annotations

import zlib

from .._internal.config import MAX_BODY_BYTES
from .connection_errors import BodyTooLarge, DecodingError, UnsupportedEncoding

#: The ``Accept-Encoding`` header: the encodings that :class:`ContentDecoder` supports.
ACCEPT_ENCODING = "gzip, deflate"
_COMPRESSED_CODINGS = ("gzip", "x-gzip", "deflate")
#: With this value, zlib detects the format (zlib or gzip) from the first bytes.
_ZLIB_OR_GZIP = zlib.MAX_WBITS + 32


class ContentDecoder:
    """Decompress a body chunk by chunk, up to the client's size limit.

    Raises:
        UnsupportedEncoding: the client did not request this ``Content-Encoding``.
    """

    def __init__(self, encoding: str) -> None:
        coding = encoding.strip().lower()
        self._is_compressed = coding in _COMPRESSED_CODINGS
        if not self._is_compressed and coding not in ("", "identity"):
            raise UnsupportedEncoding(
                f"its Content-Encoding is {coding[:40]!r}, which was not requested"
            )
        self._decompressor = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._compressed_size = 0
        self._decompressed_size = 0

    def decode(self, chunk: bytes) -> bytes:
        """Return the decompressed bytes of the next chunk.

        Raises:
            BodyTooLarge: the compressed or the decompressed body is larger than the limit.
            DecodingError: the body does not match its ``Content-Encoding``.
        """
        if not self._is_compressed:
            return chunk
        self._compressed_size += len(chunk)
        check_size(self._compressed_size)  # a server may send empty gzip members endlessly
        decoded: list[bytes] = []
        try:
            while chunk:
                if self._decompressor.eof:
                    if chunk[:1] != b"\x1f":
                        break  # padding after the last gzip member; the gzip command ignores it too
                    self._decompressor = zlib.decompressobj(_ZLIB_OR_GZIP)
                # Allow one byte more than the limit, so that check_size() detects the excess.
                decoded.append(
                    self._decompressor.decompress(
                        chunk, MAX_BODY_BYTES + 1 - self._decompressed_size
                    )
                )
                self._decompressed_size += len(decoded[-1])
                check_size(self._decompressed_size)
                chunk = self._decompressor.unused_data
        except zlib.error as error:
            raise DecodingError(f"decompression failed: {error}") from None
        return b"".join(decoded)

    def check_complete(self) -> None:
        """Raise ``DecodingError`` if the compressed body is truncated."""
        if self._compressed_size and not self._decompressor.eof:
            raise DecodingError("the compressed data is truncated")


def check_size(size: int) -> None:
    """Raise ``BodyTooLarge`` if the size of a body, in bytes, is above the limit."""
    if size > MAX_BODY_BYTES:
        raise BodyTooLarge(f"the response body is larger than {MAX_BODY_BYTES >> 20} MB")
