"""`make stress`: the load engine against an endpoint of this instance's local AWS."""

from __future__ import annotations

import argparse
import os
import sys

from tools.environment import aws_variables
from tools.settings import ACCOUNT, REGION, ROOT, Settings


class StressError(Exception):
    """The load cannot be run; the message says what to do."""


def held_out(settings: Settings, endpoint: str) -> str:
    """Find the rows that a model file has for trying its endpoints.

    :raises StressError: when no model file is about the endpoint
    """
    # Imported late: it brings Airflow along, which a load with rows of its own does not need.
    sys.path.insert(0, str(ROOT / "plugins"))
    from slipway import names
    from slipway.hooks.identity import AwsIdentity
    from slipway.model_config import load_models
    from slipway.states import Environment

    models, _ = load_models(settings.include_folder / "models")
    for model in models:
        prefix = model.policy.endpoint.endpoint_prefix
        if endpoint in [names.endpoint_name(prefix, environment) for environment in Environment]:
            return model.resolved(AwsIdentity(ACCOUNT, REGION)).test.data
    raise StressError(f"No model file has the endpoint {endpoint}. Name its rows: DATA=rows.csv, label first")


def main() -> int:
    """Entry point of make stress; options it does not know are the engine's."""
    parser = argparse.ArgumentParser(prog="make stress", add_help=False)
    parser.add_argument("endpoint", nargs="?")
    parser.add_argument("--data")
    given, options = parser.parse_known_args()
    settings = Settings.from_environment()
    try:
        if not given.endpoint:
            raise StressError("Name an endpoint: make stress ENDPOINT=iris-model-production")
        data = given.data or held_out(settings, given.endpoint)
    except StressError as error:
        print(f"make: {error}", file=sys.stderr)
        return 2
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= aws_variables(settings) | {"PYTHONPATH": str(ROOT / "plugins"), "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-m", "slipway.load", given.endpoint, "--data", data, *options]
    # In this process's place, so that Ctrl-C and a kill reach the engine.
    os.execve(command[0], command, environment)  # noqa: S606 - no shell, and the arguments are a list


if __name__ == "__main__":
    raise SystemExit(main())
