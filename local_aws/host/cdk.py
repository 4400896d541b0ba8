"""An account counts as bootstrapped for the AWS CDK, so that what it synthesises by default can be deployed.

The default synthesizer adds a parameter that reads the version of the bootstrap stack from SSM, which is not here.
https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html

Assets are not: they would go to the bootstrap stack's bucket and registry.
"""

import re
from collections.abc import Mapping
from typing import Any

PRIVATE_PARTS = {
    "ministack.services.ssm": ("resolve_parameter_value",),
}

# A qualifier is up to ten letters and digits: the page above.
_VERSION = re.compile(r"/cdk-bootstrap/[A-Za-z0-9_-]{1,10}/version", re.ASCII)
# No synthesizer asks for a higher one yet.
_BOOTSTRAPPED = "30"


def count_as_bootstrapped(modules: Mapping[str, Any]) -> None:
    """Resolve the CDK's parameter, and no other of SSM.

    :param modules: ministack's modules by name
    """

    def resolve(name: str) -> str | None:
        return _BOOTSTRAPPED if _VERSION.fullmatch(name) else None

    modules["ministack.services.ssm"].resolve_parameter_value = resolve
