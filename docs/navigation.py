"""The navigation of the site: the chapters in their order, and the pages of each."""

from pathlib import Path

_LABS = sorted((Path(__file__).parent / "labs").glob("*.md"), key=lambda page: (page.name != "README.md", page.name))

NAVIGATION = {
    "About": ["README.md"],
    "Tutorial": [
        "docs/tutorial/1-install.md",
        "docs/tutorial/2-first-release.md",
        "docs/tutorial/3-first-change.md",
        "docs/tutorial/4-first-roll-back.md",
        "docs/tutorial/5-own-model.md",
        "docs/tutorial/6-own-account.md",
    ],
    "Labs": [f"docs/labs/{page.name}" for page in _LABS],
    "How to": [
        "docs/zip.md",
        "docs/how-to/write-a-model-file.md",
        "docs/approval.md",
        "docs/board.md",
        "docs/observability.md",
        "docs/how-to/roll-back.md",
        "docs/how-to/guardrails.md",
        "docs/trials.md",
        "docs/how-to/scale.md",
        "docs/how-to/messages.md",
        "docs/how-to/assets.md",
        "docs/how-to/stress-test.md",
        "docs/how-to/drift.md",
        "docs/how-to/clean-up.md",
        "docs/how-to/run-locally.md",
        "docs/docker.md",
        "docs/aws-account.md",
        "docs/how-to/airflow-settings.md",
        "docs/troubleshooting.md",
        "docs/failures.md",
    ],
    "Recipes": [
        "docs/recipes/github-actions.md",
        "docs/recipes/etl-job.md",
        "docs/recipes/several-accounts.md",
        "docs/recipes/slack.md",
    ],
    "Concepts": [
        "docs/coming-from-codepipeline.md",
        "docs/architecture.md",
        "docs/production.md",
        "docs/reliability.md",
        "SECURITY.md",
        "docs/glossary.md",
    ],
    "Reference": [
        "docs/cli.md",
        "docs/model-file.md",
        "docs/rows.md",
        "docs/local-aws.md",
        "docs/roles.md",
        "docs/iam.md",
        "docs/costs.md",
        "docs/guarantees.md",
        "docs/benchmarks.md",
        "docs/what-aws-alone-knows.md",
    ],
    "Working on Slipway": [
        "CONTRIBUTING.md",
        "docs/development.md",
        "docs/make-targets.md",
        "docs/fault-tests.md",
        "docs/decisions.md",
        "CHANGELOG.md",
    ],
}
