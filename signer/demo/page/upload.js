// The upload page: the library requests forms from the signer and uploads each file to OSS.
// Text from servers and file names is inserted as text, never as markup.
import { $, announce, createElement, setText } from "./dom.js";
import { fetchJson, uploadFailure } from "./failures.js";
import { createUploader } from "./upload_library.js"; // built from miniprogram/upload
import { showForm } from "./signed_form.js";
import { kindText, sizeText } from "./text.js";
import { clearObjects, loadObjects } from "./uploaded_objects.js";

const CONCURRENT_UPLOADS = 3;

const state = { apps: [], app: null, uploads: [], uploaders: new Map() };

// ---- apps ------------------------------------------------------------------------------------------------------

async function loadApps() {
  let apps;
  try {
    apps = await fetchJson("/demo/apps");
  } catch (error) {
    setText($("notice"), error.message);
    return;
  }
  setText($("notice"), apps.length ? "" : "No app is defined yet. Add one to the definitions: it appears here without a restart.");
  if (JSON.stringify(apps) === JSON.stringify(state.apps)) return;
  state.apps = apps;
  const selectedId = state.app?.id ?? new URLSearchParams(location.search).get("app");
  const options = apps.map((app) => {
    const name = app.name && app.name !== app.id ? `${app.name} (${app.id})` : app.id;
    return new Option(app.enabled ? name : `${name}: disabled`, app.id);
  });
  $("app").replaceChildren(...options);
  for (const control of ["app", "file", "refresh"]) $(control).disabled = apps.length === 0;
  const selected = apps.find((app) => app.id === selectedId) ?? apps.find((app) => app.enabled) ?? apps[0];
  if (selected) select(selected);
}

function select(app) {
  const changed = app.id !== state.app?.id;
  state.app = app;
  $("app").value = app.id;
  $("app-off").hidden = app.enabled;
  $("rules").hidden = false;
  $("rule-size").textContent = sizeText(app.max_size_bytes);
  const types = app.content_types.length ? app.content_types : ["any type"];
  $("rule-types").replaceChildren(...types.map((type) => createElement("span", type, "chip")));
  $("rule-target").textContent = `oss://${app.bucket}/${app.key_prefix}`;
  $("rule-region").textContent = ` ${app.region}`;
  const naming = { client: "by this page: unique, with the file’s name", uuid: "randomly", template: "by the app’s template" };
  $("rule-naming").textContent = naming[app.key] ?? app.key;
  $("file").accept = app.content_types.join(",");
  if (changed) {
    const address = new URL(location.href);
    address.searchParams.set("app", app.id);
    history.replaceState(null, "", address);
    clearObjects();
    loadObjects(app);
  }
}

// ---- uploads ---------------------------------------------------------------------------------------------------

function uploaderOf(app) {
  if (!state.uploaders.has(app.id)) {
    const onProgress = (progress) => showTotal(app, progress);
    state.uploaders.set(app.id, createUploader({ endpoint: location.origin, appId: app.id, concurrency: CONCURRENT_UPLOADS, onProgress }));
  }
  return state.uploaders.get(app.id);
}

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

/** Changes and shows the state of an upload; the focus stays in the row when its button is hidden. */
function setState(upload, name, text, failure = null) {
  const { element } = upload;
  const [cancel, retry] = element.querySelectorAll("button");
  const isRunning = name === "waiting" || name === "uploading";
  const hadFocus = document.activeElement === cancel || document.activeElement === retry;
  upload.state = name;
  element.dataset.state = name;
  element.querySelector(".state").textContent = text;
  setText(element.querySelector(".message"), failure?.message ?? "");
  setText(element.querySelector(".trace"), failure?.details ?? "");
  cancel.hidden = !isRunning;
  retry.hidden = isRunning || name === "done";
  if (hadFocus) (isRunning ? cancel : name === "done" ? element : retry).focus({ preventScroll: true });
  showControls();
}

function showControls() {
  const hasState = (...names) => state.uploads.some((upload) => names.includes(upload.state));
  $("files-bar").hidden = state.uploads.length === 0;
  $("clear").hidden = !hasState("done", "cancelled");
  $("retry-all").hidden = !hasState("failed", "cancelled");
  $("cancel-all").hidden = !hasState("waiting", "uploading");
}

function progress(upload, percent) {
  upload.element.querySelector("progress").value = percent;
  upload.element.querySelector(".state").textContent = percent < 99 ? `Uploading, ${percent} %` : "Waiting for OSS";
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
    if (name === "queued") setState(upload, "waiting", "Waiting");
    if (name === "signing") setState(upload, "uploading", "Requesting a form");
    if (name === "waiting") setState(upload, "uploading", `Retrying: ${uploadFailure(about, upload).message}`);
    if (name !== "uploading") return void (upload.form = null);
    upload.form = about;
    setState(upload, "uploading", "Uploading");
    showForm(about, app, about.fields.key);
  };
  const onProgress = ({ percent }) => progress(upload, percent);
  try {
    const { key } = await uploaderOf(app).upload(file, { signal, retryOf, onState, onProgress });
    upload.element.dataset.key = key;
    setState(upload, "done", `Uploaded as ${key}`);
    announce(`${file.name}: uploaded`);
    showForm(upload.form, app, key);
    if (app.id === state.app.id) loadObjects(state.app);
  } catch (error) {
    upload.error = error;
    if (error.code === "cancelled") {
      setState(upload, "cancelled", "Cancelled");
      announce(`${file.name}: cancelled`);
    } else {
      const failure = uploadFailure(error, upload);
      setState(upload, "failed", "Failed", failure);
      announce(`${file.name}: ${failure.message}`);
    }
  }
}

function clearFinished() {
  const isFinished = (upload) => upload.state === "done" || upload.state === "cancelled";
  for (const upload of state.uploads.filter(isFinished)) upload.element.remove();
  state.uploads = state.uploads.filter((upload) => !isFinished(upload));
  showControls();
  $("file").focus();
}

function retryAll() {
  for (const upload of state.uploads) if (upload.state === "failed" || upload.state === "cancelled") run(upload);
}

// ---- choosing and dropping files -------------------------------------------------------------------------------

function droppedFiles(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory);
  setText($("notice"), folders.length ? "Folders cannot be uploaded: open them and drop the files inside." : "");
  return items.filter((item) => !folders.includes(item)).map((item) => item.getAsFile()).filter(Boolean);
}

$("app").addEventListener("change", () => select(state.apps.find((app) => app.id === $("app").value)));
$("file").addEventListener("change", () => {
  add([...$("file").files]);
  $("file").value = ""; // allows choosing the same file again
});
$("clear").addEventListener("click", clearFinished);
$("retry-all").addEventListener("click", retryAll);
$("cancel-all").addEventListener("click", () => state.uploaders.forEach((uploader) => uploader.abort()));
$("refresh").addEventListener("click", () => loadObjects(state.app));
window.addEventListener("focus", () => loadApps()); // shows edited definitions without a reload

// A file dropped next to the zone is uploaded as well; the browser must not open it.
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
  add(droppedFiles(event.dataTransfer));
});

loadApps();
