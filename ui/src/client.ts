/** Requests to the API server that serves this page: the board's own API, and Airflow's for answers and roll-backs. */
import type { components } from "./api";

type Schemas = components["schemas"];
export type AwsLink = Schemas["Link"];
export type Comparison = Schemas["Comparison"];
export type Content = Schemas["Content"];
export type Costs = Schemas["Costs"];
export type Counts = Schemas["Counts"];
export type Decision = Schemas["Decision"];
export type Failure = Schemas["Failure"];
export type Figure = Schemas["Figure"];
export type Model = Schemas["Model"];
export type Need = Schemas["Need"];
export type Option = Schemas["Option"];
export type PastRelease = Schemas["PastRelease"];
export type PastReleases = Schemas["PastReleases"];
export type Release = Schemas["Release"];
export type Releases = Schemas["Releases"];
export type Row = Schemas["Row"];
export type Served = Schemas["Served"];
export type ServedVariant = Schemas["ServedVariant"];
export type Stage = Schemas["Stage"];
export type Survey = Schemas["Survey"];
export type Task = Schemas["Task"];
export type Traffic = Schemas["Traffic"];
export type TrafficOfEndpoint = Schemas["TrafficOfEndpoint"];
export type Version = Schemas["Version"];
export type Versions = Schemas["Versions"];

/** An answer that is no success; `detail` is what the server says, as a sentence. */
export class RequestError extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
  ) {
    super(detail);
  }
}

// Relative to the page: Airflow may be served below a path.
const address = (path: string) => new URL(path.replace(/^\//u, ""), document.baseURI).href;

const NOT_REACHED = "The API server does not answer. Check that Airflow runs; this page tries again by itself.";

const reason = (status: number, body: unknown): string => {
  const detail = (body as { detail?: unknown } | undefined)?.detail;
  if (status === 401) {
    return "You are not logged in any more. Reload the page to log in.";
  }
  if (typeof detail === "string") {
    return detail;
  }
  return `The API server answered ${status}. Its log has the reason.`;
};

const send = async (path: string, init: RequestInit): Promise<unknown> => {
  let response: Response;
  try {
    response = await fetch(address(path), { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") {
      throw error;
    }
    throw new RequestError(0, NOT_REACHED);
  }
  const body: unknown = await response.json().catch(() => undefined);
  if (!response.ok) {
    throw new RequestError(response.status, reason(response.status, body));
  }
  return body;
};

/** Read a document of the board's API. */
export const read = async <Document>(path: string, signal: AbortSignal): Promise<Document> =>
  (await send(`slipway/api/v1/${path}`, { signal })) as Document;

const change = (method: string, path: string, body: object) =>
  send(path, { body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, method });

/** The path of Airflow's API for a run. */
const runPath = (model: string, runId: string) =>
  `api/v2/dags/${encodeURIComponent(model)}/dagRuns/${encodeURIComponent(runId)}`;

/** Answer a question, through the route that the buttons of Airflow's own page use; the guard checks it. */
export const answer = (model: string, decision: Decision, option: string, comment: string) =>
  change(
    "PATCH",
    `${runPath(model, decision.run_id)}/taskInstances/${encodeURIComponent(decision.task_id)}/${decision.map_index}/hitlDetails`,
    { chosen_options: [option], params_input: comment ? { comment } : {} },
  );

/** Start a run of a model's DAG, under an id that says what it does and when. */
const start = (model: string, what: string, note: string, conf: object) =>
  change("POST", `api/v2/dags/${encodeURIComponent(model)}/dagRuns`, {
    conf,
    dag_run_id: `${what}__${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}Z`,
    logical_date: null,
    note,
  }) as Promise<{ dag_run_id: string }>;

/** Start a run that rolls production back; the guard checks who orders it. */
export const rollBack = (model: string, packageArn: string, name: string) =>
  start(model, `roll_back_to_${name}`, `Roll-back to ${name}`, { roll_back_to: packageArn });

/** Start a release of a version of the zip; of one that has been released before as a new attempt. */
export const releaseVersion = (model: string, version: Version) =>
  start(
    model,
    version.released ? "new_attempt" : "release",
    version.released ? `${version.name}, new attempt` : version.name,
    {
      bucket: version.bucket,
      key: version.key,
      new_attempt: version.released,
      version_id: version.version_id,
    },
  );
