// Failed requests as text for people. Details of the signer and of OSS are English in every language.
import { exactSizeText, joinDetails, sentence, sizeText } from "./format.js";
import { text } from "./text.js";

const TIMEOUT_MS = 10000;
const TIMED_OUT = "timed out";
const TEXTS_OF_CODES = ["app_disabled", "credentials_unavailable", "quota_exceeded", "rate_limited"];

/** A failure with a reason for people, details for the log, and whether and when a retry can succeed. */
export class Failure extends Error {
  constructor(reason, { details = "", canRetry = false, seconds = 0 } = {}) {
    super(seconds ? text("retry_after", { message: reason, seconds }) : reason);
    Object.assign(this, { reason, details, canRetry });
  }
}

/** Requests JSON from the demo's own routes; the controller cancels the request. */
export async function fetchJson(path, controller = new AbortController()) {
  const { signal } = controller;
  const timer = setTimeout(() => controller.abort(TIMED_OUT), TIMEOUT_MS);
  let response;
  let body = null;
  try {
    response = await fetch(path, { cache: "no-store", signal });
    body = await response.json();
  } catch (error) {
    if (signal.aborted && signal.reason !== TIMED_OUT) throw error;
    if (signal.aborted || !response) throw new Failure(text("no_response"));
  } finally {
    clearTimeout(timer);
  }
  if (response.ok && body !== null) return body;
  throw new Failure(body?.title ? problemText(body) : text("bad_status", { server: text("signer"), status: response.status }));
}

/** Returns the failure for an error of the upload library. */
export function uploadFailure(error, { file, app, form, isInParts }) {
  const { code, status, ossCode, ec, requestId, retryable, retryAfterSeconds: seconds } = error;
  if (retryable === undefined) { // not an error of the library
    console.error(error);
    return new Failure(text("page_failed"));
  }
  const isOfOss = form || ossCode;
  const server = isOfOss ? "OSS" : "signer";
  const request = requestId && `request ${requestId}`;
  const details = status ? [`${server} ${status}`, isOfOss ? ec && `EC ${ec}` : code, request] : [];
  const canRetry = retryable || code === "unknown"; // the user decides whether to upload it twice
  return new Failure(reasonOf(error, { file, app, form, isInParts }), { details: joinDetails(details), canRetry, seconds });
}

function reasonOf({ code, status, detail, ossCode }, { file, app, form, isInParts }) {
  if (code === "too_large") return tooLargeText(file.size, form?.max_size ?? app.multipart?.max_size_bytes ?? app.max_size_bytes);
  if (code === "invalid_request" && file.size === 0) return text("empty");
  if (code === "unsupported_type") {
    return text("unsupported_type", { type: file.type || text("unknown_type"), types: app.content_types.join(", ") });
  }
  if (!form && TEXTS_OF_CODES.includes(code)) return text(code);
  if (code === "unknown") return text("unknown_outcome");
  if (ossCode) return sentence(text("oss_rejected", { code: ossCode, detail }));
  if (detail) return sentence(detail);
  if (status) return text("bad_status", { server: form ? "OSS" : text("signer"), status });
  if (isInParts) return text("parts_failed");
  if (!form) return text("no_response");
  const { host } = new URL(form.url);
  return text(code === "timeout" ? "oss_slow" : "oss_unreachable", { host });
}

function tooLargeText(bytes, maxBytes) {
  const format = sizeText(bytes) === sizeText(maxBytes) ? exactSizeText : sizeText;
  return text("too_large", { size: format(bytes), limit: format(maxBytes) });
}

function problemText({ title, detail }) {
  return sentence(detail ? `${title}: ${detail}` : title);
}
