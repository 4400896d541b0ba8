"""What a buildspec says, and what is refused of it."""

import json

import pytest

from local_aws.codebuild.buildspec import parse
from local_aws.codebuild.errors import BuildProblem

SPEC = """\
version: 0.2
env:
  shell: bash
  variables:
    LEVEL: 1.10
  exported-variables:
    - URI
phases:
  install:
    commands: echo one
  build:
    on-failure: CONTINUE
    commands:
      - echo two
      - |
        echo three
        echo four
    finally:
      - echo five
artifacts:
  files: ["**/*"]
  base-directory: out
  discard-paths: yes
"""


def test_a_buildspec_is_read():
    found = parse(SPEC)
    assert found.phases["install"].commands == ("echo one",)
    assert found.phases["build"].commands == ("echo two", "echo three\necho four\n")
    assert (found.phases["build"].last, found.phases["build"].on_failure) == (("echo five",), "CONTINUE")
    assert (found.variables, found.exported, found.shell) == ({"LEVEL": "1.10"}, ("URI",), "/bin/bash")
    assert (found.artifacts.files, found.artifacts.base_directory) == (("**/*",), "out")
    assert found.artifacts.discard_paths


def of(**members):
    return json.dumps({"version": "0.2", "phases": {"build": {"commands": ["a"]}}, **members})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- a", "no mapping"),
        ("a: [", "not YAML"),
        ("version: 0.3", "wrong version: 0.3"),
        (of(phases={}), "at least one build command"),
        (of(phases={"deploy": {"commands": ["a"]}}), "unknown phase deploy"),
        (of(phases={"build": {"commands": [{"a": "b"}]}}), "to be of string type: found subkeys instead"),
        (of(phases={"build": {"commands": ["a"], "on-failure": "RETRY-2"}}), "no on-failure RETRY-2"),
        (of(phases={"build": {"commands": ["a"], "run-as": "root"}}), "no phases/build/run-as"),
        (of(env={"parameter-store": {"A": "b"}}), "no env/parameter-store"),
        (of(env={"shell": "powershell.exe"}), "no shell"),
        (of(batch={}), "no batch"),
        ("version: 0.2\nphases: {build: {commands: [&a x, *a]}}", "aliases"),
    ],
)
def test_a_buildspec_that_cannot_be_run_is_refused(text, why):
    with pytest.raises(BuildProblem, match=why) as error:
        parse(text)
    assert error.value.code == "YAML_FILE_ERROR"
