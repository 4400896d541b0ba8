"""Who is who: one person's name as model files, Airflow, AWS and people themselves may spell it.

A right is given by the name alone, letter by letter: see ``Stage.approvers``. Where somebody must not count twice, or
not at all, whoever could be meant is taken to be meant.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import combinations

from slipway.validation import shown_name

# Characters that look alike in most fonts, as far as names are made of them.
# https://www.unicode.org/reports/tr39/#Confusable_Detection
_LOOK_ALIKES = str.maketrans(
    "1|I0" "аеорсухѕіјԁԛԝһӏкАВЕКМНОРСТХЅІЈҮӀ" "αονρικυχγΑΒΕΖΗΙΚΜΝΟΡΤΥΧ" "ɑıɡոօսʟ",
    "lllo" "aeopcyxsijdqwhlkABEKMHOPCTXSlJYl" "aovpikuxyABEZHlKMNOPTYX" "aignoul",
)  # fmt: skip
# A display name and an address, https://www.rfc-editor.org/rfc/rfc5322#section-3.4
_MAILBOX = re.compile(r"(?P<name>.*)<(?P<address>[^<>]*)>\s*")
# What parts a name from the domain, path, provider or role before it: CORP\alice, user/alice, AROAEXAMPLEID:alice.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
_SEPARATORS = re.compile(r"[/\\:|]")


def same_person(one: str, other: str | None) -> bool:
    """Tell whether two names may be one person's.

    Neither case counts nor how a character is encoded, nor do letters that look alike. Of an ARN, a domain's or a role
    session's name the last part counts, of an e-mail address also what stands before the @, of ``Name <address>`` both.

    :param one: a name, such as an Airflow user's
    :param other: another, such as ``uploaded-by`` of an upload's metadata, or the owner that S3 names
    """
    return bool(other) and not _spellings(one).isdisjoint(_spellings(str(other)))


def under_two_names(names: Iterable[str]) -> tuple[str, str] | None:
    """:returns: the first two different names that may be one person's"""
    return next((pair for pair in combinations(dict.fromkeys(names), 2) if same_person(*pair)), None)


def each_once(names: Iterable[str]) -> list[str]:
    """:returns: the names without those of a person who is there already"""
    found: list[str] = []
    for name in names:
        if not any(same_person(name, one) for one in found):
            found.append(name)
    return found


def likeness(name: str | None, names: Iterable[str]) -> str:
    """Say that a name is only like one of others; to follow a sentence about whose name it is not.

    :param name: the name that is not among them
    :param names: for example a model's approvers
    :returns: a sentence after a space; nothing when it is like none
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
            # In capitals other letters look alike than in small ones.
            found |= {folded, _skeleton(folded), _skeleton(spelling.strip())}
    return found - {""}


def _mailbox(text: str) -> tuple[str, ...]:
    found = _MAILBOX.fullmatch(text)
    return (found["name"].strip(' "'), found["address"]) if found else ()


def _skeleton(text: str) -> str:
    """What a name looks like: without accents and invisible characters, look-alike letters replaced by Latin ones."""
    plain = (one for one in unicodedata.normalize("NFKD", text) if unicodedata.category(one) not in ("Mn", "Cf"))
    return "".join(plain).translate(_LOOK_ALIKES).casefold()
