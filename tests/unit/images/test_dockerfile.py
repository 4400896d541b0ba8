"""A Dockerfile: what it may start from, and what its build may not ask for."""

import pytest

from slipway.errors import ImageRefused
from slipway.images.dockerfile import check_dockerfile, is_allowed
from slipway.model.image_build import ImageBuild

BOUNDS = ImageBuild(arguments={"REVISION": "1"})
SLIM = "python:3.11-slim"
DIGEST = "sha256:" + "a" * 64

BAD = {
    "FROM ubuntu:22.04": r"line 1: expected one of the images python:3.11\*, .*, found ubuntu:22.04",
    "FROM python": r"found python",
    "FROM scratch": r"found scratch",
    "FROM $BASE": r"an image's name without variables",
    "ARG BASE=evil\nFROM ${BASE}": r"line 2: expected an image's name without variables",
    "FROM --platform=linux/arm64 python:3.11": r"expected FROM IMAGE or FROM IMAGE AS NAME",
    "FROM evil.example/python:3.11-slim": r"found evil.example/python:3.11-slim",
    "FROM python:3.11/evil": r"found python:3.11/evil",
    "RUN true\nFROM python:3.11": r"line 1: expected FROM before RUN",
    "# nothing": r"expected an instruction FROM, found none",
    "FROM python:3.11\nADD https://example.com/x /x": r"line 2: expected ADD of files in the zip",
    "FROM python:3.11\nADD git@example.com:a/b.git /x": r"expected ADD of files in the zip",
    "FROM python:3.11\nENV U=https://e\nADD $U /x": r"line 3: expected ADD of files in the zip",
    'FROM python:3.11\nADD --chmod=755 ["https://example.com/x", "/x"]': r"expected ADD of files in the zip",
    "FROM python:3.11\nADD --checksum=sha256:a x /x": r"expected no flag --checksum",
    "FROM python:3.11\nCOPY --from=evil/tools:1 /a /b": r"line 2: expected one of the images",
    "FROM python:3.11\nCOPY --from=python:3.11 --parents a b": r"expected no flag --parents",
    "FROM python:3.11\nRUN --network=host curl x": r"expected RUN without flags, found --network=host",
    "FROM python:3.11\nRUN \\\n  # why\n  --security=insecure true": r"line 2: expected RUN without flags",
    "FROM python:3.11\nRUN --mount=type=secret,id=x cat /run/secrets/x": r"expected RUN without flags",
    "FROM python:3.11\nRUN <<EOF\ntrue\nEOF": r"line 2: expected no here-document",
    "FROM python:3.11\nONBUILD RUN true": r"line 2: expected an instruction, found ONBUILD",
    "FROM python:3.11\nEXEC true": r"expected an instruction, found EXEC",
    "FROM python:3.11\nARG TOKEN": r"expected a default or one of the arguments .* \(REVISION\), found TOKEN",
    "# syntax=evil/dockerfile\nFROM python:3.11": r"line 1: expected no directive but check, found syntax",
    "# check=skip=all\n#Syntax = evil/dockerfile\nFROM python:3.11": r"line 2: expected no directive",
    "# escape=`\nFROM python:3.11": r"found escape",
    # What docker reads in another way than one would: each of these hid an image or a reader from the check.
    "#!/usr/bin/docker\n# syntax=evil/dockerfile\nFROM python:3.11": r"line 1: .* found #!",
    "\ufeff# syntax=evil/dockerfile\nFROM python:3.11": r"line 1: expected no directive but check, found syntax",
    "FROM python:3.11\nRUN echo \\\\\nFROM evil/x:1": r"line 3: expected one of the images",
    "FROM python:3.11\nRUN echo \\\u00a0\nFROM evil/x:1": r"line 2: .* U\+00A0\n.*line 3: expected one of the images",
    "FROM python:3.11\nRUN echo \\\u2028\nFROM evil/x:1": r"line 2: .* U\+2028\n.*line 3: expected one of the images",
    "FROM python:3.11\nRUN echo \\\r#\nFROM evil/x:1": r"line 2: .* U\+000D\n.*line 3: expected one of the images",
    "FROM python:3.11\nRUN cat <<''RUN'\\'\nRUN\\\nFROM evil/x:1": r"line 2: expected no here-document",
    "FROM python:3.11\nRUN cat <\\\n<E\nE": r"line 2: expected no here-document",
    "FROM python:3.11\nCOPY --\\from=evil/x:1 /a /b": r"line 2: expected plain flags, found --\\from=evil/x:1",
    'FROM python:3.11\nCOPY --"from"=evil/x:1 /a /b': r"line 2: expected plain flags",
    "FROM python:3.11\nCOPY --chown=\u00e0--from=evil/x:1 /a /b": r"line 2: expected plain flags",
    "FROM python:3.11\nCOPY -- --from=evil/x:1 /a /b": r"line 2: expected plain flags",
    "FROM python:3.11\nADD https:\\//example.com/x /x": r"line 2: expected ADD of files in the zip",
    'FROM python:3.11\nADD "https:"//example.com/x /x': r"line 2: expected ADD of files in the zip",
    "FROM python:3.11\nADD https:\\\n//example.com/x /x": r"line 2: expected ADD of files in the zip",
    'FROM python:3.11\nADD ["https:\\u002f\\u002fexample.com/x", "/x"]': r"line 2: expected ADD of files in the zip",
    "FROM python:3.11\nADD me@example.com:a/b.git /x": r"line 2: expected ADD of files in the zip",
}


@pytest.mark.parametrize("text", BAD)
def test_is_refused_by_line(text):
    with pytest.raises(ImageRefused, match=BAD[text]):
        check_dockerfile(text, BOUNDS)


GOOD = {
    "a usual one": f"# why\nFROM {SLIM}\nARG REVISION\nARG MODE=fast\nRUN pip install \\\n  # why\n  x\nCOPY . /p\n",
    "stages": f"FROM {SLIM} AS one\nRUN true\nFROM one\nCOPY --from=one --chown=1:1 /a /b\nCOPY --from=0 /a /c\n",
    "ADD": f'FROM {SLIM}\nADD --chown=$U:$G a.tar.gz src/*.py /opt/\nADD ["b.tar", "/opt/"]\n',
    "lines of Windows, and other letters": f"FROM {SLIM}\r\n# caf\u00e9\u00a0\r\nRUN echo \u00e0 \\\r\n  x\r\n",
    "in small letters": f"from {SLIM}\nrun true\n",
    "a here-string": f'FROM {SLIM}\nSHELL ["/bin/bash", "-c"]\nRUN cat <<<hello\n',
    "directives": f"# escape=\\\n# check=skip=all\nFROM {SLIM}\n",
    "no directive": f"# a comment\n# syntax=is a comment here\nFROM {SLIM}\n",
}


@pytest.mark.parametrize("name", GOOD)
def test_is_allowed_and_names_its_bases(name):
    assert check_dockerfile(GOOD[name], BOUNDS) == [SLIM]


def test_every_image_that_it_starts_from_is_named():
    text = f"FROM {SLIM}\nFROM public.ecr.aws/docker/library/python:3.11\nCOPY --from={SLIM} /a /b\n"
    assert check_dockerfile(text, BOUNDS) == [SLIM, "public.ecr.aws/docker/library/python:3.11"]


@pytest.mark.parametrize(
    ("image", "allowed", "expected"),
    [
        ("python:3.11-slim", ["python:3.11*"], True),
        ("docker.io/library/python:3.11", ["python:3.11*"], True),
        ("python:3.11", ["docker.io/library/python:3.11"], True),
        (f"python:3.11@{DIGEST}", ["python:3.11*"], True),
        ("python:3.1", ["python:3.11*"], False),
        ("python:3.12", ["python:3.11*"], False),
        ("python:3.11x/y", ["python:3.11*"], False),
        ("other/python:3.11", ["python:3.11*"], False),
        (f"python@{DIGEST}", [f"python@{DIGEST}"], True),
        (f"python@{DIGEST}", ["python:3.11*"], False),
        ("python", ["python:latest"], True),
        ("registry.example/base:1", ["registry.example/base:1"], True),
        ("registry.example:5000/base", ["registry.example:5000/base:latest"], True),
    ],
)
def test_a_base_is_known_by_its_whole_name(image, allowed, expected):
    assert is_allowed(image, allowed) is expected
