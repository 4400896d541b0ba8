"""Programs of Debian's packages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools import debian


def test_the_first_name_that_is_found_counts():
    assert Path(debian.ensure("no-such-program", "sh", package="dash", needed_by="a test")).name == "sh"


def test_without_apt_the_error_names_the_package_and_who_needs_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(debian.PackageError, match=r"for make it.*apt-get install some-package, or leave it out"):
        debian.ensure("program", package="some-package", needed_by="make it", otherwise=", or leave it out")


def test_what_apt_says_is_shown(monkeypatch, tmp_path):
    apt = tmp_path / "apt-get"
    apt.write_text("#!/bin/sh\necho no space left >&2\nexit 100\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    with pytest.raises(debian.PackageError, match=r"(?s)apt-get update failed, so there is no some-package.*no space"):
        debian.ensure("program", package="some-package", needed_by="make it")
