/** The pages, under the names by which Airflow's UI asks for them: see plugins/slipway/board/bundle.py. */
import { ModelPage } from "./ModelPage";
import { ReleasePage } from "./ReleasePage";
import { ReleasesPage } from "./ReleasesPage";

Object.assign(globalThis, { Model: ModelPage, Release: ReleasePage, Releases: ReleasesPage });
