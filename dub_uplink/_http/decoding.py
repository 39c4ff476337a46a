"""Compressed bodies, unpacked here so that what they grow to is bounded.

The HTTP libraries unpack a piece as a whole, and 64 KB of brotli may be a gigabyte.
"""

from __future__ import annotations

import zlib

from .._internal.config import MAX_BODY_BYTES
from .connection_errors import BodyTooLarge, DecodingError, UnsupportedEncoding

#: What a request says it takes, which is what :class:`ContentDecoder` can read.
ACCEPT_ENCODING = "gzip, deflate"
_KNOWN = ("gzip", "x-gzip", "deflate")
_ZLIB_OR_GZIP = zlib.MAX_WBITS + 32  # zlib tells the two apart by their first bytes


class ContentDecoder:
    """Unpacks a body piece by piece, as far as a client reads.

    Raises:
        UnsupportedEncoding: the body is in a ``Content-Encoding`` that was not asked for.
    """

    def __init__(self, encoding: str) -> None:
        coding = encoding.strip().lower()
        self._packed = coding in _KNOWN
        if not self._packed and coding not in ("", "identity"):
            raise UnsupportedEncoding(f"it is packed in {coding[:40]!r}, which was not asked for")
        self._member = zlib.decompressobj(_ZLIB_OR_GZIP)
        self._came = 0
        self._size = 0

    def decode(self, piece: bytes) -> bytes:
        """What the next piece comes to.

        Raises:
            BodyTooLarge: the body is longer than a client reads, packed or unpacked.
            DecodingError: it is not what ``Content-Encoding`` says.
        """
        if not self._packed:
            return piece
        self._came += len(piece)
        check_size(self._came)  # members that come to nothing may go on for ever
        found: list[bytes] = []
        try:
            while piece:
                if self._member.eof:
                    if piece[:1] != b"\x1f":
                        break  # padding after the end, which gzip's own tools ignore too
                    self._member = zlib.decompressobj(_ZLIB_OR_GZIP)
                # A byte more than there is room for tells that it goes on.
                found.append(self._member.decompress(piece, MAX_BODY_BYTES + 1 - self._size))
                self._size += len(found[-1])
                check_size(self._size)
                piece = self._member.unused_data
        except zlib.error as error:
            raise DecodingError(f"decompression failed: {error}") from None
        return b"".join(found)

    def flush(self) -> None:
        """There is no more to come.

        Raises:
            DecodingError: the body was cut short before it was packed.
        """
        if self._came and not self._member.eof:
            raise DecodingError("the compressed data breaks off")


def check_size(size: int) -> None:
    """Refuse a body of so many bytes, where it is more than a client reads.

    Raises:
        BodyTooLarge: it is.
    """
    if size > MAX_BODY_BYTES:
        raise BodyTooLarge(f"the answer is longer than {MAX_BODY_BYTES >> 20} MB")
