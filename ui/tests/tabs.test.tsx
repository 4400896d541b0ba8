import { cleanup, screen } from "@testing-library/react";
import { useLocation } from "react-router-dom";
import { afterEach, expect, test, vi } from "vitest";

import { ModelTab, ReleaseTab } from "../src/tabs";
import { serve, show } from "./support";

afterEach(cleanup);

const Address = () => <p data-testid="address">{`${useLocation().pathname}${useLocation().search}`}</p>;

const windowOf = (narrow: boolean) =>
  vi.stubGlobal("matchMedia", () => ({ addEventListener: () => undefined, matches: narrow, removeEventListener: () => undefined }));

const address = () => screen.getByTestId("address").textContent;

test("on a narrow window a tab opens the board's own page, because Airflow's grid leaves it no room", () => {
  windowOf(true);
  show(<><Address /><ReleaseTab dagId="iris-model" runId="manual__1+00:00" /></>);
  expect(address()).toBe("/plugin/slipway?model=iris-model&run=manual__1%2B00%3A00");
  cleanup();
  show(<><Address /><ModelTab dagId="iris-model" /></>);
  expect(address()).toBe("/plugin/slipway?model=iris-model");
});

test("on a wide window a tab is the page", () => {
  serve(404, { detail: "There is no model iris-model." });
  windowOf(false);
  show(<><Address /><ModelTab dagId="iris-model" /></>);
  expect(address()).toBe("/");
  expect(screen.getByRole("heading", { name: "iris-model" })).toBeDefined();
});
