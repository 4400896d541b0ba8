"""Drives local_aws.compute in its own process: one JSON command a line on stdin, one JSON answer a line on stdout.

Run by the local AWS's interpreter, which has the xgboost package that the tests' own lacks.
"""

import asyncio
import json
import os
import sys
import threading
from collections import Counter
from pathlib import Path

from local_aws.compute.base import Channel, ComputeSettings, ContainerFailed, EndpointKey, TrainingSpec, VariantSpec
from local_aws.compute.hosting import Hosting
from local_aws.compute.kinds import create_compute
from local_aws.compute.training import TrainingRun

ACCOUNT, REGION = "123456789012", "us-west-2"


class Driver:
    """The commands; the method of the same name answers each."""

    def __init__(self, endpoint_url, state_dir):
        key, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        self.settings = ComputeSettings(endpoint_url, Path(state_dir), secret, key)
        self.compute = create_compute(self.settings)
        self.reaped = self.compute.reap_orphans()
        self.hosting = Hosting(self.settings, self.compute)
        self.hosting.start()
        self.hosting.recovered()
        self.runs = {}
        self.load = None

    async def orphans(self):
        return self.reaped

    async def train(self, spec):
        transitions, done = [], {}
        spec["channels"] = tuple(Channel(**channel) for channel in spec["channels"])
        spec["metric_definitions"] = tuple(map(tuple, spec.get("metric_definitions", [])))
        spec = TrainingSpec(account_id=ACCOUNT, region=REGION, **spec)
        run = TrainingRun(spec, self.settings, self.compute, lambda step: transitions.append(step))
        thread = threading.Thread(target=lambda: done.update(result=run.run()), daemon=True)
        thread.start()
        self.runs[spec.job_name] = run, thread, transitions, done

    async def statuses(self, job_name):
        return [step.status for step in self.runs[job_name][2]]

    async def stop_job(self, job_name):
        self.runs[job_name][0].stop()

    async def result(self, job_name):
        _, thread, transitions, done = self.runs[job_name]
        await asyncio.to_thread(thread.join)
        result = done["result"]
        return {
            "status": result.status,
            "failure_reason": result.failure_reason,
            "artifacts": result.model_artifacts_s3_uri,
            "metrics": {metric.name: metric.value for metric in result.final_metrics},
            "statuses": [step.status for step in transitions],
            "messages": [step.message for step in transitions],
        }

    def key(self, name):
        return EndpointKey(ACCOUNT, REGION, name)

    async def deploy(self, name, variants):
        try:
            await asyncio.to_thread(self.hosting.deploy, self.key(name), [VariantSpec(**spec) for spec in variants])
        except ContainerFailed as error:
            return str(error)
        return None

    async def set_capacities(self, name, weights, counts):
        await asyncio.to_thread(self.hosting.set_capacities, self.key(name), weights, counts)

    async def remove(self, name):
        await asyncio.to_thread(self.hosting.remove, self.key(name))

    async def instances(self, name):
        return self.hosting.running_instances(self.key(name))

    async def invoke(self, name, body, target_variant=None, **headers):
        headers = {"Content-Type": "text/csv"} | {key.replace("_", "-"): value for key, value in headers.items()}
        answer = await self.hosting.invoke(self.key(name), body.encode(), headers, target_variant)
        return {"status": answer.status, "headers": dict(answer.headers), "body": answer.body.decode()}

    async def spread(self, name, body, requests):
        """Count the variants that answer."""
        counts = Counter()
        for _ in range(requests // 20):
            answers = await asyncio.gather(*(self.invoke(name, body) for _ in range(20)))
            counts.update(answer["headers"]["x-Amzn-Invoked-Production-Variant"] for answer in answers)
        return counts

    async def start_load(self, name, body):
        self.load = Counter(), asyncio.Event()

        async def client():
            while not self.load[1].is_set():
                answer = await self.invoke(name, body)
                self.load[0][f"{answer['status']} {answer['body'].strip()}"] += 1
                await asyncio.sleep(0.005)

        self.clients = [asyncio.create_task(client()) for _ in range(8)]

    async def end_load(self):
        self.load[1].set()
        await asyncio.gather(*self.clients)
        return self.load[0]

    async def put_metrics(self):
        await asyncio.to_thread(self.hosting._metrics.put)

    async def measure(self):
        await asyncio.to_thread(self.hosting._utilization.measure)

    async def quit(self):
        await asyncio.to_thread(self.hosting.stop)


async def main(endpoint_url, state_dir):
    driver = Driver(endpoint_url, state_dir)
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, arguments = json.loads(line)
        try:
            answer = {"answer": await getattr(driver, command)(**arguments)}
        except Exception as error:
            answer = {"error": repr(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        if command == "quit":
            return


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
