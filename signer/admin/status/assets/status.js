// Asks for the page anew every few seconds and changes only what is different in it, so that nothing flickers, the
// place on the page stays, and so do focus and selection.

const EVERY_MS = 5000;
const WAIT_FOR_TYPING_MS = 250;
const box = document.getElementById("q");

let address = location.href;
let running = null;
let again = 0;

async function refresh() {
  running?.abort();
  const mine = (running = new AbortController());
  clearTimeout(again);
  try {
    const timeout = AbortSignal.timeout(4 * EVERY_MS);
    const answer = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.any([mine.signal, timeout]) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (mine.signal.aborted) return;
    if (!fresh.getElementById("updated")) throw new Error("no status page");
    document.title = fresh.title;
    keepInPlace(() => {
      for (const part of ["header", "main"]) match(document.querySelector(part), fresh.querySelector(part));
    });
  } catch (error) {
    if (mine.signal.aborted) return;
    const updated = document.getElementById("updated");
    updated.classList.add("stale");
    updated.title = String(error);
    document.getElementById("verdict").textContent = "does not answer";
    document.getElementById("verdict").className = "verdict bad";
  }
  if (!document.hidden) again = setTimeout(refresh, EVERY_MS);
}

// What is in the middle of the window stays there when something above it grows. Whole sections, not rows: a row may
// move for being busier, and the page must not run after it.
function keepInPlace(change) {
  const seen = document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest("main > *");
  const before = seen?.getBoundingClientRect().top;
  change();
  if (seen?.isConnected && scrollY > 0) scrollBy(0, seen.getBoundingClientRect().top - before);
}

// Makes `old` look like `fresh`, keeping every node that can be kept.
function match(old, fresh) {
  if (old.isEqualNode(fresh) || old === box) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);

  const keyed = new Map([...old.children].filter((each) => each.dataset?.key).map((each) => [each.dataset.key, each]));
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const key = child.dataset?.key;
    let kept = key === undefined ? (isLike(place, child) ? place : null) : keyed.get(key);
    if (kept) {
      if (kept !== place) old.insertBefore(kept, place);
      match(kept, child);
      keyed.delete(key);
    } else {
      kept = old.insertBefore(document.importNode(child, true), place);
    }
    place = kept.nextSibling;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function isLike(old, fresh) {
  return old !== null && old.nodeName === fresh.nodeName && old.dataset?.key === undefined;
}

function look(query) {
  const url = new URL(location.href);
  url.search = query ? `?q=${encodeURIComponent(query)}` : "";
  url.hash = "";
  history.replaceState(null, "", url);
  address = url.href;
  refresh();
}

let typing = 0;
box.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => look(box.value.trim()), WAIT_FOR_TYPING_MS);
});
box.form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typing);
  look(box.value.trim());
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
again = setTimeout(refresh, EVERY_MS);
