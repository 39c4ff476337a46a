"""Decompress response bodies up to a size limit.

The HTTP libraries have no limit: they decompress a whole chunk, and 64 KB of brotli can decompress
to a gigabyte.
"""

from __future__ import annotations

import zlib

from .._internal.config import MAX_BODY_BYTES
from .connection_errors import BodyTooLarge, DecodingError, UnsupportedEncoding

#: The value of Accept-Encoding: the encodings that :class:`ContentDecoder` supports.
ACCEPT_ENCODING = "gzip, deflate"
_COMPRESSED_CODINGS = ("gzip", "x-gzip", "deflate")
_ZLIB_OR_GZIP = zlib.MAX_WBITS + 32  # zlib detects the format from the first bytes


class ContentDecoder:
    """Decompress a body chunk by chunk, up to the client's size limit.

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
        check_size(self._compressed_size)  # empty gzip members may continue endlessly
        decoded: list[bytes] = []
        try:
            while chunk:
                if self._decompressor.eof:
                    if chunk[:1] != b"\x1f":
                        break  # padding after the last member; the gzip command ignores it too
                    self._decompressor = zlib.decompressobj(_ZLIB_OR_GZIP)
                # Decompress at most one byte more than the limit, to detect that it is exceeded.
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
        """Check that the body is complete.

        Raises:
            DecodingError: the compressed data is truncated.
        """
        if self._compressed_size and not self._decompressor.eof:
            raise DecodingError("the compressed data is truncated")


def check_size(size: int) -> None:
    """Check the size of a body in bytes.

    Raises:
        BodyTooLarge: the size is larger than the limit.
    """
    if size > MAX_BODY_BYTES:
        raise BodyTooLarge(f"the response is longer than {MAX_BODY_BYTES >> 20} MB")
