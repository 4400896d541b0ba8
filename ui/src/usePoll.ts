import { useCallback, useEffect, useState } from "react";

import { read, RequestError } from "./client";

export const POLL_MS = 5000;

export type Polled<Document> = {
  document: Document | undefined;
  /** Why the newest request failed; the document is then the one before. */
  problem: RequestError | undefined;
  refresh: () => void;
};

type State<Document> = { document?: Document; path: string; problem?: RequestError };

/** Read a document again and again while the page can be seen; a failure keeps what was read before. */
export const usePoll = <Document>(path: string, everyMs: number = POLL_MS): Polled<Document> => {
  const [state, setState] = useState<State<Document>>({ path });
  const [turn, setTurn] = useState(0);

  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;

    const look = async () => {
      try {
        const document = await read<Document>(path, controller.signal);
        setState({ document, path });
      } catch (error) {
        if (controller.signal.aborted) {
          return;
        }
        const problem = error instanceof RequestError ? error : new RequestError(0, String(error));
        setState((before) => ({ document: before.document, path, problem }));
      }
      timer = setTimeout(again, everyMs);
    };
    const again = () => {
      if (document.visibilityState === "hidden") {
        timer = setTimeout(again, POLL_MS);
      } else {
        void look();
      }
    };

    void look();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [everyMs, path, turn]);

  const refresh = useCallback(() => setTurn((before) => before + 1), []);
  return { document: state.document, problem: state.problem, refresh };
};
