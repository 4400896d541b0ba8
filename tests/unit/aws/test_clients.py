"""client: one hook an operator, made when it is first used."""

from types import SimpleNamespace

from slipway.aws.clients import client


class Operator:
    s3 = client(SimpleNamespace)

    def __init__(self, aws_conn_id: str) -> None:
        self.aws_conn_id = aws_conn_id


def test_a_client_has_the_operators_connection_and_is_kept():
    one, other = Operator("one"), Operator("other")
    assert (one.s3.aws_conn_id, other.s3.aws_conn_id) == ("one", "other")
    assert one.s3 is one.s3


def test_a_client_that_is_not_used_is_not_made():
    assert "s3" not in vars(Operator("one"))
