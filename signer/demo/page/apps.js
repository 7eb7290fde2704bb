// The apps of the definitions, and the selected one with its rules.
import { $, createElement, setText } from "./dom.js";
import { fetchJson } from "./failures.js";
import { sizeText } from "./format.js";
import { text } from "./text.js";
import { clearObjects, loadObjects } from "./uploaded_objects.js";

let apps = [];
let selected = null;
let isLoading = false;

export const selectedApp = () => selected;

/** Returns an app as it is defined now. */
export const appNow = (app) => apps.find((each) => each.id === app.id) ?? app;

/** Loads the apps and the objects of the selected one; the notice says whether the signer responds. */
export async function refresh() {
  if (isLoading) return;
  isLoading = true;
  try {
    const found = await fetchJson("/demo/apps");
    setText($("notice"), found.length ? "" : text("no_app"));
    if (JSON.stringify(found) !== JSON.stringify(apps)) showApps(found);
    if (selected) await loadObjects(selected);
  } catch (error) {
    setText($("notice"), error.message);
  } finally {
    isLoading = false;
  }
}

function showApps(found) {
  apps = found;
  const selectedId = selected?.id ?? new URLSearchParams(location.search).get("app");
  const options = apps.map((app) => {
    const name = app.name && app.name !== app.id ? text("app_option", app) : app.id;
    return new Option(app.enabled ? name : text("app_option_disabled", { name }), app.id);
  });
  $("app").replaceChildren(...options);
  for (const control of ["app", "file"]) $(control).disabled = apps.length === 0;
  const next = apps.find((app) => app.id === selectedId) ?? apps.find((app) => app.enabled) ?? apps[0];
  if (next) select(next);
}

function select(app) {
  const hasChanged = app.id !== selected?.id;
  selected = app;
  $("app").value = app.id;
  $("app-off").hidden = app.enabled;
  $("rules").hidden = false;
  const form = sizeText(app.max_size_bytes);
  $("rule-size").textContent = app.multipart ? text("max_size_parts", { size: sizeText(app.multipart.max_size_bytes), form }) : form;
  const types = app.content_types.length ? app.content_types : [text("any_type")];
  $("rule-types").replaceChildren(...types.map((type) => createElement("span", type, "chip")));
  $("rule-target").textContent = `oss://${app.bucket}/${app.key_prefix}`;
  $("rule-region").textContent = app.region;
  const naming = { client: "key_client", uuid: "key_uuid", template: "key_template" }[app.key];
  $("rule-naming").textContent = naming ? text(naming) : app.key;
  $("file").accept = app.content_types.join(",");
  if (!hasChanged) return;
  const address = new URL(location.href);
  address.searchParams.set("app", app.id);
  history.replaceState(null, "", address);
  clearObjects();
}

$("app").addEventListener("change", () => {
  select(appNow({ id: $("app").value }));
  loadObjects(selected);
});
