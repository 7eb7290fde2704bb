// The objects in the bucket of the selected app, the newest first.
import { $, httpUrl, setText } from "./dom.js";
import { fetchJson } from "./failures.js";
import { joinDetails, kindText, sizeText, timeText } from "./text.js";

const MAX_SHOWN = 60;

let loading = null;

/** Loads and shows the objects of an app; during a request for the same app, one more request follows it. */
export async function loadObjects(app) {
  if (loading?.app === app) return void (loading.isStale = true);
  loading?.controller.abort(); // of the previous app
  const current = (loading = { app, isStale: false, controller: new AbortController() });
  const { signal } = current.controller;
  try {
    showObjects(await fetchJson(`/demo/objects?app=${encodeURIComponent(app.id)}`, { signal }), app);
    setText($("arrived-message"), "");
  } catch (error) {
    if (!signal.aborted) setText($("arrived-message"), error.message);
  }
  if (loading !== current) return;
  loading = null;
  if (current.isStale) loadObjects(app);
}

/** Removes the objects of the previous app. */
export function clearObjects() {
  $("arrived").replaceChildren();
  $("arrived-count").textContent = "";
}

function showObjects(objects, app) {
  const existing = new Map([...$("arrived").children].map((element) => [element.dataset.version, element]));
  const shown = objects.slice(0, MAX_SHOWN).map((object) => {
    const version = JSON.stringify([app.id, object.key, object.etag, object.last_modified]);
    return existing.get(version) ?? objectElement(object, version);
  });
  $("arrived").replaceChildren(...shown);
  $("arrived-empty").hidden = objects.length > 0;
  const count = objects.length === 1 ? "1 file" : `${objects.length} files`;
  const rest = objects.length > shown.length ? `, the newest ${shown.length} shown` : "";
  $("arrived-count").textContent = objects.length ? count + rest : "";
}

function objectElement(object, version) {
  const element = $("object").content.firstElementChild.cloneNode(true);
  const url = httpUrl(object.url);
  const fileName = object.key.split("/").pop().replace(/^[0-9a-z]{15,}-(?=.)/, ""); // without the unique prefix
  const thumb = element.querySelector(".thumb");
  element.dataset.key = object.key;
  element.dataset.version = version;
  if (url) element.querySelector("a").href = url;
  element.querySelector("a").title = object.key;
  element.querySelector(".name").textContent = fileName;
  element.querySelector(".facts").textContent = joinDetails([sizeText(object.size_bytes), timeText(object.last_modified)]);
  thumb.textContent = kindText(fileName);
  if (url && object.content_type?.startsWith("image/")) {
    const image = new Image();
    image.alt = "";
    image.decoding = "async";
    image.onload = () => thumb.replaceChildren(image);
    image.src = url;
  }
  return element;
}
