"""`x-oss-process=image/...`: parses the actions, and runs `resize` and `format` with Pillow, if it is installed.

See: https://help.aliyun.com/zh/oss/user-guide/resize-images-4 and .../convert-image-formats
Each EC has a page of its own, such as https://help.aliyun.com/zh/oss/user-guide/0040-00000311
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from localcloud.image_resize import MAX_RESIZED_SIDE_PIXELS, Resize, parse_resize
from localcloud.oss_errors import OssError, invalid_argument, not_implemented

try:
    from PIL import Image
except ImportError:
    Image = None  # type: ignore[assignment]

PARAMETER = "x-oss-process"
_MAX_FILE_BYTES = 20 * 2**20
_MAX_SIDE_PIXELS = 30_000
_MAX_PIXELS = 250_000_000
_FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF", "tiff": "TIFF"}
_MODES = {"JPEG": ("RGB", "L", "CMYK"), "BMP": ("RGB", "L", "P"), "GIF": ("P", "L", "RGB", "RGBA")}
"""The colour modes that a format can keep, if it cannot keep all."""


@dataclass(frozen=True, slots=True)
class ImageProcess:
    """The actions of one request."""

    resizes: tuple[Resize, ...] = ()
    format: str | None = None


def parse_process(text: str) -> ImageProcess:
    """Parse `image/resize,w_100/format,png`. Raise NotImplemented for anything that is not implemented."""
    kind, *actions = text.split("/")
    if kind != "image" or not actions:
        raise not_implemented(f"The {PARAMETER} {text}", PARAMETER)
    resizes, target = [], None
    for action in actions:
        name, *arguments = action.split(",")
        if name == "resize":
            resizes.append(parse_resize(arguments))
        elif name == "format":
            target = _parse_format(arguments)
        else:
            raise not_implemented(f"The action {name} of {PARAMETER}", PARAMETER)
    if Image is None:
        raise not_implemented(f"{PARAMETER} without the Python package Pillow", PARAMETER)
    return ImageProcess(tuple(resizes), target)


def _parse_format(arguments: list[str]) -> str:
    [name] = arguments if len(arguments) == 1 else [",".join(arguments)]
    if name in ("heic", "avif"):
        raise not_implemented(f"The format {name} of {PARAMETER}", PARAMETER)
    if name not in _FORMATS:
        raise invalid_argument(f"The value: {name} of parameter: format is invalid.", "", "format", name)
    return _FORMATS[name]


def process_image(file: Path, process: ImageProcess) -> tuple[bytes, str]:
    """Return the processed image and its type. Blocking."""
    if file.stat().st_size > _MAX_FILE_BYTES:
        raise OssError(400, "ImageTooLarge", "The size of the image exceeds 20 MB.")
    try:
        with Image.open(file) as image:
            return _processed(image, process)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise OssError(400, "InvalidArgument", "This image format is not supported.") from None


def _processed(image: Image.Image, process: ImageProcess) -> tuple[bytes, str]:
    source = image.format or ""
    if source not in _FORMATS.values():
        raise OssError(400, "InvalidArgument", "This image format is not supported.")
    if getattr(image, "is_animated", False):
        raise not_implemented(f"{PARAMETER} for animated images", PARAMETER)
    if max(image.size) > _MAX_SIDE_PIXELS or image.width * image.height > _MAX_PIXELS:
        raise OssError(400, "ImageTooLarge", "The image has too many pixels.")
    result: Image.Image = image
    for resize in process.resizes:
        result = _resized(result, resize)
    target = process.format or source
    kept = _MODES.get(target)
    if kept is not None and result.mode not in kept:
        result = _flattened(result) if target != "GIF" else result.convert("RGBA")
    output = io.BytesIO()
    result.save(output, target)
    return output.getvalue(), Image.MIME[target]


def _resized(image: Image.Image, resize: Resize) -> Image.Image:
    scaled, canvas = resize.sizes(image.size)
    if max(scaled) > MAX_RESIZED_SIDE_PIXELS:
        raise OssError(400, "ImageTooLarge", f"A side of the resized image exceeds {MAX_RESIZED_SIDE_PIXELS} pixels.")
    if scaled == image.size and canvas is None:
        return image
    colourful = image.convert("RGBA" if "transparency" in image.info else "RGB") if image.mode == "P" else image
    result = colourful.resize(scaled, Image.Resampling.LANCZOS)
    if canvas is None:
        return result
    left, top = (canvas[0] - scaled[0]) // 2, (canvas[1] - scaled[1]) // 2
    if resize.mode == "fill":
        return result.crop((-left, -top, canvas[0] - left, canvas[1] - top))
    padded = Image.new("RGB", canvas, f"#{resize.color}")
    padded.paste(result, (left, top), result if result.mode == "RGBA" else None)
    return padded


def _flattened(image: Image.Image) -> Image.Image:
    """Return an image without transparency, on white."""
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image.convert("RGB")
    with_alpha = image.convert("RGBA")
    result = Image.new("RGB", image.size, "white")
    result.paste(with_alpha, mask=with_alpha)
    return result
