"""The programs of a build's shell."""

import json
import os
import stat
import subprocess

import pytest

from local_aws.compute.docker.tools import images_folder, index_of, install


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Runs a command as a build's shell does."""
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the machine's")
    programs = install(tmp_path)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "AWS_DEFAULT_REGION": "us-west-2"}

    def run(command, stdin=""):
        words = ["/bin/sh", "-c", command]
        return subprocess.run(words, capture_output=True, text=True, check=False, env=environment, input=stdin)

    return run


def test_only_pips_settings_are_kept(shell, tmp_path):
    settings = images_folder(tmp_path) / "pip.json"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert "AWS_SECRET_ACCESS_KEY" not in json.loads(settings.read_text())
    found = index_of(images_folder(tmp_path))
    assert found.hosts == ("index.example:443",)
    assert "index-url = https://index.example/simple" in found.config


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("docker run image", "build, images, inspect, login, logout, push, run, tag and version"),
        ("docker build --squash .", "unrecognized arguments: --squash"),
        ("docker build https://example.com/a.git", "is no directory"),
        ("docker push nobody/has:it", "An image does not exist locally with the tag: nobody/has:it"),
        ("docker inspect nobody/has:it", "No such object: nobody/has:it"),
        ("docker login --username AWS --password-stdin docker.io", "docker.io is no registry of ECR"),
        ("aws s3 ls", "`aws ecr get-login-password` and `aws sts get-caller-identity`"),
        ("aws ecr get-caller-identity", "ecr has no get-caller-identity"),
    ],
)
def test_what_is_refused_by_name(shell, command, why):
    found = shell(command, stdin="a password\n")
    assert found.returncode != 0
    assert why in found.stdout + found.stderr


def test_an_empty_password_is_an_error(shell):
    found = shell("docker login --username AWS --password-stdin 123456789012.dkr.ecr.us-west-2.amazonaws.com")
    assert "did `aws ecr get-login-password` fail?" in found.stderr
    found = shell("docker login --username AWS --password-stdin 123456789012.dkr.ecr.us-west-2.amazonaws.com", "token")
    assert found.stdout == "Login Succeeded\n"
