// Optional: everything except the keys works without it. No eval, no inline handlers, no styles set from here.
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  // Keys. Single keys can be switched off (WCAG 2.1.4) and never act while a field has the focus.
  const pages = { o: "/", n: "/nodes" };
  let afterG = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable]") && event.target.type !== "checkbox") return;
    if ($("#single-keys")?.checked === false) return;
    const sheet = $("#shortcuts");
    if (event.key === "?") { event.preventDefault(); sheet?.togglePopover(); return; }
    if (Date.now() - afterG < 1200 && pages[event.key]) { location.href = pages[event.key]; return; }
    if (event.key === "g") { afterG = Date.now(); return; }
  });
})();
