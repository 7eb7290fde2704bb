// Sizes, times and file kinds as text for people.
import { language, text } from "./text.js";

const UNITS = ["KiB", "MiB", "GiB"];

export function sizeText(bytes) {
  if (bytes < 1024) return exactSizeText(bytes);
  let unit = -1;
  let value = bytes;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(value < 100 ? 1 : 0))} ${UNITS[unit]}`;
}

export function exactSizeText(bytes) {
  return bytes === 1 ? text("one_byte") : text("byte_count", { count: bytes.toLocaleString("en") });
}

export function timeText(iso) {
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return "";
  const today = time.toDateString() === new Date().toDateString();
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return today ? time.toLocaleTimeString(language, clock) : time.toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}

export function kindText(name) {
  const extension = /\.([a-z0-9]{1,5})$/i.exec(name);
  return extension ? extension[1].toUpperCase() : "FILE";
}

export function sentence(words) {
  const trimmed = words.trim();
  return /[.!?。]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

export function joinDetails(parts) {
  return parts.filter(Boolean).join(" · ");
}
