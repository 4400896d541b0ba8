import axe from "axe-core";
import { cleanup, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { Release, Task } from "../src/client";
import { exactly } from "../src/format";
import { bars, Timeline } from "../src/Timeline";
import { NOW, show } from "./support";

afterEach(cleanup);

const at = (seconds: number) => new Date(Date.parse(NOW) - 3_600_000 + 1000 * seconds).toISOString();

const task = (changed: Partial<Task> = {}): Task => ({
  aws_seconds: null,
  ended: at(100),
  parts: [
    { ended: at(10), kind: "work", started: at(0) },
    { ended: at(90), kind: "wait", started: at(10) },
    { ended: at(100), kind: "work", started: at(90) },
  ],
  stage: "train",
  started: at(0),
  state: "success",
  task_id: "train",
  tries: 1,
  ...changed,
});

const release = (tasks: Task[], trace_id: string | null = null) =>
  ({ at: NOW, model: "iris-model", run_id: "r", tasks, trace_id }) as Release;

const narrow = (matches: boolean) =>
  vi.stubGlobal("matchMedia", () => ({ addEventListener: vi.fn(), matches, removeEventListener: vi.fn() }));

beforeEach(() => narrow(false));

test("a task's wait is drawn apart from its work, and both are said in words", () => {
  const { container } = show(<Timeline found={release([task(), task({ parts: [{ ended: at(200), kind: "work", started: at(100) }], task_id: "evaluate" })])} />);
  const drawn = [...container.querySelectorAll<HTMLElement>("[data-kind]")];
  expect(drawn.map((one) => one.dataset.kind)).toEqual(["work", "wait", "work", "work"]);
  expect(screen.getByRole("row", { name: /^train success 1 min 40 s 1 min 20 s – 1/u })).toBeDefined();
  expect(screen.getByRole("row", { name: /^evaluate success 1 min 40 s – – 1/u })).toBeDefined();
  expect(screen.getByText(/3 min 20 s$/u)).toBeDefined();
});

test("each part is a row of a table", () => {
  show(<Timeline found={release([task({ ended: null, parts: [{ ended: at(10), kind: "work", started: at(0) }, { ended: null, kind: "wait", started: at(10) }], state: "deferred" })])} />);
  const parts = within(screen.getByRole("region", { hidden: true, name: "Each part as a table" }));
  const said = parts.getAllByRole("row", { hidden: true }).map((row) => row.textContent);
  expect(said).toHaveLength(3);
  expect(said[1]).toContain("work");
  expect(said[2]).toMatch(/wait.*59 min 50 s so far$/u);
});

test("a task whose events are gone is one bar, and its waits are not known", () => {
  expect(bars(task({ parts: [] }), NOW).map((bar) => bar.kind)).toEqual(["not known"]);
  show(<Timeline found={release([task({ parts: [] })])} />);
  expect(screen.getByRole("row", { name: /^train success 1 min 40 s not known/u })).toBeDefined();
});

test("a skipped task has no bar", () => {
  expect(bars(task({ parts: [], state: "skipped", tries: 0 }), NOW)).toEqual([]);
});

/** Colours are looked at in a browser: tests/e2e/test_board.py. */
const broken = async (container: Element) =>
  (await axe.run(container, { rules: { "color-contrast": { enabled: false } } })).violations;

test("the table names the trace, and breaks no rule of accessibility", async () => {
  const { container } = show(<Timeline found={release([task()], "a".repeat(32))} />);
  expect(screen.getByText("a".repeat(32))).toBeDefined();
  expect(await broken(container)).toEqual([]);
});

test("a narrow window shows a list, which breaks no rule of accessibility", async () => {
  narrow(true);
  const { container } = show(<Timeline found={release([task(), task({ parts: [], state: "skipped", task_id: "roll_back", tries: 0 })])} />);
  const said = screen.getAllByRole("listitem").map((item) => item.textContent);
  expect(said).toEqual(["train success, 1 min 40 s, waited: 1 min 20 s", "roll_back skipped"]);
  expect(await broken(container)).toEqual([]);
});

test.each([
  [0.4, "0 s"],
  [59.6, "1 min 0 s"],
  [3599, "59 min 59 s"],
  [8040, "2 h 14 min"],
  [190_000, "2 d 4 h"],
])("%s seconds are %s", (seconds, said) => {
  expect(exactly(seconds)).toBe(said);
});
