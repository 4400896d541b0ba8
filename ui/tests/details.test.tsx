import axe from "axe-core";
import { cleanup, screen, within } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";

import { AwsLinks } from "../src/AwsLinks";
import { Changes } from "../src/Changes";
import { DecisionCard } from "../src/DecisionCard";
import { Metrics, series } from "../src/Metrics";
import type { Comparison, PastRelease } from "../src/client";
import { decision, NOW, show } from "./support";

afterEach(cleanup);

const comparison = (changed: Partial<Comparison> = {}): Comparison => ({
  contents: [
    { live: "10", name: "max_depth", new: "7", part: "Hyperparameters" },
    { live: "0.4", name: "eta", new: "0.4", part: "Hyperparameters" },
    { live: null, name: "wandb", new: "not shown, mark 1a2b", part: "Hyperparameters" },
  ],
  live_version: "12",
  same_zip: false,
  why_not: null,
  ...changed,
});

const past = (version: string, measured: Record<string, number>, deployed = true): PastRelease => ({
  decided: [],
  ended: null,
  failure: null,
  is_live: false,
  live_share: null,
  measured,
  package_arn: null,
  reached_production_at: deployed ? NOW : null,
  roll_back_refusal: null,
  rolls_back: false,
  run_id: `r${version}`,
  started: NOW,
  started_by: null,
  state: "success",
  version,
});

test("only what differs is shown first, and all on request", () => {
  show(<Changes comparison={comparison()} whole />);
  const changes = screen.getByRole("table", { hidden: true, name: "What differs from v12, which is live" });
  const all = screen.getByRole("table", { hidden: true, name: "Everything that is in the zip" });
  expect(within(changes).getByRole("row", { name: /Hyperparameters max_depth 7 10/u })).toBeDefined();
  expect(within(changes).getByRole("row", { name: /wandb not shown, mark 1a2b .*not in it/u })).toBeDefined();
  expect(within(changes).queryByText("eta")).toBeNull();
  expect(within(all).getByText("eta")).toBeDefined();
});

test("the same zip, another zip with the same content, and nothing to compare with are said in words", () => {
  show(<Changes comparison={comparison({ contents: [], same_zip: true })} />);
  expect(screen.getByText("This is the same zip as what is live (v12).")).toBeDefined();
  show(<Changes comparison={comparison({ contents: [] })} />);
  expect(screen.getByText(/The zip's bytes differ from those of v12/u)).toBeDefined();
  show(<Changes comparison={comparison({ contents: [], live_version: null, why_not: "Production has no model." })} />);
  expect(screen.getByText("Production has no model.")).toBeDefined();
});

test("a question says without a click that it is about the live zip", () => {
  const changes = comparison({ contents: [], same_zip: true });
  show(<DecisionCard decision={decision({ changes })} model="iris-model" now={NOW} onAnswered={() => undefined} />);
  expect(screen.getByText("This is the same zip as what is live (v12).")).toBeDefined();
  expect(screen.queryByText("What changes against the live zip")).toBeNull();
});

test("a question has the changes behind a heading", () => {
  const changes = comparison();
  show(<DecisionCard decision={decision({ changes })} model="iris-model" now={NOW} onAnswered={() => undefined} />);
  expect(screen.getByText("What changes against the live zip")).toBeDefined();
  expect(screen.getByText("max_depth")).toBeDefined();
});

test("links to AWS open a tab of their own and tell it nothing", () => {
  show(<AwsLinks links={[{ name: "SageMaker endpoint", task_id: "deploy_prd", url: "http://127.0.0.1:4566/x" }]} withTask />);
  const link = screen.getByRole("link", { name: "SageMaker endpoint (deploy_prd)" });
  expect(link.getAttribute("href")).toBe("http://127.0.0.1:4566/x");
  expect([link.getAttribute("target"), link.getAttribute("rel")]).toEqual(["_blank", "noopener noreferrer"]);
});

test("plots go from the oldest release to the newest and leave out those without the number", () => {
  const releases = [past("3", { accuracy: 0.97 }), past("2", {}), past("1", { accuracy: 0.9, rmse: 2 }, false)];
  expect(series(releases).map(([name, points]) => [name, points.map((one) => [one.label, one.value, one.filled])])).toEqual([
    ["accuracy", [["v1", 0.9, false], ["v3", 0.97, true]]],
    ["rmse", [["v1", 2, false]]],
  ]);
});

test("a plot says in words what it draws, and has each value in a table", async () => {
  const { container } = show(<Metrics releases={[past("3", { accuracy: 0.97 }), past("1", { accuracy: 0.9 }, false)]} />);
  expect(screen.getByRole("img", { name: /accuracy over 2 releases, from 0.9 to 0.97/u })).toBeDefined();
  expect(screen.getByText("v3: 0.97; from 0.9 to 0.97")).toBeDefined();
  expect(screen.getByRole("row", { hidden: true, name: "v3 0.97 deployed" })).toBeDefined();
  expect(screen.getByRole("row", { hidden: true, name: "v1 0.9 –" })).toBeDefined();
  const found = await axe.run(container, { rules: { "color-contrast": { enabled: false } } });
  expect(found.violations.map((one) => one.id)).toEqual([]);
});

test("a model without numbers has no plots", () => {
  show(<Metrics releases={[past("3", {})]} />);
  expect(screen.queryByText("Metrics and latencies")).toBeNull();
});

test("values that are all the same are drawn", () => {
  show(<Metrics releases={[past("2", { accuracy: 1 }), past("1", { accuracy: 1 })]} />);
  expect(screen.getByRole("img").querySelector("polyline")?.getAttribute("points")).not.toContain("NaN");
});
