"""What a build gets of pip's settings."""

from local_aws.compute.docker.index import from_settings


def test_pypi_needs_two_hosts():
    found = from_settings({})
    assert found.hosts == ("pypi.org:443", "files.pythonhosted.org:443")
    assert found.config == "[global]\nindex-url = https://pypi.org/simple\n"
    assert (found.paths, found.upstream) == ((), "")


def test_indexes_of_ones_own(tmp_path):
    (tmp_path / "index" / "simple").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    certificates = tmp_path / "ca.crt"
    certificates.touch()
    found = from_settings(
        {
            "index-url": "http://127.0.0.1:3141/root/pypi",
            "extra-index-url": f"https://mirror.example/simple file://{tmp_path}/index/simple",
            "find-links": str(tmp_path / "wheels"),
            "cert": str(certificates),
            "user": "true",
        },
        "http://proxy.example:8080",
    )
    assert found.hosts == ("127.0.0.1:3141", "mirror.example:443")
    assert found.paths == (str(tmp_path / "index"), str(tmp_path / "wheels"), str(certificates))
    assert found.upstream == "proxy.example:8080"
    assert "user" not in found.config
