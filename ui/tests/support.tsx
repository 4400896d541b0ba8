import { ChakraProvider, defaultSystem } from "@chakra-ui/react";
import { render } from "@testing-library/react";
import type { ReactNode } from "react";
import { MemoryRouter } from "react-router-dom";
import { vi } from "vitest";

import type { Costs, Decision, Releases, Row, Survey } from "../src/client";

export const NOW = "2026-11-29T12:00:00Z";

/** Show something as Airflow's UI does: with its theme and its router. */
export const show = (shown: ReactNode, path = "/") =>
  render(
    <ChakraProvider value={defaultSystem}>
      <MemoryRouter initialEntries={[path]}>{shown}</MemoryRouter>
    </ChakraProvider>,
  );

type Request = { body?: unknown; method: string; url: string };

/** The plots of a page whose test is about something else. */
const NO_TRAFFIC = { at: NOW, endpoints: [], marks: [], say: null, seconds: 300, since: NOW, until: NOW };

/** Answer each request by its URL; return the requests. */
export const serveEach = (answer: (url: string) => unknown, status = 200) => {
  const requests: Request[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit = {}) => {
    requests.push({
      body: typeof init.body === "string" ? JSON.parse(init.body) : undefined,
      method: init.method ?? "GET",
      url,
    });
    const found = answer(url);
    const plots = status === 200 && url.includes("/traffic?") && !Object.hasOwn(Object(found), "endpoints");
    return Promise.resolve(new Response(JSON.stringify(plots ? NO_TRAFFIC : found), { status }));
  });
  return requests;
};

/** Answer every request with this; return the requests. */
export const serve = (status: number, body: unknown) => serveEach(() => body, status);

export const decision = (changed: Partial<Decision> = {}): Decision => ({
  approvals: [],
  changes: null,
  asked_at: "2026-11-29T11:00:00Z",
  effect: "Version 13 takes the place of version 12 in production, for all requests.",
  ends_at: "2026-12-01T12:00:00Z",
  figures: [{ gate: "≥ 0.9", live: "0.95", name: "accuracy", new: "0.97", passed: true }],
  live_version: "12",
  map_index: -1,
  options: [
    { effect: "It goes to production.", name: "Approve", refusal: null },
    { effect: "This release ends.", name: "Reject", refusal: null },
  ],
  run_id: "s3__13",
  subject: "Shall this model be put into production?",
  task_id: "approve",
  uploader: "bob",
  version: "13",
  waits_for: "1 of alice, carol must approve",
  ...changed,
});

export const survey = (changed: Partial<Survey> = {}): Survey => ({ at: "2026-11-29T11:59:30Z", say: null, state: "fresh", ...changed });

export const costs = (changed: Partial<Costs> = {}): Costs => ({
  an_hour: 0,
  date: "2026-11-25",
  source: "https://aws.amazon.com/sagemaker/pricing/",
  unknown: [],
  ...changed,
});

export const row = (changed: Partial<Row> = {}): Row => ({
  decisions: [],
  failure: null,
  live: [],
  model: "iris-model",
  need: "done",
  newest_at: NOW,
  newest_run_id: "s3__13",
  paused: false,
  production: null,
  served: [],
  stages: ["source", "train", "development", "approval", "production", "trial"].map((stage) => ({
    failure: null,
    run_id: null,
    since: null,
    stage: stage as Row["stages"][number]["stage"],
    state: "none",
    task_id: null,
    uploaded_at: null,
    version: null,
    waits_for: null,
  })),
  ...changed,
});

export const releases = (models: Row[], changed: Partial<Releases> = {}): Releases => ({
  at: NOW,
  costs: costs(),
  counts: { decision: 0, done: models.length, failed: 0, running: 0 },
  models,
  survey: survey(),
  total: models.length,
  user: "alice",
  ...changed,
});
