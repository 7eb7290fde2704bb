// The upload page. Text from servers and file names is inserted as text, never as markup.
import { refresh } from "./apps.js";
import { $, setText } from "./dom.js";
import { text } from "./text.js";
import { addFiles } from "./uploads.js";

const REFRESH_MS = 2000;

function add(files, hint = "") {
  setText($("hint"), hint);
  addFiles([...files]);
}

$("file").addEventListener("change", () => {
  add($("file").files);
  $("file").value = ""; // allows choosing the same file again
});

document.addEventListener("paste", ({ clipboardData }) => {
  add(clipboardData.files, clipboardData.files.length ? "" : text("nothing_pasted"));
});

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
  const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
  const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory);
  const files = items.filter((item) => !folders.includes(item)).map((item) => item.getAsFile());
  add(files.filter(Boolean), folders.length ? text("folders") : "");
});

// Edited definitions, uploads of other clients, and the end of an outage show without a reload.
function refreshWhenVisible() {
  if (!document.hidden) refresh();
}
setInterval(refreshWhenVisible, REFRESH_MS);
document.addEventListener("visibilitychange", refreshWhenVisible);
refresh();
