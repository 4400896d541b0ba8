"""Check a Dockerfile by the model file: what it may start from, and what its build may not ask for.

https://docs.docker.com/reference/dockerfile/; lines, flags and words are told apart as BuildKit does, or refused:
https://github.com/moby/buildkit/blob/master/frontend/dockerfile/parser/parser.go
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from slipway.images.archive import DOCKERFILE
from slipway.images.refusals import Refusals
from slipway.model.image_build import ImageBuild
from slipway.validation import shown_name

_KNOWN = frozenset(
    {
        *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
        *("RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)
# A directive at the top may choose another Dockerfile reader, which docker loads from a registry.
# https://docs.docker.com/build/buildkit/dockerfile-frontend/
_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(.*)")
_ALLOWED_DIRECTIVES = {("escape", "\\"), ("check", None)}
_INSTRUCTION = re.compile(r"([A-Za-z]+)(?:\s+(.*))?", re.DOTALL)
_FROM = re.compile(r"(\S+)(?:\s+[Aa][Ss]\s+(\S+))?")
# Docker takes quotes and backslashes out of flags, and some bytes of other alphabets are spaces to it.
_FLAG = re.compile(r"--([a-z-]+)(?:=([\w.:/@${}+,-]*))?(?:[ \t]+|$)", re.ASCII)
# What ends a here-document may be written in many ways, so any beginning counts; <<< is the shell's own.
_HERE_DOCUMENT = re.compile(r"(?<!<)<<(?!<)")
# Two backslashes at the end of a line are one of the text.
_CONTINUED = re.compile(r"(?<!\\)\\[ \t]*\Z")
# The name of a file or a pattern; nothing that could be a URL or a variable, whatever docker takes out of it.
_PLAIN_NAME = re.compile(r"[\w./*?+~-]+", re.ASCII)
_COPY_FLAGS = frozenset({"chmod", "chown", "from", "link"})
# Names of Docker Hub that mean the same.
_HUB = re.compile(r"^(index\.docker\.io/|registry-1\.docker\.io/|docker\.io/)?(library/(?=[^/]+$))?")
_TAG_END = re.compile(r"[A-Za-z0-9_.:@-]*")


@dataclass(frozen=True)
class _Step:
    """One instruction: its name in capitals, what follows it, and the line it begins on."""

    name: str
    rest: str
    line: int

    @property
    def where(self) -> str:
        return f"{DOCKERFILE} line {self.line}"


def check_dockerfile(text: str, bounds: ImageBuild) -> list[str]:
    """Check every instruction.

    :param text: the Dockerfile
    :param bounds: the model file's
    :returns: the images that it starts from, as it names them
    :raises ImageRefused: with every line that is not allowed
    """
    refusals = Refusals()
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    _check_directives(lines, refusals)
    bases: list[str] = []
    stages: list[str] = []
    for step in _steps(lines, refusals):
        if step.name not in _KNOWN:
            refusals.add(step.where, f"expected an instruction, found {shown_name(step.name)}", "remove the line")
            continue
        if step.name in ("ADD", "COPY", "RUN") and _HERE_DOCUMENT.search(step.rest):
            refusals.add(step.where, "expected no here-document, found one", "zip it as a file, and COPY the file")
        if step.name == "FROM":
            _check_from(step, bounds, stages, bases, refusals)
        elif step.name == "ARG":
            _check_arguments(step, bounds, refusals)
        elif not stages:
            refusals.add(step.where, f"expected FROM before {step.name}", "begin with FROM")
        elif step.name in ("ADD", "COPY"):
            _check_copy(step, bounds, stages, bases, refusals)
        elif step.name == "RUN" and step.rest.startswith("--"):
            flag = shown_name(step.rest.split()[0])
            refusals.add(step.where, f"expected RUN without flags, found {flag}", "remove the flag")
    if not stages:
        refusals.add(DOCKERFILE, "expected an instruction FROM, found none", "begin with FROM")
    refusals.raise_any()
    return list(dict.fromkeys(bases))


def is_allowed(image: str, allowed: Sequence[str]) -> bool:
    """Tell whether a model file allows an image as a base.

    :param image: as FROM names it
    :param allowed: names with a tag or a digest; a * at the end stands for the rest of either
    """
    name = _full(image)
    for one in allowed:
        beginning = _HUB.sub("", one.removesuffix("*"))
        if name == beginning or (
            one.endswith("*") and name.startswith(beginning) and _TAG_END.fullmatch(name[len(beginning) :])
        ):
            return True
    return False


def _full(image: str) -> str:
    """Write an image's name without Docker Hub's own name, and with the tag that docker would add."""
    name = _HUB.sub("", image)
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _check_directives(lines: Sequence[str], refusals: Refusals) -> None:
    if lines[0].startswith("#!"):
        # Docker skips it, and reads directives below it.
        refusals.add(f"{DOCKERFILE} line 1", "expected an instruction, found #!", "remove the line")
    for number, line in enumerate(lines, start=1):
        match = _DIRECTIVE.fullmatch(line.strip())
        if not match:
            return
        name, value = match[1].lower(), match[2].strip()
        if (name, value) not in _ALLOWED_DIRECTIVES and (name, None) not in _ALLOWED_DIRECTIVES:
            why = f"expected no directive but check, found {shown_name(name)}"
            refusals.add(f"{DOCKERFILE} line {number}", why, "remove the line")


def _steps(lines: Sequence[str], refusals: Refusals) -> Iterator[_Step]:
    """Join what a backslash continues; inside of it, comments and empty lines count for nothing."""
    pieces: list[str] = []
    start = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if odd := next((one for one in line if one.isspace() and one not in " \t"), None):
            why = f"expected spaces and tabs only, found the character U+{ord(odd):04X}"
            refusals.add(f"{DOCKERFILE} line {number}", why, "write a space, or begin a new line")
        start = start if pieces else number
        pieces.append(_CONTINUED.sub("", line))
        if pieces[-1] == line:
            yield _step("".join(pieces).strip(), start)
            pieces = []
    if pieces:
        yield _step("".join(pieces).strip(), start)


def _step(whole: str, number: int) -> _Step:
    match = _INSTRUCTION.fullmatch(whole)
    if not match:
        return _Step(whole.split(maxsplit=1)[0] if whole else "nothing", "", number)
    return _Step(match[1].upper(), (match[2] or "").strip(), number)


def _check_from(step: _Step, bounds: ImageBuild, stages: list[str], bases: list[str], refusals: Refusals) -> None:
    match = _FROM.fullmatch(step.rest)
    stages.append((match[2] if match and match[2] else "").lower())
    if match is None or match[1].startswith("--"):
        refusals.add(step.where, "expected FROM IMAGE or FROM IMAGE AS NAME, found more or less", "write only that")
    elif match[1].lower() not in stages[:-1]:
        _check_base(step, match[1], bounds, bases, refusals)


def _check_base(step: _Step, image: str, bounds: ImageBuild, bases: list[str], refusals: Refusals) -> None:
    bases.append(image)
    if "$" in image:
        refusals.add(step.where, "expected an image's name without variables, found one", "write the name out")
    elif not is_allowed(image, bounds.base_images):
        why = f"expected one of the images {', '.join(bounds.base_images)}, found {shown_name(image)}"
        refusals.add(step.where, why, "start from an allowed image, or have it added to image.build.base_images")


def _check_arguments(step: _Step, bounds: ImageBuild, refusals: Refusals) -> None:
    for word in step.rest.split():
        name, given, _ = word.partition("=")
        if given:
            # The rest of a quoted default is not another name.
            break
        if name not in bounds.arguments:
            known = ", ".join(bounds.arguments) or "none"
            why = f"expected a default or one of the arguments of image.build.arguments ({known}), found "
            refusals.add(step.where, why + shown_name(name), "give it a default, or have it added to the model file")


def _check_copy(step: _Step, bounds: ImageBuild, stages: Collection[str], bases: list[str], refusals: Refusals) -> None:
    rest = step.rest
    while match := _FLAG.match(rest):
        rest = rest[match.end() :]
        flag, value = match[1], match[2] or ""
        if flag not in _COPY_FLAGS:
            refusals.add(step.where, f"expected no flag --{flag}", "remove the flag")
        elif flag == "from" and not value.isdigit() and value.lower() not in stages:
            _check_base(step, value, bounds, bases, refusals)
    if rest.startswith("--"):
        refusals.add(
            step.where, f"expected plain flags, found {shown_name(rest.split()[0])}", "write it without quotes"
        )
    if step.name == "ADD" and not all(_PLAIN_NAME.fullmatch(word) for word in _words(rest)):
        why = "expected ADD of files in the zip, found a URL or a variable"
        refusals.add(step.where, why, "download it beforehand, zip it, and COPY it")


def _words(rest: str) -> list[str]:
    """Return the words of the JSON form, or those between spaces."""
    try:
        found = json.loads(rest)
    except (ValueError, RecursionError):
        return rest.split()
    return found if isinstance(found, list) and all(isinstance(word, str) for word in found) else [rest]
