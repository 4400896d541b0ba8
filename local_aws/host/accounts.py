"""The accounts beside the default one, which are members of its organization.

AWS Organizations makes a role in each account that it creates, which the management account may assume.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access-cross-account-role.html
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from local_aws.host.environment import DEFAULT_ACCOUNT

PRIVATE_PARTS = {
    "ministack.core.responses": ("get_account_id", "set_request_account_id"),
    "ministack.services.iam": ("_gen_id", "_now", "_roles"),
}

ROLE = "OrganizationAccountAccessRole"
_MEMBERS_ROLE = re.compile(rf"arn:aws:iam::(\d{{12}}):role/{ROLE}")


class MemberAccounts:
    """Makes the role of a member account when it is first assumed.

    :param modules: ministack's modules by name
    """

    def __init__(self, modules: Mapping[str, Any]) -> None:
        self._iam = modules["ministack.services.iam"]
        self._responses = modules["ministack.core.responses"]

    def prepare(self, role_arn: str) -> None:
        """Make a role if it is the one of a member account and is not there.

        :param role_arn: what is assumed
        """
        match = _MEMBERS_ROLE.fullmatch(role_arn)
        if match is None or match[1] == DEFAULT_ACCOUNT:
            return
        asking = self._responses.get_account_id()
        self._responses.set_request_account_id(match[1])
        try:
            if ROLE not in self._iam._roles:
                self._iam._roles[ROLE] = self._role(role_arn)
        finally:
            self._responses.set_request_account_id(asking)

    def _role(self, arn: str) -> dict[str, Any]:
        trusted = {"AWS": f"arn:aws:iam::{DEFAULT_ACCOUNT}:root"}
        statement = {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
        return {
            "RoleName": ROLE,
            "Arn": arn,
            "RoleId": self._iam._gen_id("AROA"),
            "CreateDate": self._iam._now(),
            "Path": "/",
            "AssumeRolePolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            "Description": "",
            "MaxSessionDuration": 3600,
            "AttachedPolicies": ["arn:aws:iam::aws:policy/AdministratorAccess"],
            "InlinePolicies": {},
            "Tags": [],
            "PermissionsBoundary": "",
        }
