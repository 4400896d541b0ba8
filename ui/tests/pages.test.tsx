import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test } from "vitest";

import { ModelPage } from "../src/ModelPage";
import { ReleasePage } from "../src/ReleasePage";
import type { Failure, Model, PastRelease, Release } from "../src/client";
import { costs, decision, NOW, row, serve, serveEach, show, survey } from "./support";

afterEach(cleanup);

const failure: Failure = {
  at: NOW,
  fix: "train a better model",
  kind: "GateFailed",
  run_id: "s3__13",
  skipped: false,
  task_id: "evaluate",
  what: "The model does not pass its gates",
  where: null,
  why: "accuracy is 0.6",
};

const release = (changed: Partial<Release> = {}): Release => ({
  at: NOW,
  comparison: { contents: [], live_version: null, same_zip: false, why_not: "Production has no model to compare with." },
  decided: [],
  decisions: [],
  ended: null,
  facts: [{ name: "Training job", value: "iris-1" }],
  failures: [],
  figures: [],
  is_live: false,
  links: [],
  production: "v12",
  model: "iris-model",
  rolled_back_by: null,
  run_id: "s3__13",
  stages: row().stages,
  started: NOW,
  state: "running",
  tasks: [
    { aws_seconds: 1770, ended: "2026-11-29T11:59:00Z", stage: "train", parts: [], started: "2026-11-29T11:00:00Z", state: "failed", task_id: "train", tries: 2 },
  ],
  trace_id: null,
  user: "alice",
  version: "13",
  ...changed,
});

const past = (changed: Partial<PastRelease> = {}): PastRelease => ({
  decided: [],
  ended: null,
  failure: null,
  is_live: false,
  live_share: null,
  measured: {},
  package_arn: "arn:11",
  reached_production_at: null,
  roll_back_refusal: null,
  rolls_back: false,
  run_id: "s3__11",
  started: NOW,
  started_by: null,
  state: "success",
  version: "11",
  ...changed,
});

const model = (changed: Partial<Model> = {}): Model => ({
  approvers: ["alice"],
  at: NOW,
  builds_image: false,
  costs: costs(),
  description: null,
  may_roll_back: true,
  roll_back_refusal: null,
  row: row({
    live: [{ environment: "production", links: [], run_id: "s3__12", since: NOW, version: "12" }],
    production: "v12",
  }),
  survey: survey(),
  user: "alice",
  ...changed,
});

test("the page of a release begins with its failure", async () => {
  serve(200, release({ decisions: [decision()], failures: [failure] }));
  show(<ReleasePage dagId="iris-model" runId="s3__13" />);
  const section = await screen.findByRole("region", { name: "Failed: evaluate" });
  expect(section.textContent).toContain("train a better model");
  const question = screen.getByText(/^Approve: /u);
  expect(section.compareDocumentPosition(question) & Node.DOCUMENT_POSITION_FOLLOWING).toBeTruthy();
  expect(screen.getByRole("row", { name: /train failed 59 min 0 s not known 1770 s, 50 % 2/u })).toBeDefined();
});

test("a release that is not there says so", async () => {
  serve(404, { detail: "There is no release x of iris-model." });
  show(<ReleasePage dagId="iris-model" runId="x" />);
  expect((await screen.findByRole("alert")).textContent).toBe("There is no release x of iris-model.");
});

test("a roll-back takes two steps and is a run of the model's DAG", async () => {
  const requests = serveEach((url) => {
    if (url.endsWith("/models/iris-model")) {
      return model();
    }
    return url.includes("/releases") ? { at: NOW, releases: [past()], total: 1 } : { dag_run_id: "r" };
  });
  show(<ModelPage dagId="iris-model" />);
  await userEvent.click(await screen.findByRole("button", { name: "Roll back to v11" }));
  expect(screen.getByText(/Production gets v11 again, instead of v12/u)).toBeDefined();
  expect(requests.some((one) => one.method === "POST")).toBe(false);
  await userEvent.click(screen.getByRole("button", { name: "Roll production back to v11" }));
  await waitFor(() => expect(screen.getByText(/The roll-back to v11 is ordered/u)).toBeDefined());
  const order = requests.find((one) => one.method === "POST");
  expect(order?.url).toMatch(/api\/v2\/dags\/iris-model\/dagRuns$/u);
  expect(order?.body).toEqual({
    conf: { roll_back_to: "arn:11" },
    dag_run_id: expect.stringMatching(/^roll_back_to_v11__\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ$/u),
    logical_date: null,
    note: "Roll-back to v11",
  });
});

test("who may not roll back sees why", async () => {
  const refusal = "Only its approvers may (alice).";
  serveEach((url) =>
    url.endsWith("/models/iris-model")
      ? model({ may_roll_back: false, roll_back_refusal: refusal })
      : { at: NOW, releases: [past()], total: 1 },
  );
  show(<ModelPage dagId="iris-model" />);
  const button = await screen.findByRole("button", { name: "Roll back to v11" });
  expect(button.getAttribute("aria-disabled")).toBe("true");
  expect(document.getElementById(button.getAttribute("aria-describedby") ?? "")?.textContent).toContain(refusal);
  await userEvent.click(button);
  expect(screen.queryByText(/Production gets/u)).toBeNull();
});

test("a line says who decided on its approval and its trial, and its share", async () => {
  const decided = { approvals: [], at: NOW, by: "alice", comment: "better", decision: "Approved", how: "Airflow", task_id: "approve" };
  const trial = { ...decided, by: "carol", comment: "faster", decision: "keep", task_id: "decide_trial" };
  const tried = past({ decided: [decided, trial], is_live: true, live_share: 0.1 });
  const production = "v12 · 90 % and v11 · 10 %";
  serveEach((url) =>
    url.endsWith("/models/iris-model")
      ? model({ row: { ...model().row, production } })
      : { at: NOW, releases: [tried], total: 1 },
  );
  show(<ModelPage dagId="iris-model" />);
  const line = await screen.findByRole("row", { name: /^s3__11/u });
  for (const said of ["Approved by alice", "better", "trial: keep, decided by carol", "faster", "live · 10 %"]) {
    expect(line.textContent).toContain(said);
  }
  expect(screen.getByText(new RegExp(`it serves ${production}`, "u"))).toBeDefined();
});

test.each([
  [true, "v13", "Production serves it."],
  [true, "v12 · 90 % and v13 · 10 %", "Production serves v12 · 90 % and v13 · 10 %."],
  [false, "v12", "Production serves v12."],
])("the page of a release says what production serves", async (is_live, production, said) => {
  serve(200, release({ is_live, production }));
  show(<ReleasePage dagId="iris-model" runId="s3__13" />);
  expect(await screen.findByText(new RegExp(said.replaceAll(".", "\\."), "u"))).toBeDefined();
});
