"""Buildspecs: read and checked.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from local_aws.codebuild.errors import BuildProblem

PHASES = ("install", "pre_build", "build", "post_build")
_VERSIONS = ("0.1", "0.2")
_SHELLS = {"sh": "/bin/sh", "/bin/sh": "/bin/sh", "bash": "/bin/bash", "/bin/bash": "/bin/bash"}
_OF_ENV = frozenset({"shell", "variables", "exported-variables"})
_OF_PHASE = frozenset({"commands", "finally", "on-failure", "runtime-versions"})
_MAX_BYTES = 1024 * 1024
ABORT, CONTINUE = "ABORT", "CONTINUE"


@dataclass(frozen=True)
class Phase:
    """The commands of one phase.

    :param commands: run until one fails
    :param last: run after them, even if one has failed
    :param on_failure: ABORT or CONTINUE; empty where the buildspec does not say
    """

    commands: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    on_failure: str = ""


@dataclass(frozen=True)
class Artifacts:
    """What is uploaded at a build's end.

    :param files: patterns of paths below the base directory
    :param base_directory: where they are
    :param discard_paths: whether files lose their folders
    :param name: of the artifact; empty where the project's counts
    """

    files: tuple[str, ...] = ()
    base_directory: str = ""
    discard_paths: bool = False
    name: str = ""


@dataclass(frozen=True)
class Buildspec:
    """A buildspec.

    :param one_shell: whether what a command changes of the environment stays for the next ones, as since version 0.2
    """

    phases: Mapping[str, Phase]
    variables: Mapping[str, str] = field(default_factory=dict)
    exported: tuple[str, ...] = ()
    shell: str = "/bin/sh"
    artifacts: Artifacts = field(default_factory=Artifacts)
    one_shell: bool = True


def parse(text: str) -> Buildspec:
    """Read a buildspec.

    :param text: YAML
    :raises BuildProblem: it is none, or asks for what is not here
    """
    if len(text) > _MAX_BYTES:
        raise _wrong(f"the buildspec is longer than {_MAX_BYTES} bytes")
    try:
        document = yaml.load(text, Loader=_TextLoader)  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _wrong(f"the buildspec is not YAML: {error}") from error
    found = _mapping(document, "the buildspec")
    version = str(found.get("version", ""))
    if version not in _VERSIONS:
        raise _wrong(f"wrong version: {version or 'none'}; {' and '.join(_VERSIONS)} are known")
    if "batch" in found:
        raise _wrong("the local AWS has no batch builds")
    phases = _mapping(found.get("phases", {}), "phases")
    if unknown := sorted(map(str, phases.keys() - set(PHASES))):
        raise _wrong(f"unknown phase {', '.join(unknown)}")
    read = {name: _phase(name, _mapping(one, f"phases/{name}")) for name, one in phases.items()}
    if not any(phase.commands for phase in read.values()):
        raise _wrong("at least one build command or artifact must be specified")
    variables, exported, shell = _environment(_mapping(found.get("env", {}), "env"))
    return Buildspec(read, variables, exported, shell, _artifacts(found.get("artifacts")), version != "0.1")


def _environment(found: dict[Any, Any]) -> tuple[dict[str, str], tuple[str, ...], str]:
    """Read variables, the names of exported ones, and the shell."""
    if unknown := sorted(map(str, found.keys() - _OF_ENV)):
        raise _wrong(f"the local AWS has no env/{', '.join(unknown)}")
    shell = str(found.get("shell", "sh"))
    if shell not in _SHELLS:
        raise _wrong(f"the local AWS has no shell {shell}")
    given = _mapping(found.get("variables", {}), "env/variables")
    variables = {str(name): _text(value, f"env/variables/{name}") for name, value in given.items()}
    return variables, _texts(found.get("exported-variables", []), "env/exported-variables"), _SHELLS[shell]


class _TextLoader(yaml.SafeLoader):
    """Reads every scalar as its text, so that 1.10 stays 1.10, and refuses aliases, which could grow without end."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


_TextLoader.yaml_implicit_resolvers = {}


def _phase(name: str, found: dict[str, Any]) -> Phase:
    if unknown := sorted(map(str, found.keys() - _OF_PHASE)):
        raise _wrong(f"the local AWS has no phases/{name}/{', '.join(unknown)}")
    on_failure = str(found.get("on-failure", ""))
    if on_failure not in ("", ABORT, CONTINUE):
        raise _wrong(f"the local AWS has no on-failure {on_failure}")
    commands = _texts(found.get("commands", []), f"phases/{name}/commands")
    return Phase(commands, _texts(found.get("finally", []), f"phases/{name}/finally"), on_failure)


def _artifacts(document: Any) -> Artifacts:
    if document is None:
        return Artifacts()
    found = _mapping(document, "artifacts")
    return Artifacts(
        _texts(found.get("files", []), "artifacts/files"),
        _text(found.get("base-directory", ""), "artifacts/base-directory"),
        str(found.get("discard-paths", "no")) in ("yes", "true"),
        _text(found.get("name", ""), "artifacts/name"),
    )


def _mapping(value: Any, where: str) -> dict[Any, Any]:
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise _wrong(f"{where} is no mapping")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if value in (None, ""):
        return ()
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise _wrong(f"{where} is no list")
    return tuple(_text(one, where) for one in listed)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(f"Expected {where} to be of string type: found subkeys instead")
    return value


def _wrong(why: str) -> BuildProblem:
    return BuildProblem("YAML_FILE_ERROR", why)
