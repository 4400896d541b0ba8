"use strict";
(() => {
  const button = document.getElementById("refresh");
  const told = document.getElementById("refreshed");
  const seconds = 5;
  let paused = sessionStorage.getItem("paused") === "yes";

  const show = () => {
    button.textContent = paused ? "Refresh again" : "Pause";
    told.textContent = paused ? "Paused." : `Refreshes every ${seconds} seconds.`;
  };
  const toTheEnd = (live) => live.querySelectorAll("pre.follow").forEach((log) => { log.scrollTop = log.scrollHeight; });
  const atTheEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 8;

  const replace = (fresh) => {
    const live = document.getElementById("live");
    const held = document.activeElement;
    // Who reads a link or selects a text is not disturbed.
    if (live.contains(held) && !held.id) return;
    if (!getSelection().isCollapsed) return;
    const open = new Set([...live.querySelectorAll("details[open]")].map((one) => one.id));
    const places = [...live.querySelectorAll("[tabindex]")].map((one) =>
      [one.id, one.scrollLeft, one.matches("pre.follow") && atTheEnd(one) ? null : one.scrollTop]);
    fresh.querySelectorAll("details").forEach((one) => { one.open = open.has(one.id); });
    live.replaceWith(document.adoptNode(fresh));
    for (const [id, left, top] of places) {
      const one = document.getElementById(id);
      if (one) { one.scrollLeft = left; one.scrollTop = top === null ? one.scrollHeight : top; }
    }
    if (held.id) document.getElementById(held.id)?.focus({ preventScroll: true });
  };

  const refresh = async () => {
    if (!paused && !document.hidden) {
      try {
        const answer = await fetch(location.href, { cache: "no-store", redirect: "error" });
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
        if (answer.ok && fresh) { replace(fresh); show(); } else told.textContent = "The page is gone.";
      } catch { told.textContent = "The local AWS does not answer."; }
    }
    setTimeout(refresh, seconds * 1000);
  };

  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    sessionStorage.setItem("paused", paused ? "yes" : "no");
    show();
  });
  show();
  toTheEnd(document);
  setTimeout(refresh, seconds * 1000);
})();
