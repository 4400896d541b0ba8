"""Check a Dockerfile by the model file: what it may start from, and what its build may not ask for.

https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

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
_FLAG = re.compile(r"--([a-z-]+)(?:=(\S+))?\s*")
# As BuildKit finds a here-document among the words of an instruction; <<< is the shell's own.
_HERE_DOCUMENT = re.compile(r"(?<!<)<<-?[\"']?[A-Za-z_]")
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
    _check_directives(text, refusals)
    bases: list[str] = []
    stages: list[str] = []
    for step in _steps(text):
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


def _check_directives(text: str, refusals: Refusals) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        match = _DIRECTIVE.fullmatch(line.strip())
        if not match:
            return
        name, value = match[1].lower(), match[2].strip()
        if (name, value) not in _ALLOWED_DIRECTIVES and (name, None) not in _ALLOWED_DIRECTIVES:
            why = f"expected no directive but check, found {shown_name(name)}"
            refusals.add(f"{DOCKERFILE} line {number}", why, "remove the line")


def _steps(text: str) -> Iterator[_Step]:
    """Join what a backslash continues; inside of it, comments and empty lines count for nothing."""
    pending: list[str] = []
    start = 0
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        start = start if pending else number
        continued = stripped.endswith("\\")
        pending.append(stripped.removesuffix("\\").strip())
        if not continued:
            yield _step(pending, start)
            pending = []
    if pending:
        yield _step(pending, start)


def _step(lines: list[str], number: int) -> _Step:
    whole = " ".join(filter(None, lines))
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
    if step.name == "ADD" and ("://" in rest or "git@" in rest or "$" in rest):
        why = "expected ADD of files in the zip, found a URL or a variable"
        refusals.add(step.where, why, "download it beforehand, zip it, and COPY it")
