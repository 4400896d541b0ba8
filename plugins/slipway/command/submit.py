"""`slipway submit`: from a folder to a release, followed to its end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from slipway.command import session
from slipway.command.airflow import Airflow, quoted, run_path
from slipway.command.aws import Aws
from slipway.command.check import examine, show
from slipway.command.errors import CommandError, interrupted
from slipway.command.exits import Exit
from slipway.command.follow import PATIENCE_SECONDS, POLL_SECONDS, Follower, conclude
from slipway.command.options import AsJson, Models, NoFollow, OfModel, Source
from slipway.command.output import Output
from slipway.command.release_code import release_code
from slipway.command.sources import Package, model_of, read_package
from slipway.command.upload import Upload, known_model, run_id_of, upload_data, upload_zip


def submit(
    path: Source = Path(),
    model: OfModel = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Check first, as slipway check does.")] = True,
    data: Annotated[bool, typer.Option("--data/--no-data", help="Upload data/CHANNEL first, where it changed.")] = True,
    no_follow: NoFollow = False,
    wait_approval: Annotated[
        bool,
        typer.Option("--wait-approval", help="Also wait for people's answers, to the very end.", show_default=False),
    ] = False,
    uploaded_by: Annotated[
        str | None,
        typer.Option("--uploaded-by", metavar="NAME", help="Who uploads.", show_default="your name in Airflow"),
    ] = None,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Release a folder or a zip: check, upload, and follow the release.

    It returns when the release has ended, or, without --wait-approval, when it waits for a person: then the exit code
    is 3. Ctrl-C stops the following, not the release. The same files always make the same zip; each upload is a version
    of its own, and so a release.
    """
    output = Output(as_json=as_json)
    with interrupted(path, "nothing was uploaded, so no release starts"):
        package, aws = read_package(path), Aws()
        airflow = session.connect(output)
        prefix, bucket, key = _checked(package, model, models, aws, output, check=check)
        found = known_model(airflow, prefix)
        if found["row"]["paused"]:
            output.note(f"The DAG {prefix} is paused: the release starts when somebody unpauses it.", style="yellow")
    with interrupted(path, "data may have been uploaded, but no zip, so no release starts"):
        uploaded = upload_data(aws, package, output) if data else []
    unknown = f"the zip was on its way to s3://{bucket}/{key}; if S3 has it, its release starts by itself"
    with interrupted(path, unknown, fix=f"look with: slipway status {prefix}"):
        version = upload_zip(aws, package, bucket, key, uploaded_by or found["user"])
    output.note(f"uploaded s3://{bucket}/{key}, version {version.version_id}, as {version.uploaded_by}")
    if no_follow:
        output.json({"upload": version.document(), "data": uploaded, "exit_code": 0})
        output.text(f"The release starts by itself: slipway status {prefix}")
        return
    run_id = run_of(airflow, prefix, version, aws)
    output.note(f"release {airflow.run_url(prefix, run_id)}")
    release, result = Follower(airflow, prefix, run_id, output).follow(past_questions=wait_approval)
    raise typer.Exit(conclude({**release, "upload": version.document(), "data": uploaded}, result, airflow, output))


def _checked(
    package: Package, model: str | None, models: Path | None, aws: Aws, output: Output, *, check: bool
) -> tuple[str, str, str]:
    """Check the zip, and return the model's name and where its zip goes.

    :raises typer.Exit: when something is wrong with it
    """
    if check:
        report = examine(package, model, models, aws, output)
        if report.problems:
            output.json(report.document())
            show(report, output)
            raise typer.Exit(Exit.REFUSED)
    caller = aws.caller
    with release_code(output):
        from slipway.aws.placeholders import AwsIdentity

        source = model_of(package, model, models)
        where = AwsIdentity(caller.account, caller.region)
        return source.prefix, where.resolve(source.source.bucket), source.source.key


def run_of(airflow: Airflow, dag_id: str, version: Upload, aws: Aws) -> str:
    """Wait for the run that an uploaded version starts, and return its id.

    :param dag_id: the model's, or that of the builds of its image
    :raises CommandError: when none starts, or the person has had enough
    """
    try:
        return _started_run(airflow, dag_id, version, run_id_of(aws, version))
    except (KeyboardInterrupt, typer.Abort) as error:
        raise _not_started(airflow, dag_id, version, "you pressed Ctrl-C", Exit.INTERRUPTED) from error


def _started_run(airflow: Airflow, dag_id: str, version: Upload, run_id: str) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            return str(airflow.api("GET", run_path(dag_id, run_id))["dag_run_id"])
        except CommandError as error:
            if error.code is not Exit.NOT_FOUND:
                raise
        time.sleep(POLL_SECONDS)
    why = f"Airflow has started none within {PATIENCE_SECONDS:.0f} s{_import_errors(airflow)}"
    raise _not_started(airflow, dag_id, version, why, Exit.FAILED)


def _not_started(airflow: Airflow, dag_id: str, version: Upload, why: str, code: Exit) -> CommandError:
    return CommandError(
        "The zip is uploaded, and its run has not started yet",
        where=f"s3://{version.bucket}/{version.key} version {version.version_id}",
        why=why,
        fix=f"the DAG intake starts it: {airflow.url}/dags/intake; then it is at {airflow.url}/dags/{quoted(dag_id)}",
        code=code,
    )


def _import_errors(airflow: Airflow) -> str:
    try:
        errors = airflow.listed("importErrors", "import_errors")
    except CommandError:
        return ""
    return "".join(f"\n{one['filename']}: {one['stack_trace'].strip().splitlines()[-1]}" for one in errors)
