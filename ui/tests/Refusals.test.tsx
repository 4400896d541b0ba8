import { act, cleanup, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";

import { Refusals } from "../src/Refusals";
import { show } from "./support";

afterEach(cleanup);

const opener = () => Reflect.get(XMLHttpRequest.prototype, "open") as unknown;
const REASON = "bob may not answer for approve: only its approvers may (alice, carol).";

/** Let a page of Airflow's own send a request that the server answers like this. */
const answered = (method: string, status: number, body: string) => {
  const request = new XMLHttpRequest();
  request.open(method, "http://127.0.0.1/api/v2/somewhere");
  Object.defineProperties(request, { responseText: { value: body }, status: { value: status } });
  act(() => {
    request.dispatchEvent(new Event("load"));
  });
};

test("a refusal of a change is shown in the server's words", async () => {
  show(<Refusals />);
  answered("PATCH", 403, JSON.stringify({ detail: REASON }));
  await waitFor(() => expect(screen.getByTestId("slipway-refusal").textContent).toContain(REASON));
});

/** What Airflow's dialog of Trigger shows. */
const airflowsAlert = (reason: string) => {
  const alert = document.createElement("div");
  alert.dataset.testid = "error-alert";
  alert.textContent = `400 Bad Request ${reason}`;
  document.body.append(alert);
  return alert;
};

test("what a dialog of Airflow's says itself is not said again", () => {
  vi.useFakeTimers();
  show(<Refusals />);
  const before = screen.queryAllByTestId("slipway-refusal").length;
  const alert = airflowsAlert("version_id: the form has both.");
  answered("POST", 400, JSON.stringify({ detail: "version_id: the form has both." }));
  act(() => {
    vi.advanceTimersByTime(20_000);
  });
  expect(screen.queryAllByTestId("slipway-refusal")).toHaveLength(before);
  alert.remove();
  vi.useRealTimers();
});

test("a reason is taken back when a slow dialog of Airflow's says it", async () => {
  const reason = "key: a place elsewhere.";
  show(<Refusals />);
  answered("POST", 400, JSON.stringify({ detail: reason }));
  const shown = () => screen.queryAllByTestId("slipway-refusal").filter((one) => one.textContent?.includes(reason));
  await waitFor(() => expect(shown()).toHaveLength(1));
  const alert = airflowsAlert(reason);
  await waitFor(() => expect(shown()[0]?.dataset.state ?? "closed").toBe("closed"));
  alert.remove();
});

test("a read, a success, the end of a login and an answer without a reason show nothing", () => {
  show(<Refusals />);
  const shown = screen.queryAllByTestId("slipway-refusal").length;
  answered("GET", 403, JSON.stringify({ detail: "a read" }));
  answered("PATCH", 200, JSON.stringify({ detail: "a success" }));
  answered("PATCH", 401, JSON.stringify({ detail: "the end of a login" }));
  answered("PATCH", 403, JSON.stringify({ detail: "Forbidden" }));
  answered("PATCH", 502, "<html>");
  expect(screen.queryAllByTestId("slipway-refusal")).toHaveLength(shown);
});

test("the page's requests are left alone once it is gone", () => {
  const original = opener();
  const { unmount } = show(<Refusals />);
  expect(opener()).not.toBe(original);
  unmount();
  expect(opener()).toBe(original);
});
