"""make demo: release a model and show it from upload to predictions; where it has one, its own image is built first."""

from __future__ import annotations

import argparse
import sys
import time

from rich.console import Console
from rich.table import Table

from demo import datasets, predictions, upload
from demo.examples import EXAMPLES, XGBOOST, Example
from demo.follow import APPROVAL, IMAGE_STAGES, Display, Release, ask_person
from tools import environment
from tools.airflow_api import AirflowApi, ApiError
from tools.settings import Settings

PREFIX = XGBOOST.prefix
DATASET = XGBOOST.dataset
APPROVER = "alice"
# An upload starts its release within seconds; on a busy machine the first one also waits for its DAG to be parsed.
NOTICE_TIMEOUT_SECONDS = 120.0
# As a person would need.
READING_SECONDS = 5.0


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


def check_running(api: AirflowApi) -> None:
    """Check that Airflow answers.

    :raises DemoError: when it does not.
    """
    try:
        api.health()
    except (OSError, ApiError):
        raise DemoError(f"No Airflow answers at {api.url}. Start it with: make up") from None


def find_run(api: AirflowApi, version: upload.Upload, dag_id: str) -> str:
    """Wait until the intake has started the run of an uploaded version, and return its run id.

    :param dag_id: of the model's releases, or of its image's builds
    :raises DemoError: when no run starts.
    """
    deadline = time.monotonic() + NOTICE_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            for run in api.runs(dag_id):
                if (run.get("conf") or {}).get("version_id") == version.version_id:
                    return str(run["dag_run_id"])
        except ApiError as error:
            if error.status != 404:  # the DAG of the model is not parsed yet
                raise
        time.sleep(1)
    problems = "".join(f"\n{error['filename']}: {error['stack_trace']}" for error in api.import_errors())
    raise DemoError(
        f"No run for {version.key} (version {version.version_id}) started within {NOTICE_TIMEOUT_SECONDS:.0f} s. "
        f"Look at the DAGs intake and {dag_id} in {api.url}.{problems}"
    )


def build_image(api: AirflowApi, settings: Settings, console: Console, example: Example) -> None:
    """Upload the source of the example's own image and follow its build; the same source is built once.

    :raises DemoError: when the build fails.
    """
    if example.container is None:
        return
    version = upload.upload_source(settings, example.prefix, example.container)
    console.print(f"Uploaded s3://{version.bucket}/{version.key}, version {version.version_id}")
    dag_id = f"image_build-{example.prefix}"
    build = Release(api, dag_id, find_run(api, version, dag_id), IMAGE_STAGES)
    console.print(f"Build [link={build.url}]{build.url}[/link]")
    Display(console, build).follow(until=lambda state: state.finished)
    _check_succeeded(build, "The build of the image failed.")


def _check_succeeded(run: Release, problem: str) -> None:
    if run.state != "success":
        reasons = []
        for task_id in run.failures():
            reasons += [f"Task {task_id} failed:", *run.error_of(task_id)]
        raise DemoError(f"{problem}\n" + "\n".join(reasons) + f"\nThe whole run: {run.url}")


def upload_all(settings: Settings, console: Console, example: Example) -> upload.Upload:
    """Upload the data and the zip, and print where they are."""
    split = upload.upload_data(settings, example.prefix, example.dataset)
    console.print(
        f"Uploaded {len(split.train)} rows for training and {len(split.held_out)} held-out rows "
        f"to s3://{settings.bucket}/{example.prefix}/input/"
    )
    version = upload.upload_zip(settings, example.prefix, example.zip(settings.bucket))
    console.print(f"Uploaded s3://{version.bucket}/{version.key}, version {version.version_id}")
    return version


def decide(release: Release, settings: Settings, console: Console, display: Display, approve: bool) -> None:
    """Answer the approval as alice through the public API, or wait for the person at the screen."""
    passwords = environment.passwords(settings)
    if approve:
        time.sleep(READING_SECONDS)
        api = AirflowApi(settings.airflow_url, APPROVER, passwords[APPROVER])
        api.answer(release.dag_id, release.run_id, APPROVAL, "Approve")
        console.print(f"Approved as {APPROVER} through the public API.")
    else:
        ask_person(console, release, APPROVER, passwords[APPROVER])
    display.follow(until=lambda state: state.finished or not state.waits_for_person)


def show_release(release: Release, settings: Settings, console: Console, approve: bool) -> None:
    """Follow the release to its end.

    :raises DemoError: when it fails, with the failed task and its error.
    """
    console.print(f"Release [link={release.url}]{release.url}[/link]")
    display = Display(console, release)
    display.follow(until=lambda state: state.finished or state.waits_for_person)
    if not release.finished:
        decide(release, settings, console, display, approve)
        display.follow(until=lambda state: state.finished)
    _check_succeeded(release, "The release failed.")


def show_predictions(settings: Settings, console: Console, example: Example) -> None:
    """Send the held-out rows to both endpoints, and print how well they predicted."""
    rows = datasets.load(example.dataset).held_out
    table = Table("endpoint", "rows", "accuracy", "variants", "median", "slowest", title="Predictions by boto3")
    for name in ("development", "production"):
        answers = predictions.ask(settings, f"{example.prefix}-{name}", rows)
        variants = ", ".join(f"{variant} {count}" for variant, count in sorted(answers.variants.items()))
        table.add_row(
            answers.endpoint,
            str(answers.rows),
            f"{answers.accuracy:.3f}",
            variants,
            f"{answers.median_milliseconds:.1f} ms",
            f"{answers.slowest_milliseconds:.1f} ms",
        )
    console.print(table)


def main() -> int:
    """Run the demo; the exit code is 0 when the model is in production and answers."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--approve", choices=["yes"], help="answer the approval as alice")
    parser.add_argument("--model", choices=list(EXAMPLES), default=PREFIX, help="which of the lab's two models")
    parser.add_argument("--run", metavar="RUN_ID", help="follow this release instead of starting a new one")
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    settings = Settings.from_environment()
    api = AirflowApi(settings.airflow_url, APPROVER, environment.passwords(settings)[APPROVER])
    run_id: str | None = arguments.run
    example = EXAMPLES[arguments.model]
    try:
        check_running(api)
        if run_id is None:
            build_image(api, settings, console, example)
            run_id = find_run(api, upload_all(settings, console, example), example.prefix)
        show_release(Release(api, example.prefix, run_id), settings, console, arguments.approve == "yes")
        show_predictions(settings, console, example)
    except KeyboardInterrupt:
        print_how_to_go_on(console, run_id, example)
        return 130
    except (DemoError, ApiError, OSError) as error:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"make: {error}")
        return 1
    console.print("[green]In production.[/green] Release another version: make demo. Stop everything: make down")
    return 0


def print_how_to_go_on(console: Console, run_id: str | None, example: Example) -> None:
    """Print, after Ctrl-C, how to come back: the release goes on in Airflow."""
    if run_id is None:
        console.print("\nDemo ended. Airflow releases the zip if it was uploaded. Airflow's address: make status")
    else:
        model = "" if example is XGBOOST else f" MODEL={example.prefix}"
        back = f"make demo{model} RUN={run_id}"
        console.print(f"\nDemo ended. The release goes on in Airflow. To come back to it: {back}")
    console.print("Stop everything: make down. Releases go on after the next 'make up'.")


if __name__ == "__main__":
    sys.exit(main())
