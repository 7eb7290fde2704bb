// The upload page: the library requests forms from the signer and uploads each file to OSS.
// Text from servers and file names is inserted as text, never as markup.
import { createUploader } from "./oss-upload.js"; // built from miniprogram/oss-upload

const AT_ONCE = 3;
const ARRIVED_SHOWN = 60;
const MASK = "***";

const $ = (id) => document.getElementById(id);
const state = { apps: [], app: null, uploads: [], uploaders: new Map(), arrivals: null };

// ---- texts -----------------------------------------------------------------------------------------------------

function sizeText(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && value < 100 ? 1 : 0;
  return `${Number(value.toFixed(digits))} ${units[unit]}`;
}

function tooLargeText(bytes, most) {
  const exact = (count) => `${count.toLocaleString("en")} bytes`;
  const show = sizeText(bytes) === sizeText(most) ? exact : sizeText;
  return `Too large: the file has ${show(bytes)}; this app takes at most ${show(most)}.`;
}

function whenText(iso) {
  const when = new Date(iso);
  if (Number.isNaN(when.getTime())) return "";
  const today = when.toDateString() === new Date().toDateString();
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return today ? when.toLocaleTimeString([], time) : when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

function kindText(name) {
  const extension = /\.([a-z0-9]{1,5})$/i.exec(name);
  return extension ? extension[1].toUpperCase() : "FILE";
}

function sentence(text) {
  const trimmed = text.trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

function announce(text) {
  $("announce").textContent = text;
}

function say(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

function node(tag, text, className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  made.className = className;
  return made;
}

function webAddress(text) {
  try {
    const url = new URL(text, location.href);
    return ["http:", "https:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

// ---- requests to the signer and to OSS --------------------------------------------------------------------------

/** What went wrong, in words for people, and a trace for whoever reads the logs. */
class Refusal extends Error {
  constructor(message, trace = "") {
    super(message);
    this.trace = trace;
  }
}

/** The demo's own answers: which apps there are, and what has arrived. */
async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Refusal("The signer does not answer. Is it still running?");
  }
  const body = await response.json().catch((error) => {
    if (options.signal?.aborted) throw error;
    return null;
  });
  if (response.ok && body !== null) return body;
  const title = body?.title || `The signer answered ${response.status}`;
  throw new Refusal(sentence(body?.detail ? `${title}: ${body.detail}` : title));
}

const trace = (parts) => parts.filter(Boolean).join(" · ");

/** The library's own words are Chinese; this page's are English. */
function refusalOf(error, { file, app, form }) {
  const { code, status, detail, ossCode, ec, requestId, retryAfterSeconds } = error;
  if (code === undefined) {
    console.error(error);
    return new Refusal("This page failed; its console says why.");
  }
  const from = form ? "OSS" : "signer";
  const request = requestId && `request ${requestId}`;
  const where = status ? [`${from} ${status}`, form ? ec && `EC ${ec}` : code, request] : [];
  const again = retryAfterSeconds ? ` Try again in ${retryAfterSeconds} s.` : "";
  return new Refusal(words() + again, trace(where));

  function words() {
    if (code === "too_large") return tooLargeText(file.size, form?.max_size ?? app.max_size_bytes);
    if (code === "unknown") return "The answer was lost and the form is over: it may have arrived. Retry sends it anew.";
    if (ossCode) return sentence(`OSS refused it: ${ossCode}: ${detail}`);
    if (detail) return sentence(detail);
    if (status) return form ? `OSS answered ${status}.` : `The signer answered ${status}.`;
    if (!form) return "The signer does not answer. Is it still running?";
    const host = new URL(form.url).host;
    if (code === "timeout") return `${host} took too long.`;
    return `The connection to ${host} broke off, or its CORS rules forbid this page.`;
  }
}

function uploaderOf(app) {
  if (!state.uploaders.has(app.id)) {
    const onProgress = (progress) => showTotal(app, progress);
    state.uploaders.set(app.id, createUploader({ endpoint: location.origin, appId: app.id, concurrency: AT_ONCE, onProgress }));
  }
  return state.uploaders.get(app.id);
}

// ---- apps and their rules --------------------------------------------------------------------------------------

async function loadApps() {
  let apps;
  try {
    apps = await ask("/demo/apps");
  } catch (error) {
    say($("notice"), error.message);
    return;
  }
  say($("notice"), apps.length ? "" : "No app is defined yet. Add one to the YAML: it shows up here without a restart.");
  if (JSON.stringify(apps) === JSON.stringify(state.apps)) return;
  state.apps = apps;
  const wanted = state.app?.id ?? new URLSearchParams(location.search).get("app");
  const options = apps.map((app) => {
    const name = app.name && app.name !== app.id ? `${app.name} (${app.id})` : app.id;
    return new Option(app.enabled ? name : `${name}: switched off`, app.id);
  });
  $("app").replaceChildren(...options);
  for (const control of ["app", "file", "refresh"]) $(control).disabled = apps.length === 0;
  const chosen = apps.find((app) => app.id === wanted) ?? apps.find((app) => app.enabled) ?? apps[0];
  if (chosen) choose(chosen);
}

function choose(app) {
  const changed = app.id !== state.app?.id;
  state.app = app;
  $("app").value = app.id;
  $("app-off").hidden = app.enabled;
  $("rules").hidden = false;
  $("rule-size").textContent = sizeText(app.max_size_bytes);
  const types = app.content_types.length ? app.content_types : ["any type"];
  $("rule-types").replaceChildren(...types.map((type) => node("span", type, "chip")));
  $("rule-target").textContent = `oss://${app.bucket}/${app.key_prefix}`;
  $("rule-region").textContent = ` ${app.region}`;
  const naming = { client: "by this page, unique, with the file’s name", uuid: "at random", template: "by the app’s template" };
  $("rule-naming").textContent = naming[app.key] ?? app.key;
  $("file").accept = app.content_types.join(",");
  if (changed) {
    const address = new URL(location.href);
    address.searchParams.set("app", app.id);
    history.replaceState(null, "", address);
    $("arrived").replaceChildren();
    $("arrived-count").textContent = "";
    loadArrived();
  }
}

// ---- uploads ---------------------------------------------------------------------------------------------------

function add(files) {
  if (!state.app) return;
  const added = [...files].map((file) => {
    const element = $("row").content.firstElementChild.cloneNode(true);
    const upload = { file, app: state.app, element, state: "", cancel: null, form: null, error: null };
    element.querySelector(".kind").textContent = kindText(file.name);
    element.querySelector(".name").textContent = file.name;
    element.querySelector(".name").title = file.name;
    element.querySelector(".size").textContent = sizeText(file.size);
    element.querySelector("progress").setAttribute("aria-label", `Progress of ${file.name}`);
    const [cancel, retry] = element.querySelectorAll("button");
    cancel.setAttribute("aria-label", `Cancel ${file.name}`);
    retry.setAttribute("aria-label", `Retry ${file.name}`);
    cancel.addEventListener("click", () => upload.cancel.abort());
    retry.addEventListener("click", () => run(upload));
    return upload;
  });
  state.uploads.push(...added);
  $("files").append(...added.map((upload) => upload.element));
  for (const upload of added) run(upload);
}

/** Moves an upload to a state and shows it; the focus stays in the row when its button goes away. */
function enter(upload, name, text, refusal = null) {
  const { element } = upload;
  const [cancel, retry] = element.querySelectorAll("button");
  const running = name === "waiting" || name === "uploading";
  const hadFocus = document.activeElement === cancel || document.activeElement === retry;
  upload.state = name;
  element.dataset.state = name;
  element.querySelector(".state").textContent = text;
  say(element.querySelector(".message"), refusal?.message ?? "");
  say(element.querySelector(".trace"), refusal?.trace ?? "");
  cancel.hidden = !running;
  retry.hidden = running || name === "done";
  if (hadFocus) (running ? cancel : name === "done" ? element : retry).focus({ preventScroll: true });
  showControls();
}

function showControls() {
  const any = (...names) => state.uploads.some((upload) => names.includes(upload.state));
  $("files-bar").hidden = state.uploads.length === 0;
  $("clear").hidden = !any("done", "cancelled");
  $("retry-all").hidden = !any("failed", "cancelled");
  $("cancel-all").hidden = !any("waiting", "uploading");
}

function progress(upload, percent) {
  upload.element.querySelector("progress").value = percent;
  upload.element.querySelector(".state").textContent = percent < 99 ? `Uploading, ${percent} %` : "Waiting for OSS to answer";
}

function showTotal(app, { percent, files, finished, loaded, total }) {
  if (app.id !== state.app.id) return;
  $("total").hidden = files < 2;
  $("total-bar").value = percent;
  $("total-text").textContent = `${finished} of ${files} finished, ${percent} % · ${sizeText(loaded)} of ${sizeText(total)}`;
}

async function run(upload) {
  const { file, error: retryOf } = upload;
  const app = (upload.app = state.apps.find((each) => each.id === upload.app.id) ?? upload.app);
  const { signal } = (upload.cancel = new AbortController());
  upload.element.querySelector("progress").value = 0;
  upload.form = upload.error = null;
  const onState = (name, about) => {
    if (name === "queued") enter(upload, "waiting", "Waiting");
    if (name === "signing") enter(upload, "uploading", "Asking for a form");
    if (name === "waiting") enter(upload, "uploading", `Trying again: ${refusalOf(about, upload).message}`);
    if (name !== "uploading") return void (upload.form = null);
    upload.form = about;
    enter(upload, "uploading", "Uploading");
    showForm(about, app, about.fields.key);
  };
  const onProgress = ({ percent }) => progress(upload, percent);
  try {
    const { key } = await uploaderOf(app).upload(file, { signal, retryOf, onState, onProgress });
    upload.element.dataset.key = key;
    enter(upload, "done", `Arrived as ${key}`);
    announce(`${file.name}: uploaded`);
    showForm(upload.form, app, key);
    if (app.id === state.app.id) loadArrived();
  } catch (error) {
    upload.error = error;
    if (error.code === "cancelled") {
      enter(upload, "cancelled", "Cancelled");
      announce(`${file.name}: cancelled`);
    } else {
      const refusal = refusalOf(error, upload);
      enter(upload, "failed", "Failed", refusal);
      announce(`${file.name}: ${refusal.message}`);
    }
  }
}

function clearFinished() {
  const over = (upload) => upload.state === "done" || upload.state === "cancelled";
  for (const upload of state.uploads.filter(over)) upload.element.remove();
  state.uploads = state.uploads.filter((upload) => !over(upload));
  showControls();
  $("file").focus();
}

function retryAll() {
  for (const upload of state.uploads) if (upload.state === "failed" || upload.state === "cancelled") run(upload);
}

// ---- what was signed -------------------------------------------------------------------------------------------

const isToken = (name) => typeof name === "string" && /security[-_]token$/i.test(name);

/** A condition with the security token in it masked: {"name": value} or [operator, "$name", value]. */
function masked(condition) {
  if (Array.isArray(condition)) return isToken(condition[1]) ? [condition[0], condition[1], MASK] : condition;
  const entries = Object.entries(condition).map(([name, value]) => [name, isToken(name) ? MASK : value]);
  return Object.fromEntries(entries);
}

function inline(value) {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${inline(one)}`).join(", ")}}`;
}

/** The policy field as JSON with one condition a line. */
function policyText(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const { expiration, conditions } = JSON.parse(new TextDecoder().decode(bytes));
  const lines = conditions.map((condition) => `    ${inline(masked(condition))}`);
  return `{\n  "expiration": ${JSON.stringify(expiration)},\n  "conditions": [\n${lines.join(",\n")}\n  ]\n}`;
}

function showForm(form, app, key) {
  $("signed-pair").hidden = false;
  $("signed-note").textContent = `for ${app.name || app.id}, good until ${whenText(form.expires_at)}`;
  $("policy").textContent = policyText(form.fields.policy);
  const rows = Object.entries(form.fields).map(([name, value]) => {
    const row = document.createElement("div");
    const isPolicy = name.toLowerCase() === "policy"; // it holds the token, and is shown decoded
    const quiet = isPolicy || isToken(name);
    const shown = isPolicy ? `${value.length} characters of Base64` : isToken(name) ? MASK : name === "key" ? key : value;
    row.append(node("dt", name), node("dd", shown, quiet ? "quiet" : ""));
    return row;
  });
  const file = document.createElement("div");
  file.append(node("dt", form.file_field), node("dd", "the file", "quiet"));
  $("fields").replaceChildren(...rows, file);
}

// ---- what arrived ----------------------------------------------------------------------------------------------

/** Asks what is there; while one answer is on its way, the next question waits for it. */
async function loadArrived() {
  const { app } = state;
  if (state.arrivals?.app === app) return void (state.arrivals.again = true);
  state.arrivals?.controller.abort(); // of the previous app
  const mine = (state.arrivals = { app, again: false, controller: new AbortController() });
  try {
    const objects = await ask(`/demo/objects?app=${encodeURIComponent(app.id)}`, { signal: mine.controller.signal });
    showArrived(objects, app);
    say($("arrived-message"), "");
  } catch (error) {
    if (!mine.controller.signal.aborted) say($("arrived-message"), error.message);
  }
  if (state.arrivals !== mine) return;
  state.arrivals = null;
  if (mine.again) loadArrived();
}

function showArrived(objects, app) {
  const known = new Map([...$("arrived").children].map((element) => [element.dataset.version, element]));
  const shown = objects.slice(0, ARRIVED_SHOWN).map((object) => {
    const version = JSON.stringify([app.id, object.key, object.etag, object.last_modified]);
    return known.get(version) ?? arrival(object, version);
  });
  $("arrived").replaceChildren(...shown);
  $("arrived-empty").hidden = objects.length > 0;
  const count = objects.length === 1 ? "1 file" : `${objects.length} files`;
  const left = objects.length > shown.length ? `, the newest ${shown.length} shown` : "";
  $("arrived-count").textContent = objects.length ? count + left : "";
}

function arrival(object, version) {
  const element = $("object").content.firstElementChild.cloneNode(true);
  const address = webAddress(object.url);
  const fileName = object.key.split("/").pop().replace(/^[0-9a-z]{15,}-(?=.)/, ""); // without the unique prefix
  const thumb = element.querySelector(".thumb");
  element.dataset.key = object.key;
  element.dataset.version = version;
  if (address) element.querySelector("a").href = address;
  element.querySelector("a").title = object.key;
  element.querySelector(".name").textContent = fileName;
  element.querySelector(".facts").textContent = trace([sizeText(object.size_bytes), whenText(object.last_modified)]);
  thumb.textContent = kindText(fileName);
  if (address && object.content_type?.startsWith("image/")) {
    const image = new Image();
    image.alt = "";
    image.decoding = "async";
    image.onload = () => thumb.replaceChildren(image);
    image.src = address;
  }
  return element;
}

// ---- choosing and dropping -------------------------------------------------------------------------------------

function dropped(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory);
  say($("notice"), folders.length ? "Folders cannot be uploaded: open them and drop the files inside." : "");
  return items.filter((item) => !folders.includes(item)).map((item) => item.getAsFile()).filter(Boolean);
}

$("app").addEventListener("change", () => choose(state.apps.find((app) => app.id === $("app").value)));
$("file").addEventListener("change", () => {
  add([...$("file").files]);
  $("file").value = ""; // allows choosing the same file again
});
$("clear").addEventListener("click", clearFinished);
$("retry-all").addEventListener("click", retryAll);
$("cancel-all").addEventListener("click", () => state.uploaders.forEach((uploader) => uploader.abort()));
$("refresh").addEventListener("click", () => loadArrived());
window.addEventListener("focus", () => loadApps()); // shows an edited YAML without a reload

// A file dropped next to the zone is meant for it; the browser must not open it.
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  add(dropped(event.dataTransfer));
});

loadApps();
