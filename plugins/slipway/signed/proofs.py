"""Signatures: they prove to a task that the API server's guard has written an answer or an order.

Only the API server knows who calls, so only it has the signing key; tasks have the public keys. Others may write to
state stores, XComs and the Model Registry, so an entry without a signature does not count.
https://cryptography.io/en/latest/hazmat/primitives/asymmetric/ed25519/
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from airflow.configuration import conf
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from slipway.errors import UnsafeConfiguration
from slipway.options import PUBLIC_KEYS, SECTION, SIGNING_KEY, Option

Key = TypeVar("Key")

_HOW_TO_MAKE = "make a pair with `python -m slipway.signed.proofs`; docs/approval.md says who gets which"
# So that no signature is valid for another purpose or a later format.
_PURPOSE = "slipway guard 1"
# 8 bytes are enough to tell the questions of one model package apart; the signature covers everything else.
_ASKED_BYTES = 8
_ASKED_CHARS = 11


@dataclass(frozen=True)
class TaskPlace:
    """The task instance that asks.

    :param map_index: -1 for a task that is not mapped
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @classmethod
    def of(cls, ti: object) -> TaskPlace:
        """Read the place of a task instance: Airflow's model of one, or a task's own."""
        index = getattr(ti, "map_index", None)
        dag_id, run_id, task_id = (str(getattr(ti, name)) for name in ("dag_id", "run_id", "task_id"))
        return cls(dag_id, run_id, task_id, -1 if index is None else index)

    def asked(self, number: int) -> str:
        """Return a short name for the task's question of this number."""
        text = "\0".join((self.dag_id, self.run_id, self.task_id, str(self.map_index), str(number)))
        return _encode(hashlib.sha256(text.encode()).digest()[:_ASKED_BYTES])


@dataclass(frozen=True)
class Signer:
    """Signs what the guard has let through.

    :param key: the API server's signing key
    """

    key: Ed25519PrivateKey

    def sign(self, *statement: str) -> str:
        """Return the signature of these texts, in characters that a package's metadata may hold."""
        return _encode(self.key.sign(_message(statement)))

    def prove(self, asked: str, *statement: str) -> str:
        """Return the question's short name, followed by the signature of that name and these texts."""
        return asked + self.sign(asked, *statement)


@dataclass(frozen=True)
class Verifier:
    """Tells whether the guard has signed something.

    :param keys: the public halves of the signing key and of former ones
    """

    keys: tuple[Ed25519PublicKey, ...]

    def holds(self, signature: str, *statement: str) -> bool:
        """Tell whether one of the keys has signed exactly these texts."""
        try:
            given = _decode(signature)
        except (binascii.Error, ValueError):
            return False
        return any(_verified(key, given, _message(statement)) for key in self.keys)

    def proves(self, proof: str, *statement: str) -> bool:
        """Tell whether ``Signer.prove`` has made this of these texts, for any question."""
        return self.holds(proof[_ASKED_CHARS:], proof[:_ASKED_CHARS], *statement)

    def answers(self, proof: str, asked: str, *statement: str) -> bool:
        """Tell whether ``Signer.prove`` has made this of these texts, for this question."""
        return proof[:_ASKED_CHARS] == asked and self.proves(proof, *statement)


@lru_cache(maxsize=1)
def signer() -> Signer:
    """Read the API server's signing key.

    :raises UnsafeConfiguration: when there is none, or its public half is not among the public keys, so that no task
        would accept what it signs
    """
    text = conf.get(SECTION, SIGNING_KEY.name, fallback=SIGNING_KEY.default).strip()
    key = _key(SIGNING_KEY, text, Ed25519PrivateKey.from_private_bytes)
    if _raw(key.public_key()) not in {_raw(one) for one in verifier().keys}:
        raise UnsafeConfiguration(
            "Approvals cannot be proved",
            resource=f"[{SECTION}] {PUBLIC_KEYS.name}",
            why=f"the public half of [{SECTION}] {SIGNING_KEY.name} is not among them",
            fix=f"put {_encode(_raw(key.public_key()))} there, for the API server and for everything that runs tasks",
        )
    return Signer(key)


@lru_cache(maxsize=1)
def verifier() -> Verifier:
    """Read the public keys.

    :raises UnsafeConfiguration: when there are none, or one cannot be read
    """
    texts = conf.get(SECTION, PUBLIC_KEYS.name, fallback=PUBLIC_KEYS.default).split(",")
    keys = [_key(PUBLIC_KEYS, text.strip(), Ed25519PublicKey.from_public_bytes) for text in texts]
    return Verifier(tuple(keys))


def new_keys() -> tuple[str, str]:
    """Return a new signing key and its public half, as the two options take them."""
    key = Ed25519PrivateKey.generate()
    return _encode(key.private_bytes_raw()), _encode(_raw(key.public_key()))


def _key(option: Option, text: str, read: Callable[[bytes], Key]) -> Key:
    try:
        return read(_decode(text))
    except (binascii.Error, ValueError) as error:
        raise UnsafeConfiguration(
            "Approvals cannot be proved",
            resource=f"[{SECTION}] {option.name}",
            why="it is not set" if not text else f"it holds no Ed25519 key: {error}",
            fix=_HOW_TO_MAKE,
        ) from None


def _verified(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _message(statement: Sequence[str]) -> bytes:
    # JSON keeps the texts apart, whatever they hold.
    return json.dumps([_PURPOSE, *statement]).encode()


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes_raw()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


if __name__ == "__main__":
    private, public = new_keys()
    print(f"AIRFLOW__SLIPWAY__APPROVAL_SIGNING_KEY={private}")  # noqa: T201 (this is what it is for)
    print(f"AIRFLOW__SLIPWAY__APPROVAL_PUBLIC_KEYS={public}")  # noqa: T201
