"""One invocation by HTTP."""

import asyncio

from botocore.credentials import ReadOnlyCredentials

from slipway.load.sender import HttpSender, NoReply, Reply
from slipway.load.signing import RequestSigner, Target
from tests.unit.load.endpoints import HttpEndpoint, serving

CREDENTIALS = ReadOnlyCredentials("AKIA", "secret", None)


def send(target, body, timeout_seconds=30.0):
    async def run():
        async with HttpSender(target, RequestSigner(target, CREDENTIALS), timeout_seconds) as sender:
            answered = asyncio.get_running_loop().create_future()
            sender.send(body, answered.set_result)
            return await answered

    return asyncio.run(run())


def test_an_answer_names_the_variant_that_gave_it():
    with serving(HttpEndpoint()) as endpoint:
        assert send(endpoint.target(), b"1,2") == Reply("blue", b"1\n")
        [(path, headers, body)] = endpoint.invocations
    assert (path, body, headers["Content-Type"]) == ("/endpoints/e/invocations", "1,2", "text/csv")


def test_an_error_is_counted_under_its_status_and_code():
    with serving(HttpEndpoint()) as endpoint:
        assert send(endpoint.target(), b"throttle") == NoReply("400 ThrottlingException")


def test_an_answer_that_does_not_come_in_time_is_a_timeout():
    with serving(HttpEndpoint(held_from=1)) as endpoint:
        assert send(endpoint.target(), b"1,2", timeout_seconds=2) == NoReply("timeout")
    assert len(endpoint.invocations) == 1


def test_nobody_listens(free_port):
    target = Target(f"http://127.0.0.1:{free_port}", "us-west-2", "sagemaker", "e")
    assert send(target, b"1,2") == NoReply("connection: ConnectionRefusedError")


def test_requests_are_kept_as_long_as_their_signatures_are_good(free_port):
    now = [100.0]
    target = Target(f"http://127.0.0.1:{free_port}", "us-west-2", "sagemaker", "e")
    signer = RequestSigner(target, CREDENTIALS, lambda: now[0])

    async def run():
        sender = HttpSender(target, signer, 1)
        first = [sender._request(body) for body in (b"1", b"2", b"1")]
        now[0] = 101.0
        later = sender._request(b"1")
        return first, later, dict(sender._requests)

    first, later, kept = asyncio.run(run())
    assert first[0] is first[2]
    assert later is not first[0]
    # Those of the second before take no room any more.
    assert kept == {b"1": later}
