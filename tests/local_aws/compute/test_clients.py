"""The clients with which the compute acts as the roles of jobs and endpoints."""

from pathlib import Path

from botocore.loaders import JSONFileLoader

from local_aws.compute.base import ComputeSettings


def test_what_describes_a_service_is_read_once_for_all_roles(tmp_path: Path, monkeypatch):
    settings = ComputeSettings("http://127.0.0.1:1", tmp_path, "secret", "key")
    read, load = [], JSONFileLoader.load_file

    def counting(loader: JSONFileLoader, path: str) -> object:
        read.append(path)
        return load(loader, path)

    def client(role: str) -> object:
        return settings.client("logs", "123456789012", "us-west-2", role)

    first = client("first")
    monkeypatch.setattr(JSONFileLoader, "load_file", counting)
    assert client("second") is not first
    assert [path for path in read if "logs" in path] == []
