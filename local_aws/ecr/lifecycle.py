"""Lifecycle policies: read, and which images they let expire. Pure.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html, "How lifecycle policies work"
https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from local_aws.ecr.errors import invalid
from local_aws.framework.store import Document

_COUNT, _AGE = "imageCountMoreThan", "sinceImagePushed"
_TAGGED, _UNTAGGED, _ANY = "tagged", "untagged", "any"
_DAY_SECONDS = 86_400.0
_MAX_WILDCARDS = 4


@dataclass(frozen=True)
class Rule:
    """One rule.

    :param status: tagged, untagged or any
    :param patterns: of tags, with ``*``; an image must have a tag for each
    :param count: images that are kept, or days
    """

    priority: int
    status: str
    patterns: tuple[str, ...]
    by_age: bool
    count: int

    def selects(self, tags: Sequence[str]) -> bool:
        """Tell whether an image with these tags is one that the rule is about."""
        if self.status == _UNTAGGED:
            return not tags
        if self.status == _ANY:
            return True
        return bool(tags) and all(any(fnmatchcase(tag, pattern) for tag in tags) for pattern in self.patterns)


@dataclass(frozen=True)
class Expiring:
    """An image that a rule lets expire."""

    image: Document
    priority: int


def expiring(rules: Sequence[Rule], images: Sequence[Document], now: float, scale: float = 1.0) -> list[Expiring]:
    """Find the images that a policy lets expire, the oldest first.

    All rules look at all images. An image that a rule selects is not touched by one of lower priority.

    :param rules: of the policy
    :param images: all of the repository
    :param now: in epoch seconds
    :param scale: how much faster days pass than real ones
    """
    listed = {digest for image in images for digest in image["images"]}
    decided: set[str] = set()
    found: list[Expiring] = []
    for rule in sorted(rules, key=lambda rule: rule.priority):
        selected = sorted(
            (image for image in images if rule.selects(image["imageTags"])),
            key=lambda image: (image["imagePushedAt"], image["imageDigest"]),
            reverse=True,
        )
        oldest = now - rule.count * _DAY_SECONDS / scale
        over = [one for one in selected if one["imagePushedAt"] < oldest] if rule.by_age else selected[rule.count :]
        # An image of an index cannot expire before the index is deleted.
        free = [image for image in over if image["imageDigest"] not in decided | listed]
        found += [Expiring(image, rule.priority) for image in free]
        decided |= {image["imageDigest"] for image in selected}
    return sorted(found, key=lambda one: (one.image["imagePushedAt"], one.image["imageDigest"]))


def parse(text: str) -> list[Rule]:
    """Read a policy.

    :param text: JSON
    :raises ServiceError: it is none, or has what is not here
    """
    try:
        rules = [_rule(one) for one in json.loads(text)["rules"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _wrong(f"not a lifecycle policy: {error!r}") from error
    priorities = [rule.priority for rule in rules]
    if not rules:
        raise _wrong("a policy needs a rule")
    if len(priorities) != len(set(priorities)):
        raise _wrong("rulePriority must be unique")
    if any(rule.status == _ANY and rule.priority != max(priorities) for rule in rules):
        raise _wrong("a rule with the tagStatus any must have the highest rulePriority")
    return rules


def _rule(found: dict[str, Any]) -> Rule:
    selection, action = found["selection"], found["action"]
    status, kind, number = selection["tagStatus"], selection["countType"], selection["countNumber"]
    prefixes, patterns = selection.get("tagPrefixList", []), selection.get("tagPatternList", [])
    if action.get("type") != "expire":
        raise _wrong(f"the local AWS has no action {action.get('type')}, only expire")
    if status not in (_TAGGED, _UNTAGGED, _ANY):
        raise _wrong(f"unknown tagStatus {status}")
    if kind not in (_COUNT, _AGE):
        raise _wrong(f"the local AWS has no countType {kind}, only {_COUNT} and {_AGE}")
    if (kind == _AGE) != (selection.get("countUnit") == "days"):
        raise _wrong(f"countUnit is days with {_AGE}, and absent with {_COUNT}")
    if not isinstance(number, int) or number < 1 or not isinstance(found["rulePriority"], int):
        raise _wrong("countNumber and rulePriority must be positive integers")
    if (bool(prefixes) != bool(patterns)) != (status == _TAGGED):
        raise _wrong("either tagPrefixList or tagPatternList goes with the tagStatus tagged, and with no other")
    if any(pattern.count("*") > _MAX_WILDCARDS for pattern in patterns):
        raise _wrong(f"a pattern has {_MAX_WILDCARDS} wildcards at most")
    # Of the wildcards of `fnmatch` a tag's name can have none but the star.
    wanted = (*(f"{prefix}*" for prefix in prefixes), *patterns)
    return Rule(found["rulePriority"], status, wanted, kind == _AGE, number)


def _wrong(why: str) -> Exception:
    return invalid(
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure:"
        f" {why}'"
    )
