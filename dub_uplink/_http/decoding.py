"""Decompress bodies here, where their size is bounded.

The HTTP libraries decompress a chunk as a whole, and 64 KB of brotli may be a gigabyte.
"""

from __future__ import annotations

import zlib

from .._internal.config import MAX_BODY_BYTES
from .connection_errors import BodyTooLarge, DecodingError, UnsupportedEncoding

#: The value of Accept-Encoding: what :class:`ContentDecoder` can decode.
ACCEPT_ENCODING = "gzip, deflate"
_COMPRESSED_CODINGS = ("gzip", "x-gzip", "deflate")
_ZLIB_OR_GZIP = zlib.MAX_WBITS + 32  # zlib tells the two apart by their first bytes


class ContentDecoder:
    """Decompress a body chunk by chunk, up to the size that a client reads.

    Raises:
        UnsupportedEncoding: the ``Content-Encoding`` is not one of those requested.
    """

    def __init__(self, encoding: str) -> None:
        coding = encoding.strip().lower()
        self._is_compressed = coding in _COMPRESSED_CODINGS
        if not self._is_compressed and coding not in ("", "identity"):
            raise UnsupportedEncoding(
                f"its Content-Encoding is {coding[:40]!r}, which was not requested"
            )
        self._decompressor = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._received = 0
        self._size = 0

    def decode(self, chunk: bytes) -> bytes:
        """Return the decompressed bytes of the next chunk.

        Raises:
            BodyTooLarge: the body is longer than a client reads, compressed or not.
            DecodingError: it is not what ``Content-Encoding`` says.
        """
        if not self._is_compressed:
            return chunk
        self._received += len(chunk)
        check_size(self._received)  # empty gzip members may continue without end
        decoded: list[bytes] = []
        try:
            while chunk:
                if self._decompressor.eof:
                    if chunk[:1] != b"\x1f":
                        break  # padding after the end, which gzip's own tools ignore too
                    self._decompressor = zlib.decompressobj(_ZLIB_OR_GZIP)
                # One byte above the limit shows that the body is too large.
                decoded.append(
                    self._decompressor.decompress(chunk, MAX_BODY_BYTES + 1 - self._size)
                )
                self._size += len(decoded[-1])
                check_size(self._size)
                chunk = self._decompressor.unused_data
        except zlib.error as error:
            raise DecodingError(f"decompression failed: {error}") from None
        return b"".join(decoded)

    def flush(self) -> None:
        """Check that the body is complete.

        Raises:
            DecodingError: the compressed data was cut short.
        """
        if self._received and not self._decompressor.eof:
            raise DecodingError("the compressed data is cut short")


def check_size(size: int) -> None:
    """Check the size of a body, in bytes.

    Raises:
        BodyTooLarge: it is more than a client reads.
    """
    if size > MAX_BODY_BYTES:
        raise BodyTooLarge(f"the response is longer than {MAX_BODY_BYTES >> 20} MB")
