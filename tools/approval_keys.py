"""Make a new pair of keys for the guard's signatures, by the package cryptography or by openssl."""

from __future__ import annotations

import base64
import subprocess

# What DER puts before the 32 bytes of an Ed25519 key, private or public: https://www.rfc-editor.org/rfc/rfc8410
_RAW_BYTES = 32


def new() -> tuple[str, str]:
    """Return a signing key and its public key, as Airflow's options `[slipway] approval_*` take them.

    :raises SystemExit: when neither the package cryptography nor openssl is installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        # The secrets for docker compose are made by the system's Python, before any package is installed.
        return _by_openssl()
    key = Ed25519PrivateKey.generate()
    return _text(key.private_bytes_raw()), _text(key.public_key().public_bytes_raw())


def _by_openssl() -> tuple[str, str]:
    try:
        private = subprocess.run(
            ["openssl", "genpkey", "-algorithm", "ed25519", "-outform", "DER"],  # noqa: S607 (the system's own)
            check=True,
            capture_output=True,
        ).stdout
        public = subprocess.run(
            ["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"],  # noqa: S607
            input=private,
            check=True,
            capture_output=True,
        ).stdout
    except FileNotFoundError:
        raise SystemExit(
            "openssl is needed to make the key that signs approvals. Install it: apt-get install openssl"
        ) from None
    return _text(private[-_RAW_BYTES:]), _text(public[-_RAW_BYTES:])


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
