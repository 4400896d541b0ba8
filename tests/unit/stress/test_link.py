"""The link to a stress test's report."""

from urllib.parse import parse_qs, urlsplit

from slipway.host import xcoms
from slipway.stress.link import StressReportLink
from tests.unit.host.test_links import TaskInstance


def test_the_link_is_an_address_that_s3_lets_in(monkeypatch):
    ti = TaskInstance()
    monkeypatch.setattr(xcoms.XCom, "get_value", lambda *, key, ti_key: ti_key.xcoms.get(key))
    assert StressReportLink().get_link(None, ti_key=ti) == ""
    StressReportLink.persist({"ti": ti}, None, "bucket", "stress/iris-model/r/report.html")
    address = urlsplit(StressReportLink().get_link(None, ti_key=ti))
    assert address.path.endswith("/stress/iris-model/r/report.html")
    assert parse_qs(address.query)["X-Amz-Expires"] == ["604800"]
    # The XCom that the task pushes holds no signature.
    assert "X-Amz" not in str(ti.xcoms)
