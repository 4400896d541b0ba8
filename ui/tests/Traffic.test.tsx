import axe from "axe-core";
import { cleanup, screen, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, test } from "vitest";

import { linesOf, timesOf, TrafficPlots } from "../src/Traffic";
import { pieces } from "../src/TimePlot";
import type { Traffic, TrafficOfEndpoint } from "../src/client";
import { serve, show } from "./support";

afterEach(cleanup);

const point = (at: string, requests: number, latency: number | null = 10, errors = 0) => ({
  at: `2026-11-29T${at}:00Z`,
  errors,
  latency_p99_ms: latency,
  requests,
});

const production = (changed: Partial<TrafficOfEndpoint> = {}): TrafficOfEndpoint => ({
  endpoint: "iris-model-production",
  environment: "production",
  gaps: [],
  say: null,
  variants: [{ name: "model-a", points: [point("11:40", 100, 12.5, 3), point("11:50", 50)] }],
  ...changed,
});

const traffic = (changed: Partial<Traffic> = {}): Traffic => ({
  at: "2026-11-29T12:00:30Z",
  endpoints: [production()],
  marks: [
    {
      at: "2026-11-29T11:45:10Z",
      environment: "production",
      kind: "deployed",
      run_id: "s3__14",
      say: "v14 deployed",
    },
  ],
  say: null,
  seconds: 300,
  since: "2026-11-29T11:30:00Z",
  until: "2026-11-29T12:00:00Z",
  ...changed,
});

test("no requests are zero, and a time in which nobody looked has no line", () => {
  const found = traffic();
  const gaps = [{ begin: "2026-11-29T11:30:00Z", end: "2026-11-29T11:40:00Z" }];
  const times = timesOf(found);
  const { latency, requests } = linesOf(production({ gaps }), times, 300_000);
  expect(times.map((at) => new Date(at).toISOString().slice(11, 16))).toEqual(["11:30", "11:35", "11:40", "11:45", "11:50", "11:55"]);
  expect(requests.map((line) => [line.name, line.values])).toEqual([
    ["requests", [undefined, undefined, 100, 0, 50, 0]],
    ["errors", [undefined, undefined, 3, 0, 0, 0]],
  ]);
  // Without requests there is no latency.
  expect(latency[0]?.values).toEqual([undefined, undefined, 12.5, undefined, 10, undefined]);
  expect(pieces([undefined, 1, 2, undefined, 3])).toEqual([
    [
      [1, 1],
      [2, 2],
    ],
    [[4, 3]],
  ]);
});

test("two variants have a line each, and the errors of both one", () => {
  const trial = production({
    variants: [
      { name: "model-a", points: [point("11:40", 90, 12, 1)] },
      { name: "model-b", points: [point("11:40", 10, 20, 2)] },
    ],
  });
  const { latency, requests } = linesOf(trial, timesOf(traffic()), 300_000);
  expect(requests.map((line) => [line.name, line.values[2]])).toEqual([
    ["requests, model-a", 90],
    ["requests, model-b", 10],
    ["errors", 3],
  ]);
  expect(latency.map((line) => [line.name, line.values[2]])).toEqual([
    ["p99, model-a", 12],
    ["p99, model-b", 20],
  ]);
});

test("the plots have marks, a table of the values, and no fault that axe finds", async () => {
  const requests = serve(200, traffic());
  const { container } = show(<TrafficPlots model="iris-model" />);
  expect(await screen.findByRole("img", { name: /Requests in 5 minutes from 2026-11-29 11:30 .* with 1 marks/u })).toBeDefined();
  expect(screen.getByRole("list", { name: "Marks" }).textContent).toBe("2026-11-29 11:45 UTC: v14 deployed, the release");
  await userEvent.click(screen.getByText("Requests and latency of iris-model-production as a table"));
  const table = within(await screen.findByRole("region", { name: "Values of iris-model-production" }));
  expect(table.getAllByRole("row").map((row) => row.textContent)).toEqual([
    "time (UTC)variantrequestserrorsp99",
    "2026-11-29 11:50model-a50010 ms",
    "2026-11-29 11:40model-a100312.5 ms",
  ]);
  const { violations } = await axe.run(container, { rules: { "color-contrast": { enabled: false } } });
  expect(violations).toEqual([]);
  await userEvent.click(screen.getByRole("button", { name: "7 days" }));
  await screen.findByRole("button", { name: "7 days", pressed: true });
  expect(requests.map((one) => one.url.split("?")[1])).toEqual(["span=day", "span=week"]);
});

test("an endpoint without requests says so, and a gap is named", async () => {
  const gaps = [{ begin: "2026-11-29T11:30:00Z", end: "2026-11-29T11:40:00Z" }];
  serve(200, traffic({ endpoints: [production({ gaps, say: "Nobody has sent requests to it in this time.", variants: [] })] }));
  show(<TrafficPlots model="iris-model" />);
  expect(await screen.findByText("Nobody has sent requests to it in this time.")).toBeDefined();
  expect(screen.getByText("Not recorded: 2026-11-29 11:30 to 2026-11-29 11:40 UTC, because nobody looked.")).toBeDefined();
  expect(screen.queryByRole("img")).toBeNull();
});

test("on a release's page its own marks are bold and link nowhere", async () => {
  serve(200, traffic());
  show(<TrafficPlots model="iris-model" runId="s3__14" />);
  expect((await screen.findByRole("list", { name: "Marks" })).textContent).toBe("2026-11-29 11:45 UTC: v14 deployed");
  expect(screen.queryByRole("link", { name: "the release" })).toBeNull();
});
