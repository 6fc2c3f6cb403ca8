// Optional: everything except live updates and keys works without it. No eval, no inline handlers, no styles set from here.
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);

  // Live updates. Each message brings the time of its readings, so that the state says "Live" only while messages arrive.
  const LATE_S = 5, OFF_S = 20;
  const pause = $("#pause");
  let stream = $("#stream");
  let last = Date.now(), isPaused = false, isLoggedOut = false;
  const show = (kind, icon, text) => {
    const state = $("#live-state");
    state.className = `live-state${kind ? ` ${kind}` : ""}`;
    $("use", state).setAttribute("href", `#i-${icon}`);
    $("span", state).textContent = text;
    // What is old does not look as if it were not.
    $("#main").classList.toggle("is-late", kind === "is-late" || kind === "is-off");
  };
  const check = () => {
    if (!stream || document.hidden) return;
    const age_s = Math.round((Date.now() - last) / 1000);
    if (isPaused) show("is-paused", "pause", `Paused, ${age_s} s old`);
    else if (isLoggedOut) show("is-off", "bad", "Logged out: reload to log in again");
    else if (age_s >= OFF_S) show("is-off", "bad", `Console unreachable, ${age_s} s old`);
    else if (age_s >= LATE_S) show("is-late", "warn", `Reconnecting, ${age_s} s old`);
  };
  if (stream) {
    pause.hidden = false;
    setInterval(check, 1000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) last = Math.max(last, Date.now() - LATE_S * 1000); });
    document.addEventListener("htmx:sse:before:message", (event) => { if (isPaused) event.detail.cancelled = true; });
    document.addEventListener("htmx:sse:after:message", () => {
      last = Date.now();
      const time = $("#live-state span").textContent.match(/[0-9:]{8}/);
      if (time) show("", "live", `Live · ${time[0]} UTC`);
    });
    document.addEventListener("htmx:sse:error", (event) => { isLoggedOut = event.detail.status === 401; check(); });
    pause.addEventListener("click", () => {
      isPaused = !isPaused;
      pause.setAttribute("aria-pressed", String(isPaused));
      pause.textContent = isPaused ? "Resume updates" : "Pause updates";
      if (isPaused) {
        stream.remove();
      } else {
        stream = stream.cloneNode(false);
        pause.after(stream);
        htmx.process(stream);
      }
      check();
    });
  }

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      field.select();
      try { await navigator.clipboard.writeText(field.value); button.textContent = "Copied"; } catch { /* the text is selected instead */ }
    });
  }

  // A checkbox that selects all others of its form.
  for (const all of document.querySelectorAll("[data-select-all]")) {
    all.addEventListener("change", () => {
      for (const box of all.form.querySelectorAll("input[type=checkbox][name=id]")) box.checked = all.checked;
    });
  }

  // Keys. Single keys can be switched off (WCAG 2.1.4) and never act while a field has the focus.
  const pages = { o: "/", q: "/queue", d: "/dead-letters", r: "/rides", n: "/nodes", f: "/fleet", s: "/settings", t: "/tuning", a: "/audit" };
  let afterG = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable]") && event.target.type !== "checkbox") return;
    if ($("#single-keys")?.checked === false) return;
    if (event.key === "?") { event.preventDefault(); $("#shortcuts")?.togglePopover(); return; }
    if (Date.now() - afterG < 1200 && pages[event.key]) { location.href = pages[event.key]; return; }
    if (event.key === "g") { afterG = Date.now(); return; }
    if (event.key === "/") {
      const field = $("main :is(input, select):not([type=hidden], [type=checkbox])");
      if (field) { event.preventDefault(); field.focus(); }
      return;
    }
    if (event.key === "p") { pause?.click(); return; }
    if (event.key === "j" || event.key === "k") {
      const rows = [...document.querySelectorAll("main tbody tr")].map((row) => $("a", row)).filter(Boolean);
      const at = rows.findIndex((link) => link.closest("tr").contains(document.activeElement));
      rows[Math.min(Math.max(at + (event.key === "j" ? 1 : -1), 0), rows.length - 1)]?.focus();
    }
  });
})();
