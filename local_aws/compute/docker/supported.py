"""What a Dockerfile may hold without a docker engine, and what to do about the rest."""

from __future__ import annotations

from local_aws.compute.docker.dockerfile import DockerfileError, Instruction

# The end of a refusal of what an engine could build.
ENGINE = "need docker or podman, which `--compute container` uses (SLIPWAY_COMPUTE=container for make)"
_KNOWN = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "RUN", "SHELL"),
    *("STOPSIGNAL", "USER", "WORKDIR"),
)
_INSTEAD = {
    "ONBUILD": "nothing is built on this image: write the instruction itself",
    "VOLUME": "leave it out: a job and an endpoint write to /opt/ml and /tmp",
}


def check(instructions: list[Instruction]) -> tuple[list[Instruction], list[Instruction]]:
    """Refuse what is not supported before anything runs.

    :param instructions: of the Dockerfile
    :returns: the instructions up to FROM, and those behind it
    :raises DockerfileError: an instruction is not supported
    """
    position = next((number for number, found in enumerate(instructions) if found.name == "FROM"), None)
    if position is None:
        raise DockerfileError("Dockerfile: it has no FROM")
    for instruction in instructions[:position]:
        if instruction.name != "ARG":
            raise instruction.refuse("only ARG may stand before FROM")
    for instruction in instructions[position + 1 :]:
        _check_one(instruction)
    return instructions[: position + 1], instructions[position + 1 :]


def _check_one(instruction: Instruction) -> None:
    name = instruction.name
    if name == "FROM":
        raise instruction.refuse(f"builds of several stages {ENGINE}")
    if name in _INSTEAD:
        raise instruction.refuse(_INSTEAD[name])
    if name not in _KNOWN:
        raise instruction.refuse(f"there is no such instruction; behind FROM the local AWS has {', '.join(_KNOWN)}")
    if name not in ("RUN", "ADD", "COPY", "HEALTHCHECK") and instruction.flags:
        raise instruction.refuse(f"expected no flag, found --{min(instruction.flags)}: remove it")
