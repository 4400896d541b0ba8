"""Rows from files."""

import botocore.session
import pytest

from slipway.load.dataset import read_rows
from slipway.load.errors import LoadError
from slipway.load.rows import Row

SESSION = botocore.session.get_session()


def test_a_file_has_a_row_on_each_line(tmp_path):
    (tmp_path / "rows.csv").write_text("1,2,3\n\n0,4,5\n")
    assert read_rows(str(tmp_path / "rows.csv"), SESSION) == [Row("1", "2,3"), Row("0", "4,5")]


def test_what_is_no_row_is_named(tmp_path):
    (tmp_path / "rows.csv").write_text("1,2,3\nlabel\n")
    with pytest.raises(LoadError, match=r"rows\.csv: a line is not .* 'label'"):
        read_rows(str(tmp_path / "rows.csv"), SESSION)


def test_of_wide_rows_so_many_are_read_as_a_load_may_have(tmp_path):
    (tmp_path / "rows.csv").write_text(f"1,{'x' * 2**20}\n" * 20 + "label\n")
    assert len(read_rows(str(tmp_path / "rows.csv"), SESSION)) == 15


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(LoadError, match="Cannot read the rows"):
        read_rows(str(tmp_path / "none.csv"), SESSION)
