"""Reads a Dockerfile: its instructions with their lines, flags and values.

https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

_MAX_BYTES = 256 * 1024
_DIRECTIVE = re.compile(r"#\s*(?P<name>[a-z]+)\s*=\s*(?P<value>\S+)\s*$")
_FLAG = re.compile(r"--(?P<name>[a-z-]+)(?:=(?P<value>\S*))?(?:\s+|$)")
_VARIABLE = re.compile(
    r"\\(?P<escaped>.)|\$(?P<plain>\w+)|\$\{(?P<name>\w+)(?:(?P<operator>:[-+])(?P<word>[^}]*))?\}|(?P<bad>\$\{)"
)


class DockerfileError(Exception):
    """A Dockerfile cannot be built; its text names the line."""


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    :param line: of the file, from 1
    :param name: in capitals
    :param value: all behind the name and the flags
    :param flags: by name, such as `chown`
    """

    line: int
    name: str
    value: str
    flags: Mapping[str, str] = field(default_factory=dict)

    def refuse(self, why: str) -> DockerfileError:
        """Return the error for this instruction."""
        return DockerfileError(f"Dockerfile:{self.line}: {self.name}: {why}")

    def exec_form(self) -> tuple[str, ...] | None:
        """Return the words of the JSON form; None for the shell form.

        https://docs.docker.com/reference/dockerfile/#shell-and-exec-form
        """
        if not self.value.startswith("["):
            return None
        try:
            found = json.loads(self.value)
        except ValueError:
            # As docker does, which takes it for a command then.
            return None
        words = tuple(word for word in found if isinstance(word, str))
        return words if len(words) == len(found) else None

    def words(self) -> list[str]:
        """Split the value as a shell does.

        :raises DockerfileError: a quotation mark is missing
        """
        try:
            return shlex.split(self.value)
        except ValueError as error:
            raise self.refuse(str(error)) from error

    def expand(self, text: str, values: Mapping[str, str]) -> str:
        """Replace `$NAME`, `${NAME}`, `${NAME:-word}` and `${NAME:+word}`.

        https://docs.docker.com/reference/dockerfile/#environment-replacement

        :raises DockerfileError: it is none of these
        """

        def value(match: re.Match[str]) -> str:
            if match["escaped"] is not None:
                return match["escaped"] if match["escaped"] in "$\\" else match[0]
            if match["bad"]:
                raise self.refuse(f"{text} has a substitution that is not supported")
            found = values.get(match["plain"] or match["name"], "")
            if match["operator"] == ":-":
                return found or match["word"]
            if match["operator"] == ":+":
                return match["word"] if found else ""
            return found

        return _VARIABLE.sub(value, text)


def parse(content: bytes) -> list[Instruction]:
    """Read a Dockerfile.

    :param content: the file
    :returns: its instructions in their order
    :raises DockerfileError: it is too large, not in UTF-8, or not a Dockerfile
    """
    if len(content) > _MAX_BYTES:
        raise DockerfileError(f"Dockerfile: it has more than {_MAX_BYTES} bytes")
    try:
        lines = [line.rstrip("\r") for line in content.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise DockerfileError(f"Dockerfile: it is not in UTF-8: {error}") from error
    sign = re.escape(_escape(lines))
    # As docker has it, two signs at the end are one of the text.
    continued = re.compile(rf"(?<!{sign}){sign}\Z")
    found = []
    pieces: list[str] = []
    start = 0
    for number, line in enumerate(lines, start=1):
        text = line.strip(" \t")
        # Comments and empty lines may stand within an instruction, too.
        if not text or text.startswith("#"):
            continue
        if not pieces:
            start = number
        pieces.append(continued.sub("", text))
        if pieces[-1] == text:
            found.append(_instruction(start, "".join(pieces)))
            pieces = []
    if pieces:
        found.append(_instruction(start, "".join(pieces)))
    return found


def _escape(lines: list[str]) -> str:
    """Return the sign that continues lines. https://docs.docker.com/reference/dockerfile/#parser-directives"""
    for line in lines:
        match = _DIRECTIVE.match(line.strip())
        if match is None:
            break
        if match["name"] == "escape":
            if match["value"] not in ("\\", "`"):
                raise DockerfileError(f"Dockerfile: escape={match['value']} is neither \\ nor `")
            return match["value"]
    return "\\"


def _instruction(line: int, text: str) -> Instruction:
    name, *behind = text.split(maxsplit=1)
    value = "".join(behind).strip()
    flags = {}
    while match := _FLAG.match(value):
        flags[match["name"]] = match["value"] or ""
        value = value[match.end() :]
    found = Instruction(line, name.upper(), value.strip(), flags)
    if not found.value:
        raise found.refuse("it has no argument")
    if found.name in ("RUN", "COPY", "ADD") and re.match(r".*<<-?[\"']?\w+", found.value):
        raise found.refuse("here-documents are not supported")
    return found
