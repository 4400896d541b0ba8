import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test } from "vitest";

import type { Version, Versions } from "../src/client";
import { NewAttempt } from "../src/NewAttempt";
import { ReleaseVersion } from "../src/ReleaseVersion";
import { NOW, serve, serveEach, show } from "./support";

afterEach(cleanup);

const version = (changed: Partial<Version> = {}): Version => ({
  bucket: "uploads",
  key: "training_jobs/iris-model/trainingjob.zip",
  name: "v12 · 3f2a · 2026-11-28 14:03",
  released: true,
  run_id: "s3__12",
  state: "success",
  uploaded_at: NOW,
  version_id: "id-12",
  ...changed,
});

const versions = (listed: Version[], refusal: string | null = null): Versions => ({ at: NOW, refusal, versions: listed });

const open = async () => {
  show(<ReleaseVersion model="iris-model" onStarted={() => undefined} />);
  await userEvent.click(screen.getByRole("button", { name: "Release a version" }));
};

test("the newest version is chosen first, and a released one is offered as a new attempt", async () => {
  const requests = serveEach((url) =>
    url.endsWith("/versions") ? versions([version(), version({ name: "v11", version_id: "id-11" })]) : { dag_run_id: "r" },
  );
  await open();
  const list = await screen.findByRole("combobox", { name: "Version" });
  expect((list as HTMLSelectElement).value).toBe("id-12");
  expect(screen.getByText(/trains a new model and asks for approval again/u)).toBeDefined();
  await userEvent.selectOptions(list, "id-11");
  await userEvent.click(screen.getByRole("button", { name: "Release it again as a new attempt" }));
  expect((await screen.findByRole("status")).textContent).toContain("The release has started: r");
  const order = requests.find((one) => one.method === "POST");
  expect(order?.url).toMatch(/api\/v2\/dags\/iris-model\/dagRuns$/u);
  expect(order?.body).toEqual({
    conf: {
      bucket: "uploads",
      key: "training_jobs/iris-model/trainingjob.zip",
      new_attempt: true,
      version_id: "id-11",
    },
    dag_run_id: expect.stringMatching(/^new_attempt__\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ$/u),
    logical_date: null,
    note: "v11, new attempt",
  });
});

test("a version that nobody has released is released without a new attempt", async () => {
  const requests = serveEach((url) =>
    url.endsWith("/versions") ? versions([version({ released: false, state: "failed" })]) : { dag_run_id: "r" },
  );
  await open();
  await userEvent.click(await screen.findByRole("button", { name: "Release it" }));
  await screen.findByRole("status");
  expect(requests.find((one) => one.method === "POST")?.body).toMatchObject({ conf: { new_attempt: false } });
});

test("who may not start a run sees why, and the button does nothing", async () => {
  const refusal = "Airflow does not let bob start a run: ask an administrator for the permission.";
  const requests = serve(200, versions([version()], refusal));
  await open();
  const button = await screen.findByRole("button", { name: "Release it again as a new attempt" });
  expect(button.getAttribute("aria-disabled")).toBe("true");
  expect(document.getElementById(button.getAttribute("aria-describedby") ?? "")?.textContent).toBe(refusal);
  await userEvent.click(button);
  expect(requests.some((one) => one.method === "POST")).toBe(false);
});

test("a model without versions says how to get one", async () => {
  serve(200, versions([]));
  await open();
  expect(await screen.findByText(/Upload trainingjob.zip/u)).toBeDefined();
});

test("a run that was refused its version offers the new attempt by one press, and shows a refusal", async () => {
  const requests = serveEach((url) => (url.endsWith("/version") ? versions([version()]) : { dag_run_id: "again" }));
  show(<NewAttempt model="iris-model" runId="manual__2" />);
  await userEvent.click(await screen.findByRole("button", { name: "Release this version again" }));
  await waitFor(() => expect(screen.getByRole("status").textContent).toContain("again"));
  expect(requests.find((one) => one.method === "POST")?.body).toMatchObject({
    conf: { new_attempt: true, version_id: "id-12" },
  });
});
