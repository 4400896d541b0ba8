/** How times and states are written. */

const UNITS: [number, string][] = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
];

/** Write a span of time to its largest unit: "3 h". */
export const span = (seconds: number): string => {
  for (const [size, unit] of UNITS) {
    if (seconds >= size) {
      return `${Math.floor(seconds / size)} ${unit}`;
    }
  }
  return "less than a minute";
};

/** Write how long ago something was, or how much time is left. */
export const ago = (at: string | null | undefined, now: string): string => {
  if (!at) {
    return "";
  }
  const seconds = (Date.parse(now) - Date.parse(at)) / 1000;
  return seconds >= 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
};

/** Write how much time an approver has. */
export const left = (endsAt: string | null | undefined, now: string): string => {
  if (!endsAt) {
    return "";
  }
  const seconds = (Date.parse(endsAt) - Date.parse(now)) / 1000;
  return seconds > 0 ? `${span(seconds)} left` : "its time is over";
};

/** Write a moment in the reader's own time zone. */
export const moment = (at: string | null | undefined): string =>
  at ? new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) : "";

const SHORT: Intl.DateTimeFormatOptions = { day: "numeric", hour: "numeric", minute: "2-digit", month: "short" };

/** Name a release: its model package's number, or when its zip was uploaded. */
export const releaseName = (version: string | null | undefined, uploadedAt?: string | null): string => {
  if (version) {
    return `v${version}`;
  }
  return uploadedAt ? `zip of ${new Date(uploadedAt).toLocaleString(undefined, SHORT)}` : "";
};

/** Say who decided what: "Approved by alice". */
export const decidedBy = (one: { by: string; decision: string; task_id: string }): string =>
  one.task_id === "decide_trial" ? `trial: ${one.decision}, decided by ${one.by}` : `${one.decision} by ${one.by}`;

/** Write a share of the requests. */
export const percent = (share: number | null): string => (share === null ? "–" : `${Number((share * 100).toFixed(1))} %`);

/** The board's page of a release; on a narrow window Airflow leaves no room for the tab of the run. */
export const runUrl = (model: string, runId: string): string =>
  `/plugin/slipway?${new URLSearchParams({ model, run: runId }).toString()}`;

export const modelUrl = (model: string): string => `/plugin/slipway?${new URLSearchParams({ model }).toString()}`;

/** Airflow's own page of a run, or of one of its tasks. */
export const airflowUrl = (model: string, runId: string, taskId?: string): string => {
  const run = `/dags/${encodeURIComponent(model)}/runs/${encodeURIComponent(runId)}`;
  return taskId ? `${run}/tasks/${encodeURIComponent(taskId)}` : run;
};
