"""The forms of training data: those that SageMaker's XGBoost documents, read or refused in words of our own.

https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost.html#InputOutput-XGBoost
https://github.com/aws/sagemaker-xgboost-container: data_utils.py
"""

import gzip

import pytest

from local_aws.compute.algorithms.xgboost import data
from local_aws.compute.algorithms.xgboost.errors import UserError


def channel(folder, content, content_type="text/csv", name="data"):
    content = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(content)
    return data.read_channel(folder, content_type, csv_weights=False)


@pytest.mark.parametrize("mark", [",", "\t", ";", "|", " ", "  "])
def test_csv_of_any_delimiter(tmp_path, mark):
    read = channel(tmp_path, f"1{mark}2{mark}3\n0{mark}4{mark}5\n")
    assert (read.labels.tolist(), read.features.tolist()) == ([1, 0], [[2, 3], [4, 5]])


def test_a_space_beside_a_delimiter_belongs_to_nothing(tmp_path):
    assert channel(tmp_path, "1, 2, 3\n0, , 5\n").features.tolist()[0] == [2, 3]


@pytest.mark.parametrize("content_type", ["csv", "text/csv; label_size=1", 'text/csv;label_size="1"', "Text/CSV"])
def test_one_label_may_be_said(tmp_path, content_type):
    assert channel(tmp_path, "1,2\n", content_type).labels.tolist() == [1]


@pytest.mark.parametrize("size", ["0", "2", ""])
def test_another_number_of_labels_is_refused(tmp_path, size):
    kind = f"text/csv;label_size={size}"
    with pytest.raises(UserError, match=f"{kind} is not an accepted csv ContentType. Optional parameter label_size"):
        channel(tmp_path, "1,2\n", kind)


@pytest.mark.parametrize("kind", ["parquet", "application/x-parquet", "application/x-recordio-protobuf"])
def test_what_sagemaker_reads_and_the_local_aws_does_not_is_said(tmp_path, kind):
    with pytest.raises(UserError, match=f"The local AWS reads CSV and libsvm only. SageMaker's XGBoost takes {kind}"):
        channel(tmp_path, "1,2\n", kind)


@pytest.mark.parametrize("content_type", ["text/csv", "text/libsvm"])
def test_a_compressed_file_is_refused_by_its_name(tmp_path, content_type):
    with pytest.raises(UserError, match=r"'a\.csv\.gz' is compressed with gzip"):
        channel(tmp_path, gzip.compress(b"1,2\n"), content_type, "a.csv.gz")


def test_a_row_of_libsvm_may_name_its_query(tmp_path):
    """https://xgboost.readthedocs.io/en/stable/tutorials/input_format.html"""
    read = channel(tmp_path, "1 qid:7 0:2 1:3\n0 qid:7 0:4\n2 qid:9 1:5\n", "text/libsvm")
    assert (read.labels.tolist(), read.queries.tolist()) == ([1, 0, 2], [7, 7, 9])
    assert read.features.toarray().tolist() == [[2, 3], [4, 0], [0, 5]]


@pytest.mark.parametrize("rows", ["1 qid:7 0:2\n0 0:4\n", "1 qid:x 0:2\n"])
def test_a_query_in_some_rows_is_none(tmp_path, rows):
    with pytest.raises(UserError, match="'data' cannot be read"):
        channel(tmp_path, rows, "text/libsvm")


def test_requests_have_no_query():
    with pytest.raises(ValueError, match="invalid literal"):
        data.parse_libsvm("qid:7 0:2", labelled=False)
