// The objects in the bucket of the selected app, the newest first.
import { $, httpUrl, setText } from "./dom.js";
import { fetchJson } from "./failures.js";
import { joinDetails, kindText, sizeText, timeText } from "./format.js";
import { text } from "./text.js";

const FEW = 12;
const MAX_SHOWN = 60;

let loading = null;
let objects = [];
let maxShown = FEW;

/** Loads and shows the objects of an app; during a request for the same app, one more request follows it. */
export async function loadObjects(app) {
  if (loading?.app === app) return void (loading.isStale = true);
  loading?.controller.abort(); // of the previous app
  const current = (loading = { app, isStale: false, controller: new AbortController() });
  try {
    objects = await fetchJson(`/demo/objects?app=${encodeURIComponent(app.id)}`, current.controller);
    showObjects(app);
    setText($("arrived-message"), "");
  } catch (error) {
    if (loading === current) setText($("arrived-message"), error.message);
  }
  if (loading !== current) return;
  loading = null;
  if (current.isStale) loadObjects(app);
}

/** Removes the objects of the previous app. */
export function clearObjects() {
  objects = [];
  maxShown = FEW;
  $("arrived").replaceChildren();
  for (const id of ["arrived-count", "arrived-message"]) setText($(id), "");
  for (const id of ["arrived-empty", "show-more"]) $(id).hidden = true;
}

function showObjects(app) {
  const existing = new Map([...$("arrived").children].map((element) => [element.dataset.version, element]));
  const shown = objects.slice(0, maxShown).map((object) => {
    const version = JSON.stringify([app.id, object.key, object.etag, object.last_modified]);
    return existing.get(version) ?? objectElement(object, version);
  });
  const isSame = shown.length === existing.size && shown.every((element, index) => element === $("arrived").children[index]);
  if (!isSame) $("arrived").replaceChildren(...shown);
  const count = objects.length;
  const name = count > shown.length ? "newest_objects" : count === 1 ? "one_object" : "objects";
  setText($("arrived-count"), count ? text(name, { count, shown: shown.length }) : "");
  $("arrived-empty").hidden = count > 0;
  $("show-more").hidden = shown.length === Math.min(count, MAX_SHOWN);
  $("show-more").onclick = () => {
    maxShown = MAX_SHOWN;
    showObjects(app);
    $("arrived").children[FEW].querySelector("a").focus();
  };
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
