"""make demo: releases the iris model and shows it from upload to predictions."""

from __future__ import annotations

import argparse
import sys
import time

from rich.console import Console
from rich.table import Table

from demo import datasets, predictions, upload
from demo.follow import APPROVAL, Display, Release, ask_person
from tools import environment
from tools.airflow_api import AirflowApi, ApiError
from tools.settings import Settings

PREFIX = "iris-model"
DATASET = "iris"
APPROVER = "alice"
# An upload starts its release within seconds; on a busy machine the first one also waits for its DAG to be parsed.
NOTICE_TIMEOUT_SECONDS = 120.0
# Nobody reads faster. LocalExecutor takes a task for killed, and tries it again, when it is resumed while the process
# that asked is still ending.
READING_SECONDS = 5.0


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


def check_running(api: AirflowApi) -> None:
    """:raises DemoError: when no Airflow answers."""
    try:
        api.health()
    except (OSError, ApiError):
        raise DemoError(f"No Airflow answers at {api.url}. Start it with: make up") from None


def find_run(api: AirflowApi, version: upload.Upload) -> str:
    """Waits until the intake has started the release of an uploaded version. Returns its run id.

    :raises DemoError: when nothing starts.
    """
    deadline = time.monotonic() + NOTICE_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            for run in api.runs(PREFIX):
                if (run.get("conf") or {}).get("version_id") == version.version_id:
                    return str(run["dag_run_id"])
        except ApiError as error:
            if error.status != 404:  # the DAG of the model is not parsed yet
                raise
        time.sleep(1)
    problems = "".join(f"\n{error['filename']}: {error['stack_trace']}" for error in api.import_errors())
    raise DemoError(
        f"No release of {version.key} (version {version.version_id}) started within {NOTICE_TIMEOUT_SECONDS:.0f} s. "
        f"Look at the DAGs intake and {PREFIX} in {api.url}.{problems}"
    )


def upload_all(settings: Settings, console: Console) -> upload.Upload:
    """Uploads data and zip and says what went where."""
    split = upload.upload_data(settings, PREFIX, DATASET)
    console.print(
        f"Uploaded {len(split.train)} rows to train with and {len(split.held_out)} held out "
        f"to s3://{settings.bucket}/{PREFIX}/input/"
    )
    version = upload.upload_zip(settings, PREFIX)
    console.print(f"Uploaded s3://{version.bucket}/{version.key}, version {version.version_id}")
    return version


def decide(release: Release, settings: Settings, console: Console, display: Display, approve: bool) -> None:
    """Has the release's question answered: by alice through the public API, or by the person at the screen."""
    passwords = environment.passwords(settings)
    if approve:
        time.sleep(READING_SECONDS)
        api = AirflowApi(settings.airflow_url, APPROVER, passwords[APPROVER])
        api.answer(PREFIX, release.run_id, APPROVAL, "Approve")
        console.print(f"Approved as {APPROVER} through the public API.")
    else:
        ask_person(console, release, APPROVER, passwords[APPROVER])
    display.follow(until=lambda state: state.finished or not state.waits_for_person)


def show_release(release: Release, settings: Settings, console: Console, approve: bool) -> None:
    """Follows the release to its end.

    :raises DemoError: when it fails, with the failed task and its error.
    """
    console.print(f"Release [link={release.url}]{release.url}[/link]")
    display = Display(console, release)
    display.follow(until=lambda state: state.finished or state.waits_for_person)
    if not release.finished:
        decide(release, settings, console, display, approve)
        display.follow(until=lambda state: state.finished)
    if release.state != "success":
        reasons = []
        for task_id in release.failures():
            reasons += [f"Task {task_id} failed:", *release.error_of(task_id)]
        raise DemoError("The release failed.\n" + "\n".join(reasons) + f"\nAll of it: {release.url}")


def show_predictions(settings: Settings, console: Console) -> None:
    """Asks both endpoints for the held-out rows and prints how they did."""
    rows = datasets.load(DATASET).held_out
    table = Table("endpoint", "rows", "accuracy", "variants", "median", "slowest", title="Predictions by boto3")
    for name in ("development", "production"):
        answers = predictions.ask(settings, f"{PREFIX}-{name}", rows)
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
    """Entry point: exit code 0 when the model is in production and answers."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--approve", choices=["yes"], help="answer the approval as alice")
    parser.add_argument("--run", metavar="RUN_ID", help="go on with a release that was left, instead of a new one")
    arguments = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    settings = Settings.from_environment()
    api = AirflowApi(settings.airflow_url, APPROVER, environment.passwords(settings)[APPROVER])
    run_id: str | None = arguments.run
    try:
        check_running(api)
        run_id = run_id or find_run(api, upload_all(settings, console))
        show_release(Release(api, PREFIX, run_id), settings, console, arguments.approve == "yes")
        show_predictions(settings, console)
    except KeyboardInterrupt:
        print_how_to_go_on(console, run_id)
        return 130
    except (DemoError, ApiError, OSError) as error:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"make: {error}")
        return 1
    console.print("[green]In production.[/green] Another version: make demo. Stop everything: make down")
    return 0


def print_how_to_go_on(console: Console, run_id: str | None) -> None:
    """After Ctrl-C: nothing is half done, the release runs in Airflow and not here."""
    if run_id is None:
        console.print("\nLeft. An uploaded zip is released by itself; see it with 'make status' and in Airflow.")
    else:
        console.print(f"\nLeft; the release goes on without this display. Come back to it: make demo RUN={run_id}")
    console.print("Stop everything: make down (releases go on after the next 'make up').")


if __name__ == "__main__":
    sys.exit(main())
