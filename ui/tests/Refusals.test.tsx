import { act, screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";

import { Refusals } from "../src/Refusals";
import { show } from "./support";

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
