// The last signed form: its decoded policy and its fields, with the security token masked.
import { $, createElement } from "./dom.js";
import { timeText } from "./format.js";
import { text } from "./text.js";

const MASK = "***";

const isToken = (name) => typeof name === "string" && /security[-_]token$/i.test(name);

/** Returns a condition with its security token masked: {"name": value} or [operator, "$name", value]. */
function maskToken(condition) {
  if (Array.isArray(condition)) return isToken(condition[1]) ? [condition[0], condition[1], MASK] : condition;
  const entries = Object.entries(condition).map(([name, value]) => [name, isToken(name) ? MASK : value]);
  return Object.fromEntries(entries);
}

function inline(value) {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${inline(one)}`).join(", ")}}`;
}

/** Returns the policy field as JSON with one condition per line. */
function policyText(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const { expiration, conditions } = JSON.parse(new TextDecoder().decode(bytes));
  const lines = conditions.map((condition) => `    ${inline(maskToken(condition))}`);
  return `{\n  "expiration": ${JSON.stringify(expiration)},\n  "conditions": [\n${lines.join(",\n")}\n  ]\n}`;
}

export function showForm(form, app, key) {
  $("signed-pair").hidden = false;
  $("signed-note").textContent = text("form_of", { app: app.name || app.id, time: timeText(form.expires_at) });
  $("policy").textContent = policyText(form.fields.policy);
  const rows = Object.entries(form.fields).map(([name, value]) => {
    const row = document.createElement("div");
    const isPolicy = name.toLowerCase() === "policy"; // it contains the token, and is shown decoded
    const isQuiet = isPolicy || isToken(name);
    const shown = isPolicy ? text("base64_length", { count: value.length }) : isToken(name) ? MASK : name === "key" ? key : value;
    row.append(createElement("dt", name), createElement("dd", shown, isQuiet ? "quiet" : ""));
    return row;
  });
  const file = document.createElement("div");
  file.append(createElement("dt", form.file_field), createElement("dd", text("the_file"), "quiet"));
  $("fields").replaceChildren(...rows, file);
}
