"""The server's sockets. They let a connection be closed without an answer, for which ASGI has no message."""

import contextlib
import socket
from typing import Any
from weakref import WeakValueDictionary

from hypercorn.config import Config, Sockets

_open: WeakValueDictionary[tuple[str, int], socket.socket] = WeakValueDictionary()


class Listener(socket.socket):
    """A listening socket that remembers the open connections by the address of their client."""

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        _open[address[:2]] = connection
        return connection, address


class ClosableConfig(Config):
    """Hypercorn's configuration, with connections that `close` can close."""

    def create_sockets(self) -> Sockets:
        """Open the listening sockets."""
        sockets = super().create_sockets()
        listeners = [Listener(fileno=one.detach()) for one in sockets.insecure_sockets]
        return Sockets(sockets.secure_sockets, listeners, sockets.quic_sockets)


def close(client: tuple[str, int]) -> None:
    """Close a connection now, even during a request; the server then sees that the client has gone.

    :param client: address and port of the other end, as in an ASGI scope
    """
    connection = _open.get(client)
    if connection is not None:
        # The client may have closed it already.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
