"""Messages over TCP: one connection from each sender to each receiver, kept for all requests."""

from __future__ import annotations

import secrets
import socket
import struct
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from edgesim.errors import EdgesimError

HEADER = struct.Struct("!IId")
"""Of a message: number of the request, position of the transfer among those that the receiver gets, when it was sent."""
_READ_BYTE = 2**18


class Came(NamedTuple):
    """A message that has come as a whole."""

    number: int
    position: int
    sent_s: float
    content: bytearray


class Gone(Exception):  # noqa: N818 - the other has ended, which is no error here
    """The other end of a connection has ended."""


class Outgoing:
    """The connection to one other device; what the kernel does not take at once waits here.

    Parameters
    ----------
    connection : to the device.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self.connection = connection
        self._left: deque[memoryview] = deque()

    @property
    def is_waiting(self) -> bool:
        """Whether something waits for the kernel."""
        return bool(self._left)

    def packets(self, number: int, position: int, sent_s: float, payload: bytes, packet_byte: int) -> list[bytes]:
        """Return a message in pieces of so much payload, the first behind its header."""
        pieces = [payload[start : start + packet_byte] for start in range(0, len(payload), packet_byte)] or [b""]
        return [HEADER.pack(number, position, sent_s) + pieces[0], *pieces[1:]]

    def send(self, pieces: Sequence[bytes]) -> None:
        """Send pieces, as far as the kernel takes them, and the others when it does."""
        self._left.append(memoryview(b"".join(pieces)))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the kernel takes it; to one that has ended, nothing more."""
        try:
            while self._left:
                n_sent = self.connection.send(self._left[0])
                if n_sent == len(self._left[0]):
                    self._left.popleft()
                else:
                    self._left[0] = self._left[0][n_sent:]
        except BlockingIOError:
            return
        except OSError:
            self._left.clear()  # whoever started both notices


class Incoming:
    """What one other device sends over its connection.

    Parameters
    ----------
    connection : of the device.
    token : which it must show first.
    sizes_byte : of the messages that may come, by position.
    """

    def __init__(self, connection: socket.socket, token: bytes, sizes_byte: Sequence[int]) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self.connection = connection
        self._token: bytes | None = token
        self._sizes_byte = sizes_byte
        self._content = bytearray()

    def read(self) -> list[Came]:
        """Return the messages that have come.

        Raises
        ------
        Gone
            When the other has ended, or does not know the token.
        EdgesimError
            When it sends what is none of the plan.
        """
        try:
            found = self.connection.recv(_READ_BYTE)
        except BlockingIOError:
            return []
        except OSError:
            raise Gone from None
        if not found:
            raise Gone
        self._content += found
        if self._token is not None:
            shown = self._content[: len(self._token)]
            if not secrets.compare_digest(bytes(shown), self._token[: len(shown)]):
                raise Gone
            if len(shown) < len(self._token):
                return []
            del self._content[: len(shown)]
            self._token = None
        return list(self._whole())

    def _whole(self) -> list[Came]:
        whole: list[Came] = []
        while len(self._content) >= HEADER.size:
            number, position, sent_s = HEADER.unpack_from(self._content)
            size = HEADER.size + size_of(self._sizes_byte, position)
            if len(self._content) < size:
                break
            whole.append(Came(number, position, sent_s, self._content[HEADER.size : size]))
            del self._content[:size]
        return whole


def size_of(sizes_byte: Sequence[int], position: int) -> int:
    """Return the size of the message of a position. Raises `EdgesimError` when there is none."""
    if position >= len(sizes_byte):
        raise EdgesimError("a node got a message that is none of its plan")
    return sizes_byte[position]


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that waits for connections. Raises `EdgesimError` when the port cannot be used."""
    server = socket.socket()
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((host, port))
        server.listen()
    except OSError as error:
        server.close()
        raise EdgesimError(
            f"port {port} of {host} cannot be used: {error.strerror}; name another with --port"
        ) from error
    return server
