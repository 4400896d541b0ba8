"""`slipway check`: what a release would refuse, by the release's own code, before anything is uploaded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipway.command import data
from slipway.command.aws import Aws
from slipway.command.errors import CommandError, of_release
from slipway.command.exits import Exit
from slipway.command.options import AsJson, Models, OfModel, Source
from slipway.command.output import Output
from slipway.command.release_code import release_code
from slipway.command.sources import TRAINING, Package, model_of, read_package

if TYPE_CHECKING:
    from slipway.aws.placeholders import AwsIdentity
    from slipway.model.config import ModelConfig
    from slipway.request.fence import FencedRequest

# How the release writes one problem of a zip: in request/policy.py, request/xgboost.py and validation.py.
_PROBLEM = re.compile(
    r"(?:(?P<file>[\w./-]+)(?:: |, ))?(?:field (?P<field>.+?): )?expected (?P<allowed>.+?), found (?P<found>.+?)"
    r"(?(field)(?: \((?P<fix>[^()]*)\))?)"
)


@dataclass
class Report:
    """What a check has found.

    :param model: the model's prefix
    :param digest: SHA-256 of the zip
    :param passed: what is good, in words
    :param skipped: what was not looked at, and why
    """

    model: str
    digest: str
    problems: list[CommandError] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "ok": not self.problems,
            "model": self.model,
            "digest": self.digest,
            "problems": [problem for error in self.problems for problem in _documents(error)],
            "passed": self.passed,
            "skipped": self.skipped,
            "exit_code": int(Exit.REFUSED if self.problems else Exit.DONE),
        }


def check(
    path: Source = Path(),
    model: OfModel = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask AWS nothing.", show_default=False)] = False,
    models: Models = None,
    as_json: AsJson = False,
) -> None:
    """Check a folder or a zip as a release would, without releasing it.

    The release's own code reads the zip and the model file. With AWS it also looks for the data: each channel and the
    held-out rows. Offline, account and region are those that the zip names.
    """
    output = Output(as_json=as_json)
    report = examine(read_package(path), model, models, None if offline else Aws(), output)
    output.json(report.document())
    show(report, output)
    if report.problems:
        raise typer.Exit(Exit.REFUSED)


def examine(package: Package, prefix: str | None, models: Path | None, aws: Aws | None, output: Output) -> Report:
    """Make all checks.

    :param package: what is to be released
    :param prefix: the model, if the person has named it
    :param models: the folder of model files; the usual one if None
    :param aws: AWS; None to ask it nothing
    :raises CommandError: when the model is not known, or AWS cannot be asked
    """
    caller = aws.caller if aws else None
    with release_code(output):
        from slipway.aws.placeholders import AwsIdentity
        from slipway.errors import SlipwayError
        from slipway.request.fence import parse_zip
        from slipway.request.process import checked

        config = model_of(package, prefix, models)
        report = Report(config.prefix, hashlib.sha256(package.body).hexdigest())
        try:
            # First, because account and region cannot be found in a zip that cannot be read.
            parse_zip(package.body)
            where = AwsIdentity(caller.account, caller.region) if caller else _named(package, config)
            fenced = checked(package.body, config, where)
        except SlipwayError as error:
            report.problems.append(of_release(error))
            return report
        report.passed.append("trainingjob.json and deployment.json are what a release accepts")
        report.passed.append(f"the model file of {config.prefix} allows what they ask for")
        _check_data(package, fenced, aws, report)
    return report


def show(report: Report, output: Output) -> None:
    """Print a report for people."""
    for text in report.passed:
        output.text(f"ok: {text}", style="green")
    for text in report.skipped:
        output.text(f"not checked: {text}", style="yellow")
    if not output.as_json:
        for error in report.problems:
            output.error(error)
    if not report.problems:
        output.text(f"{report.model}: nothing is wrong.")


def channels_of(fenced: FencedRequest) -> list[data.Channel]:
    """Return the channels of a request."""
    return [
        data.Channel(
            one.channel_name, one.data_source.s3_data_source.s3_uri, (one.content_type or "").startswith("text/csv")
        )
        for one in fenced.request.training_job.input_data_config
    ]


def _check_data(package: Package, fenced: FencedRequest, aws: Aws | None, report: Report) -> None:
    channels, labels = channels_of(fenced), _labels(fenced)
    files = data.local_files(package.data_folder) if package.data_folder else {}
    found = list(data.problems_of_files(files, channels, labels))
    if files and not found:
        report.passed.append(f"the rows in {package.data_folder}")
    report.problems += found
    if aws is None:
        report.skipped.append("what is in S3, because AWS is not asked")
        return
    places = data.places_in_s3(channels, fenced.model.test.data, files)
    in_s3 = list(data.problems_in_s3(aws, places, labels))
    report.problems += in_s3
    if places and not in_s3:
        report.passed.append(f"there is data in S3: {', '.join(f'{one.what} ({one.uri})' for one in places)}")


def _labels(fenced: FencedRequest) -> data.Labels:
    from slipway.load.answers import Answers, answers_for, objective_of

    given = fenced.request.training_job.hyper_parameters or {}
    answers = answers_for(objective_of(fenced.image, given))
    of_classes = answers in (Answers.CLASS, Answers.PROBABILITIES) and given.get("num_class", "").strip().isdecimal()
    return data.Labels(answers, int(given["num_class"]) if of_classes else None)


def _named(package: Package, model: ModelConfig) -> AwsIdentity:
    """Return the account and the region that a zip names in a place where the model file has placeholders.

    :raises CommandError: when it names none
    """
    from slipway.aws.placeholders import AwsIdentity

    texts = list(_texts(package.document(TRAINING)))
    for allowed in (model.source.bucket, *model.policy.s3_prefixes, *model.policy.roles):
        if "{account}" not in allowed or "{region}" not in allowed:
            continue
        pattern = re.escape(allowed).replace(r"\{region\}", r"(?P<region>[a-z]{2}[a-z0-9-]+-\d)")
        pattern = pattern.replace(r"\{account\}", r"(?P<account>\d{12})")
        for text in texts:
            if found := re.search(pattern, text):
                return AwsIdentity(found["account"], found["region"])
    if not any("{account}" in one or "{region}" in one for one in (model.source.bucket, *model.policy.s3_prefixes)):
        return AwsIdentity("000000000000", "us-east-1")
    raise CommandError(
        "Account and region are not known",
        where=f"{package.path}: {TRAINING}",
        why=f"offline they are read from the zip, and no address in it has the form of {model.source.bucket}",
        fix=f"correct the addresses, which must lie below {' or '.join(model.policy.s3_prefixes)}; or check with AWS",
        code=Exit.REFUSED,
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _documents(error: CommandError) -> Iterator[dict[str, Any]]:
    """Return a document for each line of an error: what, where, field, allowed, found, fix."""
    for line in (error.why or error.what).splitlines():
        found = _PROBLEM.fullmatch(line)
        parts = found.groupdict() if found else {}
        yield {
            "what": error.what,
            "where": parts.get("file") or error.where,
            "field": parts.get("field"),
            "allowed": parts.get("allowed"),
            "found": parts.get("found"),
            "fix": "; ".join(part for part in (parts.get("fix"), error.fix) if part),
            "why": line,
        }
