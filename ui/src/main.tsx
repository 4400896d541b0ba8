/** The pages, under the names by which Airflow's UI asks for them: see plugins/slipway/board/bundle.py. */
import { Board } from "./Board";
import { Refusals } from "./Refusals";
import { ModelTab, ReleaseTab } from "./tabs";

Object.assign(globalThis, { Model: ModelTab, Refusals, Release: ReleaseTab, Releases: Board });
