"use strict";
// Renews the page in place: what did not change is not touched, so focus, scroll and open details stay.
(() => {
  const EVERY = 10000;
  const form = document.querySelector("form");
  const lost = document.getElementById("lost");
  let turn = 0;
  let timer = 0;

  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes])
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    for (const { name, value } of fresh.attributes)
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    morphChildren(old, fresh);
  }

  function morphChildren(old, fresh) {
    const wanted = new Set([...fresh.children].map(key));
    const kept = new Map();
    for (const child of [...old.children]) {
      if (!key(child)) continue;
      if (wanted.has(key(child))) kept.set(key(child), child);
      else child.remove();
    }
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const same = key(child) ? kept.get(key(child)) : at && !key(at) && at.nodeName === child.nodeName ? at : null;
      if (!same) {
        old.insertBefore(child, at);
        continue;
      }
      if (same === at) at = at.nextSibling;
      else old.insertBefore(same, at);
      morph(same, child);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  function key(node) {
    return node.dataset ? node.dataset.key : undefined;
  }

  // What the reader looks at stays where it is, whatever comes or goes above it.
  function holdingStill(change) {
    const seen = [...document.querySelectorAll("tbody")]
      .map((row) => [row, row.getBoundingClientRect().top])
      .filter(([, top]) => top >= 0);
    change();
    const [row, top] = seen.find(([row]) => row.isConnected) || [];
    if (row && scrollY > 0) scrollBy({ top: row.getBoundingClientRect().top - top, behavior: "instant" });
  }

  async function renew() {
    const mine = ++turn;
    clearTimeout(timer);
    const query = "?" + new URLSearchParams(new FormData(form));
    try {
      const answer = await fetch("./" + query, { cache: "no-store", signal: AbortSignal.timeout(EVERY) });
      if (!answer.ok) throw new Error("refused");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (mine !== turn) return; // a newer one is on its way
      if (document.title !== page.title) document.title = page.title;
      morph(document.querySelector("link[rel=icon]"), page.querySelector("link[rel=icon]"));
      holdingStill(() => {
        for (const part of document.querySelectorAll("[data-part]"))
          morph(part, page.querySelector(`[data-part="${part.dataset.part}"]`));
      });
      lost.hidden = true;
    } catch {
      if (mine !== turn) return;
      lost.hidden = false;
    }
    timer = setTimeout(renew, EVERY);
  }

  function asked() {
    history.replaceState(null, "", "./?" + new URLSearchParams(new FormData(form)));
    renew();
  }

  document.documentElement.classList.add("js");
  form.addEventListener("input", asked);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    asked();
  });
  document.addEventListener("visibilitychange", () => document.hidden ? clearTimeout(timer) : renew());
  timer = setTimeout(renew, EVERY);
})();
