"""Messages over UDP: a datagram for each packet, and a message has come when all of its packets have."""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from edgesim.errors import EdgesimError
from edgesim.testbed.wire.streams import Came, size_of

if TYPE_CHECKING:
    Address = tuple[str, int]

HEADER = struct.Struct("!IHHd")
"""Of a datagram: number of the request, position of the transfer among those that the receiver gets, number of the packet, when the message was sent."""
HEADER_BYTE = HEADER.size + 8 + 20
"""Of each packet besides: 16 byte of ours, 8 of UDP, 20 of IP."""
MOST_BYTE = 2**16 - 1 - HEADER_BYTE
"""Most that one packet holds."""
MOST_PACKETS = 2**16
"""Most that a message has: they are numbered in two bytes."""
_BUFFER_BYTE = 2**24
_LARGEST_BYTE = 2**16
_MOST_AT_ONCE = 64
_FORCED = ((33, socket.SO_RCVBUF), (32, socket.SO_SNDBUF))
"""SO_RCVBUFFORCE and SO_SNDBUFFORCE of Linux, which are root's, and what all may ask for."""


class Datagrams:
    """The socket over which a node sends and gets datagrams.

    Parameters
    ----------
    host, port : its address.
    sizes_byte, packets_byte : of the messages that may come, by position: payload of all, and of each packet but the last.

    Raises
    ------
    EdgesimError
        When the port cannot be used.
    """

    def __init__(self, host: str, port: int, sizes_byte: Sequence[int], packets_byte: Sequence[int]) -> None:
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        for forced, asked in _FORCED:
            try:
                self.socket.setsockopt(socket.SOL_SOCKET, forced, _BUFFER_BYTE)
            except OSError:
                self.socket.setsockopt(socket.SOL_SOCKET, asked, _BUFFER_BYTE)
        try:
            self.socket.bind((host, port))
        except OSError as error:
            self.socket.close()
            raise EdgesimError(
                f"port {port} of {host} cannot be used: {error.strerror}; name another with --port"
            ) from error
        self.socket.setblocking(False)
        self.peers: Collection[Address] = ()
        self._sizes_byte, self._packets_byte = sizes_byte, packets_byte
        self._parts: dict[tuple[int, int], dict[int, bytes]] = {}
        self._whole: set[tuple[int, int]] = set()

    @property
    def port(self) -> int:
        """Its port."""
        return int(self.socket.getsockname()[1])

    def read(self) -> list[Came]:
        """Return the messages of which the last packet has come, each once; what comes from others than the peers is left aside."""
        whole: list[Came] = []
        for _ in range(_MOST_AT_ONCE):
            try:
                found, address = self.socket.recvfrom(_LARGEST_BYTE)
            except BlockingIOError:
                break
            except OSError:
                continue  # a packet to one that has ended came back, which whoever started both notices
            if address in self.peers and len(found) >= HEADER.size:
                number, position, packet, sent_s = HEADER.unpack_from(found)
                whole += self._came(number, position, packet, sent_s, found[HEADER.size :])
        return whole

    def _came(self, number: int, position: int, packet: int, sent_s: float, part: bytes) -> list[Came]:
        size_byte, message = size_of(self._sizes_byte, position), (number, position)
        if message in self._whole:
            return []  # networks may deliver a packet twice
        parts = self._parts.setdefault(message, {})
        parts[packet] = part
        if len(parts) < max(1, -(-size_byte // self._packets_byte[position])):
            return []
        self._parts = {key: kept for key, kept in self._parts.items() if key[0] >= number - 1 and key != message}
        self._whole = {key for key in self._whole if key[0] >= number - 1} | {message}
        return [Came(number, position, sent_s, bytearray(b"".join(parts[place] for place in sorted(parts))))]


class Outgoing:
    """What is sent to one other device as datagrams; what the kernel does not take at once waits here.

    Parameters
    ----------
    own : the socket.
    address : of the device.
    """

    def __init__(self, own: Datagrams, address: Address) -> None:
        self.connection = own.socket
        self._address = address
        self._left: deque[bytes] = deque()

    @property
    def is_waiting(self) -> bool:
        """Whether something waits for the kernel."""
        return bool(self._left)

    def packets(self, number: int, position: int, sent_s: float, payload: bytes, packet_byte: int) -> list[bytes]:
        """Return the datagrams of a message."""
        n_packets = max(1, -(-len(payload) // packet_byte))
        return [
            HEADER.pack(number, position, packet, sent_s) + payload[packet * packet_byte : (packet + 1) * packet_byte]
            for packet in range(n_packets)
        ]

    def send(self, pieces: Sequence[bytes]) -> None:
        """Send datagrams, as far as the kernel takes them, and the others when it does."""
        self._left.extend(pieces)
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the kernel takes it. What it refuses, since a link is down or the other has ended, is lost."""
        while self._left:
            try:
                self.connection.sendto(self._left[0], self._address)
            except BlockingIOError:
                return
            except OSError:
                pass
            self._left.popleft()
