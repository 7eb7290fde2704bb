// Requests the page every few seconds and changes only the nodes that differ, so that nothing flickers, and scroll
// position, focus and selection stay.

const REFRESH_MS = 5000;
const TYPING_PAUSE_MS = 250;
const searchBox = document.getElementById("q");

let address = location.href;
let request = null;
let timer = 0;

async function refresh() {
  request?.abort();
  const current = (request = new AbortController());
  clearTimeout(timer);
  try {
    const timeout = AbortSignal.timeout(4 * REFRESH_MS);
    const response = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.any([current.signal, timeout]) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    if (current.signal.aborted) return;
    if (!fresh.getElementById("updated")) throw new Error("not a status page");
    document.title = fresh.title;
    keepScrollPosition(() => {
      for (const part of ["header", "main"]) update(document.querySelector(part), fresh.querySelector(part));
    });
  } catch (error) {
    if (current.signal.aborted) return;
    const updated = document.getElementById("updated");
    updated.classList.add("stale");
    updated.title = String(error);
    const state = document.getElementById("state");
    state.textContent = "no response";
    state.className = "state-line bad";
  }
  if (!document.hidden) timer = setTimeout(refresh, REFRESH_MS);
}

// Keeps the section in the middle of the window in place when something above it grows. Sections, not rows: a row moves
// when its app gets busier, and the page must not follow it.
function keepScrollPosition(change) {
  const section = document.elementFromPoint(innerWidth / 2, innerHeight / 2)?.closest("main > *");
  const before = section?.getBoundingClientRect().top;
  change();
  if (section?.isConnected && scrollY > 0) scrollBy(0, section.getBoundingClientRect().top - before);
}

// Makes `old` equal to `fresh`, and keeps every node that it can.
function update(old, fresh) {
  if (old.isEqualNode(fresh) || old === searchBox) return;
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
    let kept = key === undefined ? (isSameKind(place, child) ? place : null) : keyed.get(key);
    if (kept) {
      if (kept !== place) old.insertBefore(kept, place);
      update(kept, child);
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

function isSameKind(old, fresh) {
  return old !== null && old.nodeName === fresh.nodeName && old.dataset?.key === undefined;
}

function search(query) {
  const url = new URL(location.href);
  url.search = query ? `?q=${encodeURIComponent(query)}` : "";
  url.hash = "";
  history.replaceState(null, "", url);
  address = url.href;
  refresh();
}

let typingTimer = 0;
searchBox.addEventListener("input", () => {
  clearTimeout(typingTimer);
  typingTimer = setTimeout(() => search(searchBox.value.trim()), TYPING_PAUSE_MS);
});
searchBox.form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(typingTimer);
  search(searchBox.value.trim());
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
});
timer = setTimeout(refresh, REFRESH_MS);
