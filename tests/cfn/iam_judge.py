"""Judges calls by policies, with the evaluator of the local AWS's host; reads and writes JSON.

Runs in the local AWS's own environment: `.venv-aws/bin/python tests/cfn/iam_judge.py <questions.json`.
"""

import json
import sys

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document


def main() -> None:
    answers = []
    for question in json.load(sys.stdin):
        call = EvalContext(
            principal_arn=question["role"],
            principal_type="AssumedRole",
            principal_account=question["role"].split(":")[4],
            action=question["action"],
            resource_arn=question["resource"],
            region="us-west-2",
            secure_transport=True,
            service_context={key.lower(): value for key, value in question["context"].items()},
        )
        policies = [parse_policy_document(document) for document in question["policies"]]
        answers.append(evaluate(call, policies).decision)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
