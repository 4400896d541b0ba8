/** The pages, under the names by which Airflow's UI asks for them: see plugins/slipway/board/bundle.py. */
import { Board } from "./Board";
import { ModelPage } from "./ModelPage";
import { Refusals } from "./Refusals";
import { ReleasePage } from "./ReleasePage";

Object.assign(globalThis, { Model: ModelPage, Refusals, Release: ReleasePage, Releases: Board });
