import { useSyncExternalStore } from "react";

const QUERY = "(max-width: 60em)";

const subscribe = (changed: () => void) => {
  const media = globalThis.matchMedia(QUERY);
  media.addEventListener("change", changed);
  return () => media.removeEventListener("change", changed);
};

/** Tell whether the window is too narrow for the table of all stages. */
export const useNarrow = () => useSyncExternalStore(subscribe, () => globalThis.matchMedia(QUERY).matches);
