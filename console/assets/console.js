// Optional: everything except the keys works without it. No eval, no inline handlers, no styles set from here.
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      field.select();
      try { await navigator.clipboard.writeText(field.value); button.textContent = "Copied"; } catch { /* the text is selected instead */ }
    });
  }

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
    if (event.key === "/") { const field = $("main :is(input, select):not([type=hidden], [type=checkbox])"); if (field) { event.preventDefault(); field.focus(); } return; }
    if (event.key === "j" || event.key === "k") {
      const rows = [...document.querySelectorAll("main tbody tr")].map((row) => $("a", row)).filter(Boolean);
      const at = rows.findIndex((link) => link.closest("tr").contains(document.activeElement));
      rows[Math.min(Math.max(at + (event.key === "j" ? 1 : -1), 0), rows.length - 1)]?.focus();
    }
  });
})();
