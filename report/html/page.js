"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const body = $("rows"), tools = $("tools");
  if (!body || !tools) return;
  const rows = Array.from(body.rows), words = new WeakMap();
  const q = $("q"), cls = $("class"), fix = $("fixable"), order = $("order"), count = $("count"), empty = $("empty"), clear = $("clear");
  const sevs = Array.from(tools.querySelectorAll("input[name=sev]"));
  let only = null, started = false;
  tools.hidden = false;
  const text = (tr) => {
    let t = words.get(tr);
    if (t === undefined) words.set(tr, t = tr.textContent.toLowerCase());
    return t;
  };
  const remember = () => {
    if (!started) return; // an address that leads to one finding stays
    const p = new URLSearchParams();
    if (q.value) p.set("q", q.value);
    if (cls.value) p.set("class", cls.value);
    if (fix.checked) p.set("fix", "1");
    const off = sevs.filter((s) => !s.checked).map((s) => s.value);
    if (off.length) p.set("without", off.join("."));
    if (order.value !== "sev") p.set("order", order.value);
    try { history.replaceState(null, "", p.size ? "#?" + p : location.pathname + location.search); } catch { /* some viewers forbid it */ }
  };
  const filter = () => {
    const want = q.value.toLowerCase().split(/\s+/).filter(Boolean), shown = new Set(sevs.filter((s) => s.checked).map((s) => s.value));
    let n = 0;
    for (const tr of rows) {
      const d = tr.dataset;
      const ok = (!only || only.has(tr.id)) && shown.has(d.sev) && (!cls.value || d.class === cls.value) && (!fix.checked || d.fix === "1") && want.every((w) => text(tr).includes(w));
      if (tr.hidden === ok) tr.hidden = !ok;
      if (ok) n++;
    }
    count.textContent = n === rows.length ? rows.length.toLocaleString("en") + " findings" : n.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " findings";
    empty.hidden = n > 0;
    clear.hidden = n === rows.length;
    remember();
  };
  const natural = new Intl.Collator("en", { numeric: true }).compare;
  const facts = new Map(rows.map((tr, n) => {
    const d = tr.dataset;
    return [tr, { n, sev: +d.sev, id: d.id, in: d.in, epss: +d.kev * 2 + +d.epss }];
  }));
  const keys = {
    sev: (a, b) => b.sev - a.sev,
    id: (a, b) => natural(a.id, b.id),
    in: (a, b) => natural(a.in, b.in),
    epss: (a, b) => b.epss - a.epss,
  };
  const sort = (by) => {
    order.value = by;
    const key = keys[by];
    rows.sort((x, y) => { const a = facts.get(x), b = facts.get(y); return key(a, b) || a.n - b.n; });
    const sorted = new DocumentFragment();
    for (const tr of rows) sorted.append(tr);
    body.append(sorted);
    for (const th of document.querySelectorAll("th[data-key]")) {
      if (th.dataset.key === by) th.setAttribute("aria-sort", by === "sev" ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    }
    remember();
  };
  const all = () => {
    only = null; q.value = ""; cls.value = ""; fix.checked = false;
    for (const s of sevs) s.checked = true;
  };
  let due = 0;
  const soon = () => { cancelAnimationFrame(due); due = requestAnimationFrame(filter); };
  q.addEventListener("input", soon);
  for (const el of [cls, fix, ...sevs]) el.addEventListener("change", filter);
  order.addEventListener("change", () => sort(order.value));
  clear.addEventListener("click", () => { all(); filter(); q.focus(); });
  for (const th of document.querySelectorAll("th[data-key]")) {
    const b = document.createElement("button");
    b.type = "button";
    b.textContent = th.textContent;
    b.addEventListener("click", () => sort(th.dataset.key));
    th.replaceChildren(b);
  }
  const go = () => { filter(); $("findings").scrollIntoView(); $("findings").focus({ preventScroll: true }); };
  for (const b of document.querySelectorAll("button[data-show]")) {
    b.hidden = false;
    b.addEventListener("click", () => { all(); only = new Set(b.dataset.show.split(" ")); go(); });
  }
  for (const td of document.querySelectorAll("td[data-c]")) {
    const b = document.createElement("button");
    b.type = "button";
    b.textContent = td.textContent;
    b.setAttribute("aria-label", td.dataset.say);
    b.addEventListener("click", () => {
      all();
      cls.value = td.dataset.c;
      if (td.dataset.s === "fix") fix.checked = true;
      else for (const s of sevs) s.checked = s.value === td.dataset.s;
      go();
    });
    td.replaceChildren(b);
  }
  document.addEventListener("keydown", (e) => {
    const typing = e.target instanceof Element && e.target.matches("input[type=search], select, textarea");
    if (e.key === "/" && !typing && !e.ctrlKey && !e.metaKey && !e.altKey) {
      e.preventDefault();
      q.focus();
      q.select();
    } else if (e.key === "Escape" && e.target === q) {
      q.value = "";
      filter();
    }
  });
  const restore = (hash) => {
    const p = new URLSearchParams(hash.slice(2)), off = (p.get("without") || "").split("."), by = p.get("order");
    only = null;
    q.value = p.get("q") || "";
    cls.value = p.get("class") || "";
    if (cls.selectedIndex < 0) cls.value = "";
    fix.checked = p.get("fix") === "1";
    for (const s of sevs) s.checked = !off.includes(s.value);
    order.value = Object.hasOwn(keys, by) ? by : "sev";
    sort(order.value);
    filter();
  };
  const ours = () => location.hash.startsWith("#?");
  addEventListener("hashchange", () => { if (ours() || !location.hash) restore(location.hash); });
  restore(ours() ? location.hash : "");
  started = true;
})();
