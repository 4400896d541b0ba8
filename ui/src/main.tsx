/** The pages, under the names by which Airflow's UI asks for them: see plugins/slipway/board/bundle.py. */
import { ReleasesPage } from "./ReleasesPage";

Object.assign(globalThis, { Releases: ReleasesPage });
