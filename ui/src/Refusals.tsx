import { CloseButton, createToaster, Toast, Toaster } from "@chakra-ui/react";
import { useEffect } from "react";

const READING = new Set(["GET", "HEAD", "OPTIONS"]);
// Airflow's word where it has no reason.
const NO_REASON = "Forbidden";
const DURATION_MS = 30_000;
// How long Airflow's own page may take to show a reason.
const MOMENT_MS = 500;
// Some of Airflow's dialogs, such as that of Trigger, show the server's words in such an element.
const ALERT = "[data-testid='error-alert']";

const toaster = createToaster({ duration: DURATION_MS, pauseOnPageIdle: true, placement: "top" });

/** The reason in an answer that is no success; undefined where the answer has none, or the login has ended. */
const reasonOf = (request: XMLHttpRequest): string | undefined => {
  if (request.status < 400 || request.status === 401) {
    return undefined;
  }
  try {
    const body: unknown = request.responseType === "json" ? request.response : JSON.parse(request.responseText);
    const detail = (body as { detail?: unknown } | null)?.detail;
    return typeof detail === "string" && detail !== NO_REASON ? detail : undefined;
  } catch {
    return undefined;
  }
};

/** Tell the reason of each refused change that a page of Airflow's own asks for; return what ends this. */
const watch = (tell: (reason: string) => void): (() => void) => {
  const { prototype } = XMLHttpRequest;
  const open = Reflect.get(prototype, "open") as (...args: unknown[]) => void;
  prototype.open = function watched(this: XMLHttpRequest, method: string, ...rest: unknown[]) {
    if (!READING.has(method.toUpperCase())) {
      this.addEventListener("load", () => {
        const reason = reasonOf(this);
        if (reason !== undefined) {
          tell(reason);
        }
      });
    }
    open.call(this, method, ...rest);
  };
  return () => {
    prototype.open = open;
  };
};

const alertWith = (reason: string) =>
  [...document.querySelectorAll(ALERT)].find((alert) => alert.textContent?.includes(reason));

/** Say a reason, unless Airflow's own page says it; take it back when the page says it later. */
const say = (reason: string) => {
  let toast: string | undefined;
  const stop = () => {
    observer.disconnect();
    clearTimeout(soon);
    clearTimeout(end);
  };
  const look = () => {
    const alert = alertWith(reason);
    if (alert) {
      stop();
      alert.scrollIntoView({ block: "nearest" });
      if (toast !== undefined) {
        toaster.dismiss(toast);
      }
    }
  };
  const observer = new MutationObserver(look);
  observer.observe(document.body, { characterData: true, childList: true, subtree: true });
  const soon = setTimeout(() => {
    toast = toaster.create({ description: reason, title: "Not done", type: "error" });
  }, MOMENT_MS);
  const end = setTimeout(stop, DURATION_MS);
  look();
};

/**
 * Says why the API server refused a change. Airflow's own pages only say "Access Denied", or the status in words.
 * Airflow's pages send their requests by XMLHttpRequest, the board's by fetch: those say their reasons themselves.
 */
export const Refusals = () => {
  useEffect(() => watch(say), []);

  return (
    <Toaster toaster={toaster}>
      {(toast) => (
        <Toast.Root data-testid="slipway-refusal" width="min(36rem, 90vw)">
          <div>
            <Toast.Title>{toast.title}</Toast.Title>
            <Toast.Description opacity={1} overflowWrap="anywhere">{toast.description}</Toast.Description>
          </div>
          <Toast.CloseTrigger asChild>
            <CloseButton aria-label="Close" size="xs" />
          </Toast.CloseTrigger>
        </Toast.Root>
      )}
    </Toaster>
  );
};
