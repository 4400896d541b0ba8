"""What the process of a DAG file imports: nothing, because each file is parsed again and again, each time in a fork."""

from tests.unit.programs import printed_by


def test_a_dag_file_imports_nothing_after_its_process_was_forked():
    parsed = printed_by("tests.unit.parse_imports")
    assert [name for name, file in parsed.items() if file["errors"]] == []
    assert sum(file["dags"] for file in parsed.values()) >= 7
    assert {name: file["late"] for name, file in parsed.items() if file["late"]} == {}
