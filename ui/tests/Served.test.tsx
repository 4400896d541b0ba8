import { cleanup, screen, within } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";

import type { Served, ServedVariant } from "../src/client";
import { ServedEnvironments, ServedLine, TotalCost } from "../src/Served";
import { costs, NOW, show, survey } from "./support";

afterEach(cleanup);

const variant = (changed: Partial<ServedVariant> = {}): ServedVariant => ({
  cost_an_hour: 0.408,
  errors: 0,
  instance_type: "ml.c5.xlarge",
  instances: 2,
  latency_p99_ms: null,
  minute: null,
  name: "model-a",
  requests: 0,
  share: 1,
  version: "12",
  wanted_instances: 2,
  ...changed,
});

const served = (changed: Partial<Served> = {}): Served => ({
  alarms: [],
  changed_at: "2026-11-29T11:00:00Z",
  cost_an_hour: 0.408,
  drift: [],
  endpoint: "iris-model-production",
  environment: "production",
  failure: null,
  status: "InService",
  variants: [variant()],
  ...changed,
});

const trial = served({
  alarms: [
    { name: "model-a-5xx", state: "OK" },
    { name: "model-b-5xx", state: "ALARM" },
  ],
  cost_an_hour: null,
  drift: ["the dashboard was deleted"],
  variants: [
    variant({ errors: 3, latency_p99_ms: 12.3, minute: "2026-11-29T11:58:00Z", requests: 120, share: 0.9 }),
    variant({
      cost_an_hour: null,
      instance_type: "ml.new.large",
      instances: 1,
      name: "model-b",
      share: 0.1,
      version: "13",
      wanted_instances: 3,
    }),
  ],
});

test("development and production stand side by side", () => {
  show(<ServedEnvironments now={NOW} served={[trial]} survey={survey()} />);
  expect(within(screen.getByRole("region", { name: "development" })).getByText("no endpoint")).toBeDefined();
  const production = screen.getByRole("region", { name: "production" });
  const text = (name: RegExp) => within(production).getByRole("row", { name }).textContent;
  expect(text(/^model-a/u)).toBe("model-av1290 %2 × ml.c5.xlarge120312.3 msabout $0.41");
  expect(text(/^model-b/u)).toBe("model-bv1310 %1 of 3 × ml.new.large00–no price");
  expect(production.textContent).toContain("Alarms: model-a-5xx: OK, model-b-5xx: ALARM");
  expect(within(production).getByText("alarm model-b-5xx")).toBeDefined();
  expect(within(production).getByText("the dashboard was deleted")).toBeDefined();
  expect(production.textContent).toContain("no price is known for one of its instance types");
  expect(screen.getByText(/AWS as it was/u).textContent).toBe("AWS as it was less than a minute ago");
});

test("old facts are said to be old, and what to do", () => {
  const say = "Nobody looks at AWS any more: check that the triggerer runs.";
  show(<ServedEnvironments now={NOW} served={[trial]} survey={survey({ at: "2026-11-29T11:50:00Z", say, state: "old" })} />);
  expect(screen.getByRole("status").textContent).toBe(say);
  expect(screen.getByText(/AWS as it was/u).textContent).toBe("AWS as it was 10 min ago");
  expect(screen.getByText("iris-model-production")).toBeDefined();
});

test("without a look there are no environments that seem empty", () => {
  const say = "Nobody has looked at AWS yet: check that the DAG is not paused.";
  show(<ServedEnvironments now={NOW} served={[]} survey={{ at: null, say, state: "none" }} />);
  expect(screen.getByRole("status").textContent).toBe(say);
  expect(screen.queryByText("no endpoint")).toBeNull();
});

test("the list says what production serves, and what is wrong with it", () => {
  const { container } = show(<ServedLine served={[served({ environment: "development" }), trial]} />);
  expect(screen.getByText("model-a v12, 90 %, 2 × ml.c5.xlarge")).toBeDefined();
  expect(screen.getByText("model-b v13, 10 %, 1 of 3 × ml.new.large")).toBeDefined();
  expect(container.textContent).toContain("no pricealarm model-b-5xxdrift");
});

test("the sum names the instance types that are not in it", () => {
  show(<TotalCost costs={costs({ an_hour: 1.5, unknown: ["ml.new.large"] })} />);
  expect(screen.getByText(/All endpoints/u).textContent).toBe(
    "All endpoints: about $1.50 an hour, estimated from price lists of 2026-11-25; AWS's page decides; without ml.new.large, which have no price here",
  );
});

test("the page that decides is a link", () => {
  show(<TotalCost costs={costs()} />);
  expect(screen.getByRole("link", { name: "AWS's page" }).getAttribute("href")).toBe(costs().source);
});

test.each([
  [0.46, "about $0.46 an hour"],
  [0.056, "about $0.056 an hour"],
])("a cost of %d is shown as an estimate", (sum, shown) => {
  const { container } = show(<ServedLine served={[served({ cost_an_hour: sum })]} />);
  expect(container.textContent).toContain(shown);
});

test("a sum of nothing is no sum", () => {
  show(<TotalCost costs={costs({ an_hour: 0, unknown: ["ml.m4.xlarge"] })} />);
  expect(screen.getByText(/What all endpoints cost is not known/u).textContent).toContain("ml.m4.xlarge");
  expect(screen.queryByText(/\$0/u)).toBeNull();
});
