import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test } from "vitest";

import { Board } from "../src/Board";
import { ReleasesPage } from "../src/ReleasesPage";
import { decision, releases, row, serve, show } from "./support";

afterEach(cleanup);

test("decisions come before the models", async () => {
  serve(200, releases([row({ decisions: [decision()], need: "decision" })]));
  show(<ReleasesPage />);
  const titles = (await screen.findAllByRole("heading", { level: 2 })).map((one) => one.textContent);
  expect(titles).toEqual(["Decisions wanted", "Models"]);
});

test("a failure is there in full", async () => {
  const why = "a long reason ".repeat(50).trim();
  const failure = {
    at: null,
    fix: "upload it again",
    kind: "RequestRefused",
    run_id: "s3__13",
    skipped: false,
    task_id: "process_request",
    what: "It failed",
    where: null,
    why,
  };
  serve(200, releases([row({ failure, need: "failed" })]));
  show(<ReleasesPage />);
  expect(await screen.findByText(why)).toBeDefined();
  expect(screen.getByText("upload it again")).toBeDefined();
});

test("without models it says what to do", async () => {
  serve(200, releases([]));
  show(<ReleasesPage />);
  expect(await screen.findByText(/A model is a YAML file in include\/models/u)).toBeDefined();
});

test("without a fitting model it says how to see all", async () => {
  serve(200, releases([]));
  show(<ReleasesPage />, "/?need=failed");
  expect(await screen.findByText(/No model fits the filter/u)).toBeDefined();
});

test("a refusal says why, and the end of a login what to do", async () => {
  serve(403, { detail: "bob may not read the runs of any DAG." });
  show(<ReleasesPage />);
  expect((await screen.findByRole("alert")).textContent).toBe("bob may not read the runs of any DAG.");
  cleanup();
  serve(401, { detail: "Not authenticated" });
  show(<ReleasesPage />);
  expect((await screen.findByRole("alert")).textContent).toMatch(/Reload the page to log in/u);
});

test("the server filters, sorts and pages", async () => {
  const requests = serve(200, releases([row()], { total: 60 }));
  show(<ReleasesPage />);
  await userEvent.click(await screen.findByRole("button", { name: /^Failed/u }));
  await userEvent.click(await screen.findByRole("button", { name: "Next" }));
  await userEvent.type(screen.getByRole("searchbox"), "iris");
  await waitFor(() => expect(new URL(requests.at(-1)?.url ?? "").searchParams.get("text")).toBe("iris"));
  const asked = requests.map((one) => new URL(one.url).searchParams);
  expect(asked.some((one) => one.get("need") === "failed" && one.get("offset") === "25")).toBe(true);
  expect(asked.at(-1)?.get("offset")).toBe("0");
});

test("the address may name one model", async () => {
  const requests = serve(404, { detail: "There is no model x." });
  show(<Board />, "/plugin/slipway?model=x");
  expect((await screen.findByRole("alert")).textContent).toBe("There is no model x.");
  expect(requests.some((one) => one.url.endsWith("slipway/api/v1/models/x"))).toBe(true);
  expect(screen.getByRole("link", { name: "All models" })).toBeDefined();
});

test("a model on trial is shown with its share, and a release without a trial says so", async () => {
  const stages = row().stages.map((one) =>
    one.stage === "trial" ? { ...one, run_id: "s3__12", state: "no trial" as const, version: "12" } : one,
  );
  const production = "v12 · 90 % and v13 · 10 %";
  serve(200, releases([row({ production }), row({ model: "another", stages })]));
  show(<ReleasesPage />);
  expect(await screen.findByText(`production: ${production}`)).toBeDefined();
  const another = screen.getByRole("row", { name: /^another/u });
  expect(another.textContent).toContain("nothing in production");
  expect(another.textContent).toMatch(/– no trial$/u);
});
