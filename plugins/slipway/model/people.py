"""Whether two names may mean one person, as model files, Airflow, AWS and people spell them.

A right needs the exact name: see ``ApprovalStage.approvers``. Where somebody must not count twice, or must not count,
names that may be one person's are treated as one person's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import combinations

from slipway.validation import shown_name

# Characters of names that look alike in most fonts.
# https://www.unicode.org/reports/tr39/#Confusable_Detection
_LOOK_ALIKES = str.maketrans(
    "1|I0" "аеорсухѕіјԁԛԝһӏкАВЕКМНОРСТХЅІЈҮӀ" "αονρικυχγΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" "ɑıɡոօսʟ",
    "lllo" "aeopcyxsijdqwhlkABEKMHOPCTXSlJYl" "aovpikuxyABEZHlKMNOPTYX" "aignoul",
)  # fmt: skip
# A display name and an address, https://www.rfc-editor.org/rfc/rfc5322#section-3.4
_MAILBOX = re.compile(r"(?P<name>.*)<(?P<address>[^<>]*)>\s*")
# What separates a name from the domain, path, provider or role before it: CORP\alice, user/alice, AROAEXAMPLEID:alice.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
_SEPARATORS = re.compile(r"[/\\:|]")


def same_person(one: str, other: str | None) -> bool:
    """Tell whether two names may be one person's.

    Case, encoding and letters that look alike do not count. The last part of an ARN, of a name with a domain and of a
    role session's name is compared, the part of an e-mail address before the @, and both parts of ``Name <address>``.

    :param one: a name, such as an Airflow user's
    :param other: another, such as ``uploaded-by`` of an upload's metadata, or the owner that S3 names
    """
    return bool(other) and not _spellings(one).isdisjoint(_spellings(str(other)))


def under_two_names(names: Iterable[str]) -> tuple[str, str] | None:
    """Return the first two different names that may be one person's."""
    return next((pair for pair in combinations(dict.fromkeys(names), 2) if same_person(*pair)), None)


def each_once(names: Iterable[str]) -> list[str]:
    """Return the names without further names of the same person."""
    found: list[str] = []
    for name in names:
        if not any(same_person(name, one) for one in found):
            found.append(name)
    return found


def likeness(name: str | None, names: Iterable[str]) -> str:
    """Say that a name only resembles another one, as an addition to a refusal.

    :param name: the name that is not among them
    :param names: for example a model's approvers
    :returns: a space and a sentence; nothing if it resembles none
    """
    twin = next((one for one in names if name and name != one and same_person(name, one)), None)
    return f" {shown_name(str(name))} is not {twin}: names must agree letter by letter." if twin else ""


def _spellings(identity: str) -> set[str]:
    found: set[str] = set()
    whole = unicodedata.normalize("NFKC", identity)
    for part in (whole, *_mailbox(whole)):
        last = _SEPARATORS.split(part)[-1]
        local = last.partition("@")[0]
        for spelling in (part, last, local, local.partition("+")[0]):
            folded = spelling.strip().casefold()
            # Capital letters have other look-alikes than small ones.
            found |= {folded, _skeleton(folded), _skeleton(spelling.strip())}
    return found - {""}


def _mailbox(text: str) -> tuple[str, ...]:
    found = _MAILBOX.fullmatch(text)
    return (found["name"].strip(' "'), found["address"]) if found else ()


def _skeleton(text: str) -> str:
    """Remove accents and invisible characters from a name, and replace look-alike letters by Latin ones."""
    plain = (one for one in unicodedata.normalize("NFKD", text) if unicodedata.category(one) not in ("Mn", "Cf"))
    return "".join(plain).translate(_LOOK_ALIKES).casefold()
