// Keeps a page as it is on the server, part by part, and says so when it is not. Reading needs none of this.
"use strict";
(() => {
  const body = document.body, live = document.getElementById("live"), late = document.getElementById("late"), said = document.getElementById("said"), again = document.getElementById("again");
  const { stream, update, build } = body.dataset, list = document.getElementById("rollouts"), title = document.title;
  const SILENCE = 12000, AGAIN = 2000, REOPEN = 3000, APART = 250; // milliseconds: two beats and a bit; until the next try; between two updates
  let source = null, heard = 0, opened = -REOPEN, polled = -SILENCE, at = live.dataset.at, have = body.dataset.have, busy = false, due = false, fresh = false, shut = "";
  document.documentElement.classList.add("js");

  // whether it is live

  function show(state, text) {
    live.classList.toggle("on", state === "on");
    body.classList.toggle("stale", state === "stale");
    if (live.textContent !== text) live.textContent = text;
    document.title = state === "stale" ? "not live: " + title : title;
  }
  function judge() {
    const now = performance.now(), time = at.slice(11, 19);
    if (document.hidden) show("stale", "paused since " + time);
    else if (fresh && !shut && isOpen() && now - heard < SILENCE) show("on", "live");
    else if (!shut && now - polled < SILENCE) show("", "no stream; looked again at " + time);
    else show("stale", "not live since " + time + (shut ? ": " + shut : ""));
  }
  const isOpen = () => source !== null && source.readyState === EventSource.OPEN;

  function open() {
    if (source) source.close();
    heard = opened = performance.now();
    source = new EventSource(stream);
    for (const kind of ["hello", "journal", "evaluated", "reloaded", "reset", "beat"]) source.addEventListener(kind, (one) => hear(kind, JSON.parse(one.data)));
    source.onerror = () => { fresh = false; judge(); refresh(); };
  }
  function hear(kind, news) {
    heard = performance.now();
    at = news.at > at ? news.at : at;
    if ("late" in news) { late.hidden = news.late < 15; late.querySelector("b").textContent = news.late; }
    if (kind !== "beat") refresh();
    if (kind === "journal" && news.what) said.textContent = news.rollout + ": " + news.what;
  }
  function look() { // somebody looks at the page: it must be live, or say that it is not
    if (document.hidden) return;
    const now = performance.now(), dead = !source || source.readyState === EventSource.CLOSED || now - heard > SILENCE;
    if (dead && (!source || now - opened > REOPEN)) { fresh = false; open(); refresh(); }
    judge();
  }
  function leave() { // a page that nobody sees gives its connection back; browsers have six for all pages together
    if (!document.hidden) return look();
    if (source) source.close();
    source = null; fresh = false;
    judge();
  }

  // what has changed

  async function refresh() {
    if (busy) { due = true; return; }
    busy = true; due = false;
    try {
      const answer = await fetch(update + (update.includes("?") ? "&" : "?") + "have=" + encodeURIComponent(have), { cache: "no-store", redirect: "error" });
      shut = { 401: "you are logged out", 403: "you may not read this", 404: "it is not there any more" }[answer.status] || "";
      again.hidden = answer.status !== 401;
      if (!answer.ok) throw new Error(String(answer.status));
      const news = await answer.json();
      if (news.again || (news.build && news.build !== build)) return location.reload();
      take(news);
      have = news.have;
      at = news.at > at ? news.at : at;
      fresh = isOpen();
      if (!fresh) polled = performance.now();
    } catch { fresh = false; polled = -SILENCE; due = due || !shut; }
    judge();
    setTimeout(() => { busy = false; if (due && source) refresh(); }, fresh ? APART : AGAIN);
  }
  function take(news) {
    for (const [id, html] of Object.entries(news.parts)) swap(document.getElementById(id), html);
    for (const name of news.gone || []) list.querySelector(`[data-name="${CSS.escape(name)}"]`)?.remove();
    for (const [name, [rank, html]] of Object.entries(news.rows || {})) place(swap(list.querySelector(`[data-name="${CSS.escape(name)}"]`), html), rank, name);
    if (list) sift();
  }
  function swap(old, html) {
    const box = document.createElement("template");
    box.innerHTML = html;
    const made = box.content.firstElementChild;
    if (!old) { list.append(made); return made; }
    for (const one of old.querySelectorAll("details[open]")) made.querySelector("#" + CSS.escape(one.id))?.setAttribute("open", "");
    const path = pathTo(old, document.activeElement);
    if (made.matches(".row")) made.classList.add("fresh");
    old.replaceWith(made);
    if (path) (made.querySelector(path) || made.querySelector("a, summary") || document.getElementById("main")).focus({ preventScroll: true });
    return made;
  }
  function pathTo(old, focused) { // how to find again in the new part what had the focus in the old one
    if (!old.contains(focused)) return "";
    if (focused.id) return "#" + CSS.escape(focused.id);
    if (focused.hasAttribute("href")) return `a[href="${CSS.escape(focused.getAttribute("href"))}"]`;
    const owner = focused.closest("[id]");
    return `#${CSS.escape(owner.id)} ${focused.localName}`;
  }
  function place(row, rank, name) { // the most pressing first, then by name; a row that stands right is left where it is
    const before = (one, other) => (one[0] - other[0] || (one[1] < other[1] ? -1 : 1)) < 0;
    const of = (one) => [Number(one.dataset.rank), one.dataset.name];
    const [above, below] = [row.previousElementSibling, row.nextElementSibling];
    if ((!above || before(of(above), [rank, name])) && (!below || before([rank, name], of(below)))) return;
    const focused = row.contains(document.activeElement) ? document.activeElement : null;
    list.insertBefore(row, [...list.children].find((one) => one !== row && before([rank, name], of(one))) || null);
    focused?.focus({ preventScroll: true });
  }

  // the filter of the list

  function sift() {
    const words = document.getElementById("q").value.toLowerCase().split(/\s+/).filter(Boolean), phase = document.getElementById("phase").value;
    let count = 0;
    for (const row of list.children) {
      const text = words.length ? row.textContent.toLowerCase() : "";
      const fits = !phase || row.dataset.phase === phase || (phase === "needs" && Number(row.dataset.rank) < 3);
      row.hidden = !(fits && words.every((word) => text.includes(word)));
      count += !row.hidden;
    }
    document.getElementById("count").textContent = `${count.toLocaleString("en")} of ${list.children.length.toLocaleString("en")}`;
  }
  if (list) {
    const form = document.getElementById("filter");
    form.addEventListener("input", () => {
      sift();
      history.replaceState(null, "", form.action + "?" + new URLSearchParams(new FormData(form)));
    });
    form.addEventListener("submit", (one) => { one.preventDefault(); sift(); });
    list.addEventListener("animationend", (one) => one.target.classList.remove("fresh"));
  }

  document.addEventListener("visibilitychange", leave);
  addEventListener("pageshow", look);
  addEventListener("online", look);
  addEventListener("offline", () => { fresh = false; polled = -SILENCE; judge(); });
  setInterval(look, 1000);
  look();
})();
