"""The body of the approval screen, as Markdown: what an approver needs to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.approval.costs import VariantInstances, costs_say, region_of
from slipway.approval.effect import approve_does, reject_does
from slipway.formats.json_numbers import number_of, number_text
from slipway.model.approval_rules import Approval
from slipway.names import package_version
from slipway.plan import STRESS_DEV, ReleasePlan
from slipway.registry.artefact import Artefact
from slipway.request.contents import Contents, compare

# What a person reads before they decide; the board has all.
_MAX_CHANGES = 60


@dataclass(frozen=True)
class Facts:
    """What the tasks before the approval found out: their XComs, with the release's plan.

    :param contents: what is in the zip; None if that is not known
    :param live_contents: what is in the live model's
    :param instances: those of production now; None if they are not known
    :param strategy: how the update moves the requests, in words
    :param ends_at: until when the question waits
    :param artefact: the model artifact, by the model package's record
    :param image: the container image, by the same
    :param run_url: the release's page in Airflow
    :param stress: the stress test's result; None where there is none
    :param stress_wanted: whether the model file asks for a stress test
    :param uploader: who uploaded the zip, by S3's record
    :param approvals: those given so far
    :param wanted: who must approve, as a clause
    """

    plan: ReleasePlan
    evaluation: Mapping[str, Any]
    registration: Mapping[str, Any]
    test: Mapping[str, Any]
    run_url: str
    contents: Contents | None = None
    live_contents: Contents | None = None
    instances: Sequence[VariantInstances] | None = None
    strategy: str = ""
    ends_at: str = ""
    artefact: Artefact | None = None
    image: str | None = None
    stress: Mapping[str, Any] | None = None
    stress_wanted: bool = False
    uploader: str | None = None
    approvals: Sequence[Approval] = ()
    wanted: str = ""


def markdown(facts: Facts) -> str:
    """Write the text of the approval screen."""
    sections = [
        _answers(facts),
        _changes(facts),
        _identity(facts),
        _metrics(facts.evaluation),
        _development(facts.test),
    ]
    if compared := facts.test.get("champion"):
        sections.append(_champion(compared))
    if differences := facts.test.get("production_drift"):
        sections.append(f"### Production\n\n{_drift(differences)}")
    if facts.stress or facts.stress_wanted:
        sections.append(f"### Stress test of the development endpoint\n\n{_stress(facts)}")
    return "\n\n".join([*sections, _approvals(facts), _links(facts)])


def code(text: object) -> str:
    """Write a text from outside as a code span, so that nothing in it counts as Markdown."""
    return "`" + " ".join(str(text).replace("`", "'").replace("|", "/").split()) + "`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: object) -> str:
    """Write a number from an XCom, where NaN and the infinities are texts."""
    return number_text(number_of(value)) if isinstance(value, int | float | str) else "-"


def _answers(facts: Facts) -> str:
    """Say first what each answer does, and until when it may be given."""
    live, share, arn = _live_version(facts), facts.plan.trial_share, facts.registration.get("model_package_arn")
    settings = facts.contents.settings if facts.contents else None
    costs = costs_say(settings, facts.instances, region_of(arn), on_trial=live is not None and share is not None)
    effect = approve_does(_version(arn), live, share=share, strategy=facts.strategy, costs=costs)
    until = f" The question waits until {facts.ends_at}." if facts.ends_at else ""
    wanted = f"{facts.wanted[:1].upper()}{facts.wanted[1:]}."
    return f"**Approve:** {effect}\n\n**Reject:** {reject_does(live)}\n\n{wanted}{until}"


def _changes(facts: Facts) -> str:
    """Say how the zip differs from that of the live model."""
    live = _live_version(facts)
    if live is None:
        return "### Changes\n\nNothing to compare with: production has no model."
    head = f"### Changes against version {live}\n\n"
    if facts.contents is None or facts.live_contents is None:
        return f"{head}Not known: the zip of one of the two cannot be read."
    found = [one for one in compare(facts.contents, facts.live_contents) if one.differs]
    if facts.contents.digest == facts.live_contents.digest and not found:
        return f"{head}None: this is the same zip as what is live, with the same image."
    rows = [
        (one.part, code(one.name), *("-" if text is None else code(text) for text in (one.new, one.live)))
        for one in found[:_MAX_CHANGES]
    ]
    more = f"\n\nThere are {len(found) - _MAX_CHANGES} more." if len(found) > _MAX_CHANGES else ""
    return head + _table(("", "", "This release", "Live"), rows) + more


def _live_version(facts: Facts) -> str | None:
    return _version((facts.evaluation.get("live") or {}).get("model_package_arn"))


def _version(arn: str | None) -> str | None:
    return package_version(arn) if arn else None


def _identity(facts: Facts) -> str:
    plan, revision = facts.plan, facts.plan.revision
    rows = [
        ("Model", code(plan.prefix)),
        ("Uploaded by", code(facts.uploader or "unknown")),
        ("Uploaded at", revision.last_modified),
        ("Object", code(f"s3://{revision.bucket}/{revision.key}")),
        ("Version id", code(revision.version_id)),
        ("SHA-256 of the zip", code(plan.digest)),
        ("Training job", code(plan.training_job_name)),
        ("Model package", code(facts.registration.get("model_package_arn", "unknown"))),
        *_artefact(facts.artefact),
        *_image(facts),
    ]
    return "### The release\n\n" + _table(("", ""), rows)


def _artefact(artefact: Artefact | None) -> list[tuple[str, str]]:
    if artefact is None:
        return [("Model artifact", "✗ not on record, so it cannot be deployed")]
    return [
        ("Model artifact", code(artefact.uri)),
        ("Size", f"{artefact.size_bytes} bytes"),
        ("Version id and ETag", f"{code(artefact.version_id)}, {code(artefact.etag)}"),
        ("SHA-256", code(artefact.sha256)),
    ]


def _image(facts: Facts) -> list[tuple[str, str]]:
    """Name the image that will serve, and what it was built from where Slipway built it."""
    pinned = facts.plan.image
    rows = [("Image", code(facts.image or (pinned.uri if pinned else "unknown")))]
    if pinned and pinned.uri == facts.image:
        rows += [("Image's tag", code(pinned.tag))] if pinned.tag else []
        rows += [("Image built from", code(pinned.source))] if pinned.source else []
    return rows


def _metrics(evaluation: Mapping[str, Any]) -> str:
    metrics = evaluation.get("metrics") or {}
    live = evaluation.get("live") or {}
    live_metrics = live.get("metrics") or {}
    gates = {gate["metric"]: gate for gate in evaluation.get("gates") or ()}
    rows = [
        (
            code(name),
            _number(metrics.get(name)),
            _bounds(gates.get(name)),
            _number(live_metrics.get(name)),
        )
        for name in sorted({*metrics, *gates})
    ]
    compared = code(live["model_package_arn"]) if live.get("model_package_arn") else "nothing: production has no model"
    table = _table(("Metric", "This model", "Gate", "Live in production"), rows)
    return f"### Metrics\n\n{table}\n\nCompared with {compared}."


def _bounds(gate: Mapping[str, Any] | None) -> str:
    if gate is None:
        return "-"
    bounds = [
        f"{sign} {_number(gate[bound])}"
        for bound, sign in (("minimum", "≥"), ("maximum", "≤"))
        if gate.get(bound) is not None
    ]
    return " and ".join(bounds) + (" ✓" if gate.get("passed") else " ✗")


def _development(test: Mapping[str, Any]) -> str:
    latency = test.get("latency_ms") or {}
    variants = ", ".join(f"{code(name)} {count}" for name, count in sorted((test.get("variants") or {}).items()))
    rows = [
        ("Endpoint", code(test.get("endpoint_name", "unknown"))),
        *_quality(test),
        ("Latency", f"p50 {_number(latency.get('p50'))} ms, p99 {_number(latency.get('p99'))} ms"),
        ("Requests by variant", variants or "-"),
    ]
    if "golden_rows" in test:
        rows.append(("Golden set", f"all {test['golden_rows']} predictions correct"))
    return "### Test of the development endpoint\n\n" + _table(("", ""), rows)


def _champion(compared: Mapping[str, Any]) -> str:
    table = _table(
        ("", "This model", "Live in production"),
        [
            (str(compared["metric"]), _number(compared["candidate"]), _number(compared["live"])),
            ("p99 latency, ms", _number(compared["candidate_p99_ms"]), _number(compared["live_p99_ms"])),
        ],
    )
    rule = f"On the same {compared['rows']} rows. Rule: {compared['rule']} ✓"
    failed = "" if compared["live"] is not None else " The live model failed on these rows."
    return f"### Compared with the live model\n\n{table}\n\n{rule}{failed}"


def _drift(differences: Sequence[Mapping[str, str]]) -> str:
    said = "; ".join(code(one["what"]) for one in differences)
    fixes = [code(one["fix"]) for one in differences if one["fix"]]
    after = f"`deploy_prd` stops until somebody has run {' and '.join(fixes)}" if fixes else "approving puts it right"
    return f"Production differs from its stack: {said}; {after}."


def _stress(facts: Facts) -> str:
    stress = facts.stress
    if not stress:
        return "✗ No result: somebody may have marked the task."
    result = "✓ Kept its limits" if stress["passed"] else "✗ Broke its limits"
    rows = [
        (
            limit["name"],
            _number(limit["allowed"]),
            _number(limit["measured"]) + (" ✓" if limit["passed"] else " ✗"),
            str(limit["phase"]),
        )
        for limit in stress["limits"]
    ]
    line = f"{result}: {stress['answered']} of {stress['sent']} requests answered, p99 {_number(stress['p99_ms'])} ms."
    report = f"[Stress report]({facts.run_url}/tasks/{STRESS_DEV}), {code(stress['report'])}"
    table = _table(("Limit", "Allowed", "Measured", "Phase"), rows)
    return f"{line}\n\n{table}\n\n{report}"


def _quality(test: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "rmse" in test:
        return [
            ("Rows", str(test.get("rows", "-"))),
            ("RMSE", f"{_number(test['rmse'])} (gate ≤ {_number(test.get('rmse_maximum'))})"),
        ]
    return [
        ("Correct predictions", f"{test.get('correct', '-')} of {test.get('rows', '-')}"),
        ("Accuracy", f"{_number(test.get('accuracy'))} (gate ≥ {_number(test.get('accuracy_minimum'))})"),
    ]


def approval_line(approval: Approval) -> str:
    """Write an approval as a line of the list."""
    return f"- {code(approval.by)} approved at {approval.at} (stage {approval.stage}, {approval.how})"


def _approvals(facts: Facts) -> str:
    given = "".join(approval_line(approval) + "\n" for approval in facts.approvals)
    return f"### Approvals\n\nAsked: {facts.wanted}.\n\n{given}"


def _links(facts: Facts) -> str:
    pages = (("The release", ""), ("Training log", "/tasks/train"), ("Test log", "/tasks/test_dev"))
    return " · ".join(f"[{title}]({facts.run_url}{path})" for title, path in pages)
