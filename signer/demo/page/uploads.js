// The list of uploads: the library sends each file to OSS, with a form of the signer or in parts that it signs.
import { appNow, selectedApp } from "./apps.js";
import { $, announce, setText } from "./dom.js";
import { uploadFailure } from "./failures.js";
import { sizeText } from "./format.js";
import { createRow, focusRow, showProgress, showState } from "./row.js";
import { createParts } from "./parts.js";
import { showForm } from "./signed_form.js";
import { text } from "./text.js";
import { createPause, createUploader } from "./upload_library.js"; // built from miniprogram/upload
import { loadObjects } from "./uploaded_objects.js";

const CONCURRENT_UPLOADS = 3;
const ACTIONS = { waiting: ["cancel"], uploading: ["cancel"], paused: ["resume", "cancel"], done: ["remove"], cancelled: ["retry", "remove"], failed: ["remove"] };

const uploaders = new Map();
let uploads = [];

function uploaderOf(app) {
  const multipartThreshold = app.multipart?.threshold_bytes ?? Infinity;
  const name = `${app.id} ${multipartThreshold}`;
  if (!uploaders.has(name)) {
    const onProgress = (progress) => showTotal(app, progress);
    const options = { endpoint: location.origin, appId: app.id, concurrency: CONCURRENT_UPLOADS, multipartThreshold, onProgress };
    uploaders.set(name, createUploader(options));
  }
  return uploaders.get(name);
}

/** Uploads files to the selected app, and shows them above the earlier ones. */
export function addFiles(files) {
  const app = selectedApp();
  if (!app || !files.length) return;
  const added = files.map((file) => {
    const upload = { file, app, state: "", cancel: null, pause: null, form: null, error: null, canRetry: false };
    const actions = {
      pause: () => upload.pause.pause(),
      resume: () => upload.pause.resume(),
      cancel: () => upload.cancel.abort(),
      retry: () => run(upload),
      remove: () => remove([upload]),
    };
    upload.element = createRow(file, actions);
    upload.parts = createParts(upload.element);
    return upload;
  });
  uploads = [...added, ...uploads];
  insertBelowFailures(...added.map((upload) => upload.element));
  for (const upload of added) run(upload);
}

function insertBelowFailures(...elements) {
  const fragment = document.createDocumentFragment();
  fragment.append(...elements);
  $("files").insertBefore(fragment, $("files").querySelector(":scope > :not([data-state=failed])"));
}

function setState(upload, state, label, failure = null) {
  const { element } = upload;
  const hadFailed = upload.state === "failed";
  const hadFocus = element.contains(document.activeElement);
  upload.state = state;
  upload.canRetry = state === "cancelled" || Boolean(failure?.canRetry);
  const first = failure?.canRetry ? ["retry"] : state === "uploading" && upload.isInParts ? ["pause"] : [];
  const actions = [...first, ...ACTIONS[state]];
  showState(element, state, { label, failure, actions });
  if (state === "failed") $("files").prepend(element); // a failure is always on top
  else if (hadFailed) insertBelowFailures(element);
  if (hadFocus) focusRow(element);
  showBar();
}

function showBar() {
  const count = (...states) => uploads.filter((upload) => states.includes(upload.state)).length;
  const failed = count("failed");
  $("files-bar").hidden = uploads.length === 0;
  if (uploads.length === 0) $("total").hidden = true;
  setText($("failed-count"), failed ? text("failed_count", { count: failed }) : "");
  $("remove-failed").hidden = !failed;
  $("clear").hidden = !count("done", "cancelled");
  $("retry-all").hidden = !uploads.some((upload) => upload.canRetry);
  $("cancel-all").hidden = !count("waiting", "uploading", "paused");
}

function showTotal(app, { percent, files, finished, loaded, total }) {
  if (app.id !== selectedApp().id) return;
  $("total").hidden = files < 2;
  $("total-bar").value = percent;
  $("total-text").textContent = text("total", { finished, files, percent, loaded: sizeText(loaded), total: sizeText(total) });
}

async function run(upload) {
  const { file, element, parts, error: retryOf } = upload;
  const { name } = file;
  const app = (upload.app = appNow(upload.app));
  const { signal } = (upload.cancel = new AbortController());
  const pause = (upload.pause = createPause());
  element.querySelector("progress").value = 0;
  parts.clear();
  upload.form = upload.error = null;
  upload.isInParts = false;
  let percent = 0;
  const onState = (state, about) => {
    if (state === "queued") setState(upload, "waiting", text("state_waiting"));
    if (state === "signing") setState(upload, "uploading", text("state_signing"));
    if (state === "waiting") setState(upload, "uploading", text("state_retrying", { reason: uploadFailure(about, upload).reason }));
    if (state === "paused") setState(upload, "paused", parts.text("state_paused"));
    if (state !== "uploading") return void (upload.form = null);
    upload.isInParts = !about.fields;
    setState(upload, "uploading", text("state_uploading"));
    if (upload.isInParts) return;
    upload.form = about;
    showForm(about, app, about.fields.key);
  };
  const showPercent = () => showProgress(element, percent, upload.isInParts ? parts.text("state_parts", { percent }) : undefined);
  const onProgress = (progress) => {
    percent = progress.percent;
    showPercent();
  };
  const onPart = (part) => {
    parts.show(part);
    if (upload.isInParts && upload.state === "uploading") showPercent();
  };
  try {
    const { key } = await uploaderOf(app).upload(file, { signal, pause, retryOf, onState, onProgress, onPart });
    element.dataset.key = key;
    setState(upload, "done", text("state_done", { key }));
    announce(text("announcement", { name, text: text("uploaded") }));
    if (upload.form) showForm(upload.form, app, key);
    if (app.id === selectedApp().id) loadObjects(app);
  } catch (error) {
    upload.error = error;
    const isCancelled = error.code === "cancelled";
    const failure = isCancelled ? null : uploadFailure(error, upload);
    setState(upload, isCancelled ? "cancelled" : "failed", text(isCancelled ? "state_cancelled" : "state_failed"), failure);
    announce(text("announcement", { name, text: failure?.message ?? text("state_cancelled") }));
  }
}

function remove(removed) {
  const hadFocus = removed.find(({ element }) => element.contains(document.activeElement));
  const next = hadFocus?.element.nextElementSibling ?? hadFocus?.element.previousElementSibling;
  for (const { element } of removed) element.remove();
  uploads = uploads.filter((upload) => !removed.includes(upload));
  showBar();
  if (next?.isConnected) focusRow(next);
  else if (document.activeElement === document.body || document.activeElement?.hidden) $("file").focus({ preventScroll: true });
}

function removeWithState(...states) {
  remove(uploads.filter((upload) => states.includes(upload.state)));
}

$("app").addEventListener("change", () => { $("total").hidden = true; }); // it was that of the former app
$("cancel-all").addEventListener("click", () => uploaders.forEach((uploader) => uploader.abort()));
$("retry-all").addEventListener("click", () => uploads.filter((upload) => upload.canRetry).forEach(run));
$("remove-failed").addEventListener("click", () => removeWithState("failed"));
$("clear").addEventListener("click", () => removeWithState("done", "cancelled"));
$("failed-count").addEventListener("click", () => $("files").scrollTo({ top: 0 }));
