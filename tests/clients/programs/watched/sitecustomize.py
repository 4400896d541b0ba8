"""End a Python program that would leave this machine. https://docs.python.org/3/library/audit_events.html"""

import os
import sys


def _watch(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if host not in ("127.0.0.1", "localhost", b"127.0.0.1", None):
        with open(os.environ["CLIENT_LEFT"], "a") as left:  # noqa: PTH123 - pathlib is slow to import
            left.write(f"{event} {host}\n")
        raise OSError(f"{host} is not on this machine")


sys.addaudithook(_watch)
