"""Keeps the sessions of assumed roles over a restart.

A session is good until it expires, https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html, whatever
happens to the server that issued it. ministack forgets all of them when it ends.
"""

from collections.abc import Mapping
from typing import Any

PRIVATE_PARTS = {"ministack.services.sts": ("_evict_expired_sessions", "_sessions")}


def keep_sessions(modules: Mapping[str, Any]) -> None:
    """Make the sessions a part of the state that ministack saves and loads.

    :param modules: ministack's modules by name
    """
    sts = modules["ministack.services.sts"]

    def load(state: dict[str, Any]) -> None:
        sts._sessions.update(state["sessions"])
        sts._evict_expired_sessions()

    sts.get_state = lambda: {"sessions": dict(sts._sessions)}
    sts.load_persisted_state = load
