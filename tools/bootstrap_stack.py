"""Set up the account of an instance's local AWS as `slipway bootstrap` does, without asking."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slipway.command.aws import Aws
from slipway.command.set_up import set_up
from slipway.command.stacks import LABS_STACK, Stacks
from slipway.paths import set_up_template
from tools import models
from tools.models import ModelFiles

# In another process: reading model files imports Airflow, with the settings of the caller's environment.
read_models = models.read


def deploy(client: Callable[[str], Any], include: Path, airflow_principal: str | None = None) -> list[str]:
    """Deploy the account's stack, upload the template that Airflow may deploy, and deploy each model's stack.

    :param client: makes a client of a service, for the account and region
    :param include: the folder with the model files
    :param airflow_principal: the role or user that Airflow runs as; None leaves it as it is
    :returns: what went wrong with single models' stacks, which keeps only their own releases back
    :raises slipway.command.errors.CommandError: with the reason why the account's stack failed
    """
    return deploy_for(client, read_models(include), airflow_principal)


def deploy_for(client: Callable[[str], Any], found: ModelFiles, airflow_principal: str | None = None) -> list[str]:
    """Do what `deploy` does, with the model files read already."""
    aws = Aws(client)
    problems = set_up(aws, found.prefixes, Stacks(aws).deploy, images=found.images, airflow_principal=airflow_principal)
    return [str(problem) for problem in problems]


def deploy_labs(client: Callable[[str], Any], principal: str) -> None:
    """Deploy the stack of the labs in an account that is set up.

    :param client: makes a client of a service, for the account and region
    :param principal: the role or user of the person who runs the notebooks
    :raises slipway.command.errors.CommandError: with the reason of the first resource that failed
    """
    Stacks(Aws(client)).deploy(LABS_STACK, set_up_template("labs"), {"LabsPrincipalArn": principal})
