import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { type ReactNode, useState } from "react";
import { afterEach, expect, test, vi } from "vitest";

import { DecisionCard } from "../src/DecisionCard";
import { decision, NOW, serve, show } from "./support";

afterEach(cleanup);

/** One place on a page, with something else after a press. */
const Again = ({ first, then }: { first: ReactNode; then: ReactNode }) => {
  const [pressed, setPressed] = useState(false);
  return (
    <>
      {pressed ? then : first}
      <button onClick={() => setPressed(true)}>then</button>
    </>
  );
};

test("it says first what Approve does", () => {
  show(<DecisionCard decision={decision()} model="iris-model" now={NOW} onAnswered={() => undefined} />);
  expect(screen.getByText(/^Approve: Version 13 takes the place of version 12/u)).toBeDefined();
  expect(screen.getByText(/open until .*2026.*\(2 d left\)/u)).toBeDefined();
});

test("who may not answer sees why, and a press does nothing", async () => {
  const requests = serve(200, {});
  const refusal = "Only its approvers may (alice, carol).";
  const options = decision().options.map((option) => ({ ...option, refusal }));
  show(<DecisionCard decision={decision({ options })} model="iris-model" now={NOW} onAnswered={() => undefined} />);
  const button = screen.getByRole("button", { name: "Approve" });
  expect(button.getAttribute("aria-disabled")).toBe("true");
  expect(document.getElementById(button.getAttribute("aria-describedby") ?? "")?.textContent).toBe(refusal);
  await userEvent.click(button);
  expect(screen.queryByRole("textbox")).toBeNull();
  expect(requests).toEqual([]);
});

test("an answer takes two steps and goes to Airflow's own route", async () => {
  const requests = serve(200, {});
  const answered = vi.fn();
  show(<DecisionCard decision={decision()} model="iris-model" now={NOW} onAnswered={answered} />);
  await userEvent.click(screen.getByRole("button", { name: "Approve" }));
  expect(requests).toEqual([]);
  expect(screen.getByText("It goes to production.")).toBeDefined();
  await userEvent.type(screen.getByLabelText(/Comment/u), "better");
  await userEvent.click(screen.getByRole("button", { name: "Approve v13" }));
  await waitFor(() => expect(answered).toHaveBeenCalledOnce());
  const [{ body, method, url }] = requests as [{ body: unknown; method: string; url: string }];
  expect(method).toBe("PATCH");
  expect(url).toMatch(/api\/v2\/dags\/iris-model\/dagRuns\/s3__13\/taskInstances\/approve\/-1\/hitlDetails$/u);
  expect(body).toEqual({ chosen_options: ["Approve"], params_input: { comment: "better" } });
});

test("a refusal of the server is shown in its own words", async () => {
  serve(409, { detail: "This is decided: carol approved it." });
  show(<DecisionCard decision={decision()} model="iris-model" now={NOW} onAnswered={() => undefined} />);
  await userEvent.click(screen.getByRole("button", { name: "Reject" }));
  await userEvent.click(screen.getByRole("button", { name: "Reject v13" }));
  expect((await screen.findByRole("alert")).textContent).toBe("This is decided: carol approved it.");
});

test("a stored answer takes the buttons away, until the question is asked again", async () => {
  serve(200, {});
  const card = (askedAt: string) => (
    <DecisionCard decision={decision({ asked_at: askedAt })} model="iris-model" now={NOW} onAnswered={() => undefined} />
  );
  show(<Again first={card("2026-11-29T11:00:00Z")} then={card("2026-11-29T11:30:00Z")} />);
  await userEvent.click(screen.getByRole("button", { name: "Approve" }));
  await userEvent.click(screen.getByRole("button", { name: "Approve v13" }));
  await screen.findByText(/Your answer is stored: Approve/u);
  expect(screen.queryByRole("button", { name: "Reject" })).toBeNull();
  await userEvent.click(screen.getByRole("button", { name: "then" }));
  expect(screen.getByRole("button", { name: "Reject" })).toBeDefined();
});

test("days that are left have their hours", () => {
  const ends = decision({ ends_at: "2026-12-06T11:38:00Z" });
  show(<DecisionCard decision={ends} model="iris-model" now={NOW} onAnswered={() => undefined} />);
  expect(screen.getByText(/6 d 23 h left/u)).toBeDefined();
});
