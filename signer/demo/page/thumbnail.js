// Thumbnails of chosen files, drawn from the files themselves: no request and no URL is needed.

const WIDTH = 120;

let queue = Promise.resolve();

/** Replaces what an element shows by a thumbnail, if the browser can decode the file; one file at a time, to save memory. */
export function showThumbnail(file, element) {
  if (!file.type.startsWith("image/")) return;
  queue = queue.then(() => draw(file, element)).catch(() => {}); // such as HEIC: the kind of the file stays
}

async function draw(file, element) {
  if (!element.isConnected) return;
  const bitmap = await createImageBitmap(file, { resizeWidth: WIDTH, resizeQuality: "medium" });
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("bitmaprenderer").transferFromImageBitmap(bitmap);
  element.replaceChildren(canvas);
}
