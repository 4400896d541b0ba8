"""`slipway init`: the model file, the sources of the zip, and the data of a first release."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway import names
from slipway.command import custom, documents, tabular
from slipway.command.aws import Aws
from slipway.command.check import examine, show
from slipway.command.container import CONTAINER
from slipway.command.documents import Plan
from slipway.command.errors import CommandError
from slipway.command.exits import Exit
from slipway.command.options import AsJson, Models
from slipway.command.output import Output
from slipway.command.release_code import release_code
from slipway.command.settings import Settings
from slipway.command.sources import nearest_models_folder, read_package

_VERSION = "1.7-1"


def init(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="The model's name, such as iris.")],
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="A table with your data.")] = None,
    label: Annotated[
        str | None, typer.Option("--label", metavar="COLUMN", help="The column to predict, by name or number.")
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="COLUMN", help="Leave a column out; may be repeated.")
    ] = None,
    held_out: Annotated[
        float, typer.Option("--held-out", min=0.01, max=0.9, metavar="SHARE", help="The share of rows to test with.")
    ] = 0.2,
    objective: Annotated[
        str | None,
        typer.Option("--objective", metavar="NAME", help="XGBoost's; by default that of the labels."),
    ] = None,
    approver: Annotated[
        list[str] | None, typer.Option("--approver", metavar="NAME", help="Who may approve; may be repeated.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Where the sources go.", show_default="PREFIX")
    ] = None,
    models: Models = None,
    bucket: Annotated[
        str, typer.Option("--bucket", metavar="NAME", help="The bucket; {region} and {account} are filled in.")
    ] = names.ACCOUNT_BUCKET,
    account: Annotated[
        str | None, typer.Option("--account", metavar="ID", help="The AWS account.", show_default="that of your login")
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="NAME", help="The AWS region.", show_default="that of your login")
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", metavar="URI", help="The XGBoost image.", show_default=_VERSION)
    ] = None,
    with_container: Annotated[
        bool, typer.Option("--custom", help="Bring a container of your own: copy the example.", show_default=False)
    ] = False,
    instance_type: Annotated[
        str, typer.Option("--instance-type", metavar="TYPE", help="For training and for both endpoints.")
    ] = "ml.m5.large",
    force: Annotated[bool, typer.Option("--force", help="Overwrite files.", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Make what a first release needs: a model file, trainingjob.json, deployment.json, and the data.

    With a CSV file, the label becomes the first column and a number, the rows are shuffled, and a share of them is held
    out for tests. What is not given as an option is asked at a terminal. AWS is asked for account and region only.
    """
    output = Output(as_json=as_json)
    _check_prefix(prefix)
    csv = csv or _path(_ask(output, "A CSV file with your data (empty for none)", ""))
    data = _prepared(csv, label, drop or [], held_out, output) if csv else None
    approvers = approver or _people(output)
    where = Aws().caller if not (account and region) else None
    account, region = account or where.account, region or where.region  # type: ignore[union-attr]
    folder = folder or Path(prefix)
    model_path = (models or nearest_models_folder() or Path("include") / "models") / f"{prefix}.yaml"
    plan = Plan(
        prefix=prefix,
        image=image
        or (custom.image(prefix, account, region) if with_container else _image(region, instance_type, output)),
        data=data,
        objective=objective or (data.objective if data else "binary:logistic"),
        bucket=bucket.replace("{region}", region).replace("{account}", account),
        bucket_text=bucket,
        approvers=approvers,
        instance_type=instance_type,
    )
    files = _files(plan, folder, model_path, with_container=with_container)
    _write(files, force=force)
    report = examine(read_package(folder), prefix, model_path.parent, None, output)
    output.json({"files": [str(path) for path in files], "classes": data.classes if data else [], **report.document()})
    for path in files:
        output.text(f"wrote {path}")
    if data and data.classes:
        shown = ", ".join(f"{number} = {name}" for number, name in enumerate(data.classes))
        output.text(f"labels: {shown}")
    show(report, output)
    if report.problems:
        raise typer.Exit(Exit.REFUSED)
    output.text("Next, make the model's roles: slipway bootstrap, or make up again for the local AWS.")
    if with_container:
        output.text(f"Build its image: slipway build {folder}")
    output.text(f"Then release it: slipway submit {folder}")


def _files(plan: Plan, folder: Path, model_path: Path, *, with_container: bool) -> dict[Path, str]:
    source: Any = documents
    found: dict[Path, str] = {}
    if with_container:
        custom.check(plan)
        source, found = custom, custom.container_files(folder / CONTAINER)
    found |= {
        model_path: source.model_file(plan),
        folder / "trainingjob.json": _json(source.training_job(plan)),
        folder / "deployment.json": _json(documents.deployment(plan)),
    }
    if plan.data:
        found[folder / "data" / "train" / "train.csv"] = tabular.to_csv(plan.data.train)
        found[folder / "data" / "validation" / "validation.csv"] = tabular.to_csv(plan.data.held_out)
        meaning = {"label": dict(enumerate(plan.data.classes)), "features": plan.data.features}
        found[folder / "data" / "columns.json"] = _json(meaning)
    return found


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _write(files: dict[Path, str], *, force: bool) -> None:
    if not force and (there := [str(path) for path in files if path.exists()]):
        raise CommandError(
            "Nothing was written",
            where=", ".join(there),
            why="a file of that name is there",
            fix="give another --folder or PREFIX, or --force to overwrite",
            code=Exit.REFUSED,
        )
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            if text.startswith("#!"):
                path.chmod(0o755)
        except OSError as error:
            raise CommandError(
                "The file cannot be written",
                where=str(path),
                why=error.strerror or str(error),
                fix="give another --folder or --models",
            ) from error


def _check_prefix(prefix: str) -> None:
    if re.fullmatch(names.NAME_PATTERN, prefix) and len(prefix) <= names.PREFIX_MAX_CHARS:
        return
    raise CommandError(
        "This is no name for a model",
        where="PREFIX",
        why=f"expected up to {names.PREFIX_MAX_CHARS} letters, digits and single hyphens between them, found {prefix}",
        fix="choose another name, such as iris or credit-risk",
        code=Exit.USAGE,
    )


def _prepared(path: Path, label: str | None, drop: Sequence[str], share: float, output: Output) -> tabular.Prepared:
    table = tabular.read_table(path)
    if label is None:
        output.note(f"Columns: {', '.join(table.columns)}")
        label = _ask(output, "The column to predict", table.columns[-1], option="--label")
    return tabular.prepare(table, label, drop, share)


def _people(output: Output) -> list[str]:
    settings = Settings.read()
    login = settings.logins.get(settings.url or "")
    question = "Who may approve releases (names in Airflow, with commas)"
    answer = _ask(output, question, login.user if login else None, option="--approver")
    return [name.strip() for name in answer.split(",") if name.strip()]


def _ask(output: Output, question: str, default: str | None, *, option: str | None = None) -> str:
    """Ask at a terminal; elsewhere, take the default of a question that need not be answered."""
    if output.interactive:
        return str(typer.prompt(question, default=default, err=True, show_default=bool(default)))
    if option is None:
        return default or ""
    raise CommandError(
        "An answer is missing",
        where=option,
        why="nobody can be asked, because this is no terminal",
        fix=f"give {option}",
        code=Exit.USAGE,
    )


def _path(text: str) -> Path | None:
    return Path(text).expanduser() if text else None


def _image(region: str, instance_type: str, output: Output) -> str:
    """Look up AWS's XGBoost for a region, in the SageMaker SDK's table."""
    with release_code(output):
        from slipway.request.images import resolve_image

        return resolve_image("xgboost", _VERSION, region, instance_type)
