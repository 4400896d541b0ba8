/** The tabs of Airflow's pages; on a narrow window Airflow's grid leaves them no room, so the board's own page opens. */
import { useState } from "react";
import { Navigate } from "react-router-dom";

import { modelUrl, runUrl } from "./format";
import { ModelPage } from "./ModelPage";
import { ReleasePage } from "./ReleasePage";

const NARROW = "(max-width: 48em)";

/** Tell whether the window was narrow when the tab was opened: a page does not go away while it is read. */
const useNarrowAtFirst = () => useState(() => globalThis.matchMedia(NARROW).matches)[0];

export const ModelTab = ({ dagId = "" }: { dagId?: string }) =>
  useNarrowAtFirst() ? <Navigate replace to={modelUrl(dagId)} /> : <ModelPage dagId={dagId} />;

export const ReleaseTab = ({ dagId = "", runId = "" }: { dagId?: string; runId?: string }) =>
  useNarrowAtFirst() ? <Navigate replace to={runUrl(dagId, runId)} /> : <ReleasePage dagId={dagId} runId={runId} />;
