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

/** Write a short time exactly: "41 s", "3 min 5 s", and from an hour on without its seconds: "2 h 14 min". */
export const exactly = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (hours > 0) {
    return hours >= 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours} h ${minutes} min`;
  }
  return minutes > 0 ? `${minutes} min ${rest} s` : `${rest} s`;
};

/** Write how long ago something was, or how much time is left. */
export const ago = (at: string | null | undefined, now: string): string => {
  if (!at) {
    return "";
  }
  const seconds = (Date.parse(now) - Date.parse(at)) / 1000;
  return seconds >= 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
};

const DAY = 86_400;

/** Write how much time an approver has; with the hours, where it is days. */
export const left = (endsAt: string | null | undefined, now: string): string => {
  if (!endsAt) {
    return "";
  }
  const seconds = (Date.parse(endsAt) - Date.parse(now)) / 1000;
  const hours = Math.floor((seconds % DAY) / 3600);
  return seconds > 0 ? `${span(seconds)}${seconds > DAY && hours > 0 ? ` ${hours} h` : ""} left` : "its time is over";
};

// Writes 2026-11-29 14:03:05, as Airflow's pages and the names of releases do.
const WRITTEN = "sv-SE";

/** Write a moment in the time zone that the reader has chosen in Airflow's UI, which is UTC until they choose one. */
export const moment = (at: string | null | undefined): string => {
  if (!at) {
    return "";
  }
  try {
    const timeZone = JSON.parse(localStorage.getItem("timezone") ?? '"UTC"') as string;
    return new Date(at).toLocaleString(WRITTEN, { timeZone });
  } catch {
    return new Date(at).toLocaleString(WRITTEN, { timeZone: "UTC" });
  }
};

/** Name a release: its model package's number, or when its zip was uploaded, in UTC as in the names of releases. */
export const releaseName = (version: string | null | undefined, uploadedAt?: string | null): string => {
  if (version) {
    return `v${version}`;
  }
  return uploadedAt ? `zip of ${new Date(uploadedAt).toLocaleString(WRITTEN, { timeZone: "UTC" }).slice(0, -3)}` : "";
};

/** Say who decided what, and how: "Approved by alice (Airflow)". */
export const decidedBy = (one: { by: string; decision: string; how: string; task_id: string }): string => {
  if (one.how === "superseded") {
    return "A newer release took its place";
  }
  const decision = one.task_id === "decide_trial" ? `trial: ${one.decision}, decided` : one.decision;
  return `${decision} by ${one.by} (${one.how})`;
};

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
