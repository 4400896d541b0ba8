"""The algorithm's `serve`: /ping, /execution-parameters and /invocations on SAGEMAKER_BIND_TO_PORT.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html

The requests of one turn of the event loop are predicted as one batch, because 32 rows take hardly longer than one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

import numpy as np
import xgboost
from aiohttp import web

from local_aws.compute.algorithms.xgboost.answers import write
from local_aws.compute.algorithms.xgboost.data import (
    CSV_TYPES,
    LIBSVM_TYPES,
    media_type,
    not_read_here,
    parse_csv,
    parse_libsvm,
)
from local_aws.compute.algorithms.xgboost.errors import Refused
from local_aws.compute.algorithms.xgboost.models import Model, load

_MAX_BODY_BYTES = 100 * 1024 * 1024


class Predictor:
    """Predicts rows, those of concurrent requests together; use it on the event loop's thread only."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._waiting: list[tuple[np.ndarray, asyncio.Future[np.ndarray]]] = []

    async def predict(self, rows: np.ndarray) -> np.ndarray:
        """Return the predictions of some rows."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._flush)
        future: asyncio.Future[np.ndarray] = loop.create_future()
        self._waiting.append((rows, future))
        return await future

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            predictions = self.model.predict(np.concatenate([rows for rows, _ in waiting]))
        except Exception as error:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        start = 0
        for rows, future in waiting:
            if not future.done():
                future.set_result(predictions[start : start + len(rows)])
            start += len(rows)


def read_rows(body: bytes, content_type: str, width: int) -> np.ndarray:
    """Return the rows of a request.

    :param width: number of features of the model
    :raises Refused: the body is not of its content type (415), or its rows are not the model's (400)
    """
    kind = media_type(content_type or "text/csv")
    if reason := not_read_here(kind):
        raise Refused(415, reason)
    if kind not in CSV_TYPES + LIBSVM_TYPES:
        raise Refused(415, f"Content-type {kind} not supported. Supported content-type is text/csv, text/libsvm")
    name = "csv" if kind in CSV_TYPES else "libsvm"
    try:
        text = body.decode("utf-8")
        rows = parse_csv(text) if name == "csv" else _dense(text, width)
    except ValueError as error:
        raise Refused(
            415, f"Loading {name} data failed with Exception, please ensure data is in {name} format:\n{error}"
        ) from error
    if not len(rows) or rows.shape[1] != width:
        raise Refused(
            400,
            f"Unable to evaluate payload provided: Feature size of {name} inference data "
            f"{rows.shape[1] if rows.ndim > 1 else 0} is not consistent with feature size of trained model {width}.",
        )
    return rows


def _dense(text: str, width: int) -> np.ndarray:
    sparse = parse_libsvm(text, labelled=False).features
    # A feature that a sparse row lacks is missing, not zero.
    rows = np.full((sparse.shape[0], max(width, sparse.shape[1])), np.nan, np.float32)
    entries = sparse.tocoo()
    rows[entries.row, entries.col] = entries.data
    return rows


def application(predictor: Predictor, tag: str) -> web.Application:
    """Return the model server for an image's tag."""

    async def ping(_: web.Request) -> web.Response:
        return web.Response()

    async def execution_parameters(_: web.Request) -> web.Response:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
        return web.json_response({"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6})

    async def invocations(request: web.Request) -> web.Response:
        body = await request.read()
        if not body:
            return web.Response(status=204)
        try:
            rows = read_rows(body, request.headers.get("Content-Type", ""), predictor.model.width)
            predictions = await predictor.predict(rows)
            answer, content_type = write(predictions, request.headers.get("Accept", ""), tag, predictor.model)
        except Refused as refusal:
            return web.Response(status=refusal.status, text=str(refusal))
        except xgboost.core.XGBoostError as error:
            return web.Response(status=400, text=f"Unable to evaluate payload provided: {error}")
        return web.Response(body=answer, headers={"Content-Type": content_type})

    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app.router.add_get("/ping", ping)
    app.router.add_get("/execution-parameters", execution_parameters)
    app.router.add_post("/invocations", invocations)
    return app


async def _serve(app: web.Application, port: int) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    # Requests in flight are answered before the end. Connections stay open longer than any client keeps them idle.
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=75, shutdown_timeout=25)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"Serving on port {port}", flush=True)  # noqa: T201 - stdout is the endpoint's log
    await ended.wait()
    await runner.cleanup()


def main(arguments: list[str]) -> int:
    """Load the model and serve it until SIGTERM.

    :returns: the exit status
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--version", required=True)
    tag = parser.parse_args(arguments).version
    try:
        predictor = Predictor(load(Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))))
    except (OSError, ValueError, xgboost.core.XGBoostError) as error:
        print(f"Unable to load model: {error}", flush=True)  # noqa: T201
        return 1
    asyncio.run(_serve(application(predictor, tag), int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
