"""`slipway build`: from a folder with a Dockerfile to an image, followed to its end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipway import image_names
from slipway.command import session
from slipway.command.airflow import Airflow
from slipway.command.aws import Aws
from slipway.command.container import Container, read_container
from slipway.command.errors import CommandError, interrupted, of_release
from slipway.command.exits import Exit
from slipway.command.options import AsJson, Models, NoFollow, OfModel
from slipway.command.output import Output
from slipway.command.release_code import release_code
from slipway.command.run import failures, follow_run, xcom
from slipway.command.sources import Package, models_in
from slipway.command.submit import run_of
from slipway.command.upload import Upload, known_model, upload_zip
from slipway.command.views import show_failure

if TYPE_CHECKING:
    from slipway.model.config import ModelConfig


def build(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A folder with a Dockerfile, or one whose folder container has it.")
    ] = Path(),
    model: OfModel = None,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="Check the source, and upload nothing.", show_default=False)
    ] = False,
    no_follow: NoFollow = False,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Build the model's own container image: check its source, upload it, and follow the build.

    The check is the build's own, of the zip and of each line of the Dockerfile. The same files always make the same
    zip, and the same zip gives the same image, built once. Ctrl-C stops the following, not the build.
    """
    output = Output(as_json=as_json)
    container = read_container(path)
    found = _checked(container, model, models, output)
    if check_only:
        output.json({"model": found.prefix, "files": container.files, "exit_code": 0})
        output.text(f"{found.prefix}: the source of the image is what a build accepts, {container.files} files.")
        return
    with interrupted(path, "nothing was uploaded, so no build starts"):
        airflow, aws = session.connect(output), Aws()
    version = _upload(airflow, aws, container, found, output)
    dag_id = image_names.build_dag_id(found.prefix)
    if no_follow:
        output.json({"upload": version.document(), "exit_code": 0})
        output.text(f"The build starts by itself: {airflow.url}/dags/{dag_id}")
        return
    run_id = run_of(airflow, dag_id, version, aws)
    url = airflow.run_url(dag_id, run_id)
    output.note(f"build {url}")
    with interrupted(url, "you no longer follow this build; it goes on in Airflow"):
        state, tasks = follow_run(airflow, dag_id, run_id, output)
    raise typer.Exit(_conclude(airflow, dag_id, run_id, state, tasks, output))


def _upload(airflow: Airflow, aws: Aws, container: Container, model: ModelConfig, output: Output) -> Upload:
    """Upload the source to where the intake looks for it, in the name of the person in Airflow.

    :raises CommandError: when Airflow has no such model, or S3 refuses it
    """
    who = str(known_model(airflow, model.prefix)["user"])
    with release_code(output):
        from slipway.aws.placeholders import AwsIdentity

        bucket = AwsIdentity(aws.caller.account, aws.caller.region).resolve(model.source.bucket)
    place = f"s3://{bucket}/{image_names.source_key(model.prefix)}"
    with interrupted(container.folder, f"the source was on its way to {place}; if S3 has it, its build starts"):
        zipped = Package(container.folder, container.body)
        version = upload_zip(aws, zipped, bucket, image_names.source_key(model.prefix), who)
    output.note(f"uploaded {place}, version {version.version_id}, as {version.uploaded_by}")
    return version


def _checked(container: Container, prefix: str | None, folder: Path | None, output: Output) -> ModelConfig:
    """Find the model file, and check the source by it as the task check_source does.

    :raises CommandError: when there is none, or the source is refused
    """
    with release_code(output):
        from slipway.errors import SlipwayError
        from slipway.images.archive import read_source
        from slipway.images.dockerfile import check_dockerfile

        place, known, errors = models_in(folder)
        found = next((one for one in known if one.prefix == (prefix or container.name)), None)
        if found is None:
            if errors:
                raise of_release(errors[0])
            raise CommandError(
                f"There is no model file of {prefix or container.name}",
                where=str(container.folder),
                why=f"the model files in {place} are of {', '.join(one.prefix for one in known) or 'no model'}",
                fix="name the model with --model; slipway init --custom makes a model file",
                code=Exit.NOT_FOUND,
            )
        if found.image is None:
            raise CommandError(
                "The model has no image of its own",
                where=str(place / f"{found.prefix}.yaml"),
                why="its model file has no section image",
                fix="add the line `image: {}`, then deploy the model's stack: slipway bootstrap, or make up again",
                code=Exit.REFUSED,
            )
        try:
            check_dockerfile(read_source(container.body, found.image.build).dockerfile, found.image.build)
        except SlipwayError as error:
            raise of_release(error) from error
    return found


def _conclude(airflow: Airflow, dag_id: str, run_id: str, state: str, tasks: Mapping[str, str], output: Output) -> Exit:
    """Print the image, or why there is none; return the exit code."""
    prefix = image_names.prefix_of_dag(dag_id)
    document: dict[str, Any] = {"model": prefix, "run_id": run_id, "state": state}
    if state == "success":
        image = xcom(airflow, dag_id, run_id, "record", "return_value") or {}
        output.json({**document, "image": image, "exit_code": int(Exit.DONE)})
        output.text(f"{prefix} has a new image: {image.get('image')}", style="green")
        output.text(f"Release with it: slipway submit {prefix}")
        return Exit.DONE
    failed = failures(airflow, dag_id, run_id, tasks)
    refused = any(failure.get("kind") == "ImageRefused" for failure in failed)
    code = Exit.REFUSED if refused else Exit.FAILED
    output.json({**document, "failures": failed, "exit_code": int(code)})
    for failure in failed:
        show_failure(failure, output)
    output.text(f"{prefix} has no new image; the newest stays what it was.", style="bold red")
    output.text(airflow.run_url(dag_id, run_id))
    return code
