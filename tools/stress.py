"""`make stress`: `slipway stress` for an endpoint of this instance's local AWS."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime

from tools.environment import aws_variables
from tools.settings import Settings


def prepare(settings: Settings) -> None:
    """Point this process to the local AWS and to the instance's model files."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= aws_variables(settings) | {
        "NO_PROXY": "127.0.0.1",
        "AIRFLOW_HOME": str(settings.airflow_home),
        "SLIPWAY_INCLUDE_FOLDER": str(settings.include_folder),
    }


def send(settings: Settings, endpoint: str, arguments: list[str]) -> int:
    """Send the load and write the report into the state folder.

    :param settings: of this instance
    :param endpoint: an endpoint whose model file allows load
    :param arguments: the other arguments of `slipway stress`
    :returns: the exit code of `slipway stress`
    """
    # Imported after prepare() has set the environment.
    from slipway.command.main import app
    from slipway.command.output import Output
    from slipway.command.release_code import kept_levels, release_code
    from slipway.errors import SlipwayError

    with kept_levels(), release_code(Output(as_json=False)):
        from slipway.model.files import load_models
        from slipway.stress.order import owner

        try:
            model, environment = owner(endpoint, *load_models(settings.include_folder / "models"))
        except SlipwayError as error:
            print(f"make: {error}", file=sys.stderr)
            return 2
    place = settings.home / "stress" / f"{endpoint}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    words = ["stress", model.prefix, "--env", environment.value, "--report", str(place), *arguments]
    return int(app(words, prog_name="slipway", standalone_mode=False) or 0)


def main() -> int:
    """Run make stress."""
    endpoint, *arguments = sys.argv[1:] or [""]
    # The endpoint comes first: its model file gives the defaults of the options.
    if not endpoint or endpoint.startswith("-"):
        print("make: Name an endpoint: make stress ENDPOINT=iris-model-production", file=sys.stderr)
        return 2
    settings = Settings.from_environment()
    prepare(settings)
    return send(settings, endpoint, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
