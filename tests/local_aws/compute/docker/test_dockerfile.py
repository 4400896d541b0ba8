"""Dockerfiles, read."""

import pytest

from local_aws.compute.docker.dockerfile import DockerfileError, parse


def test_lines_flags_and_comments():
    text = b"""# syntax=docker/dockerfile:1
FROM python:3.11-slim

RUN pip install a \\
    # a comment within

    b
copy --chown=1000:1000 train serve /usr/local/bin/
ENTRYPOINT ["python", "-m", "it"]
"""
    found = parse(text)
    assert [(one.line, one.name, one.value, dict(one.flags)) for one in found] == [
        (2, "FROM", "python:3.11-slim", {}),
        (4, "RUN", "pip install a     b".replace("     ", " "), {}),
        (8, "COPY", "train serve /usr/local/bin/", {"chown": "1000:1000"}),
        (9, "ENTRYPOINT", '["python", "-m", "it"]', {}),
    ]
    assert found[1].exec_form() is None
    assert found[3].exec_form() == ("python", "-m", "it")


def test_another_escape():
    found = parse(b"# escape=`\nFROM a\nRUN b `\n  c\\\n")
    assert [one.value for one in found] == ["a", "b c\\"]


def test_lines_end_where_docker_ends_them():
    found = parse("FROM a\nRUN b \\\\\nUSER c\u2028d\rRUN e\r\nRUN f \\\u00a0\nRUN g".encode())
    assert [one.value for one in found] == ["a", "b \\\\", "c\u2028d\rRUN e", "f \\", "g"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A/${A}", "x/x"),
        ("${B:-other} ${A:-other}", "other x"),
        ("${A:+set}|${B:+set}", "set|"),
        ("\\$A", "$A"),
        ("$MISSING.", "."),
    ],
)
def test_variables(text, expected):
    (instruction,) = parse(b"ENV C=1")
    assert instruction.expand(text, {"A": "x"}) == expected


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"FROM", "Dockerfile:1: FROM: it has no argument"),
        (b"FROM a\nRUN <<EOF\necho\nEOF", "Dockerfile:2: RUN: here-documents are not supported"),
        (b"\xff\xfe", "Dockerfile: it is not in UTF-8"),
        (b"# escape=x\nFROM a", "Dockerfile: escape=x is neither"),
        (b"#" * 300_000, "Dockerfile: it has more than 262144 bytes"),
    ],
)
def test_what_is_no_dockerfile(content, why):
    with pytest.raises(DockerfileError) as raised:
        parse(content)
    assert str(raised.value).startswith(why)
