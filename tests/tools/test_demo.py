"""What the demo prints for a person."""

import io

from rich.console import Console

from demo.follow import Release, ask_person


class Api:
    def run_url(self, dag_id, run_id):
        return f"http://127.0.0.1:8080/dags/{dag_id}/runs/{run_id}"


def test_the_address_of_the_question_is_whole_in_a_narrow_terminal():
    console = Console(file=io.StringIO(), width=40)
    release = Release(Api(), "iris-model", "s3__2026-11-29T12-58-38Z_d49f0ee4abccd719")
    ask_person(console, release, "alice", "secret")
    assert release.approval_url in console.file.getvalue().splitlines()[1]
