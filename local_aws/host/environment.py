"""The environment variables that ministack reads when it is imported."""

import os

from local_aws.settings import Settings

DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "us-west-2"


def configure(settings: Settings) -> None:
    """Set ministack's environment variables; call this before ministack is imported.

    :param settings: how this local AWS runs
    """
    for name in ("ministack", "s3"):
        (settings.state_dir / name).mkdir(parents=True, exist_ok=True)
    os.environ.update(
        {
            "GATEWAY_PORT": str(settings.port),
            "BIND_HOST": settings.bind,
            "PERSIST_STATE": "1",
            "STATE_DIR": str(settings.state_dir / "ministack"),
            # `s3_versions` turns it on, when it has replaced what ministack reads and writes.
            "S3_PERSIST": "0",
            "S3_DATA_DIR": str(settings.state_dir / "s3"),
            # The secret of the keys of twelve digits, which the account's own services sign with.
            "AWS_SECRET_ACCESS_KEY": settings.inside_secret,
            # IAM is enforced.
            "AUTH": "true",
            # These would open listeners of their own, which nothing here needs.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        }
    )
    for name, value in {
        "MINISTACK_ACCOUNT_ID": DEFAULT_ACCOUNT,
        "MINISTACK_REGION": DEFAULT_REGION,
        "LOG_LEVEL": "WARNING",
    }.items():
        os.environ.setdefault(name, value)
