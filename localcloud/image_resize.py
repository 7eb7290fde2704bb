"""The action `resize` of `x-oss-process`: parses it, and computes the sizes of the result.

See: https://help.aliyun.com/zh/oss/user-guide/resize-images-4
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from localcloud.oss_errors import OssError, invalid_argument, not_implemented

_MODES = ("lfit", "mfit", "fill", "pad", "fixed")
_BOXED = ("fill", "pad", "fixed")
MAX_RESIZED_SIDE_PIXELS = 16_384
_MAX_PERCENT = 1000
_COLOR = re.compile(r"[0-9A-Fa-f]{6}")

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Resize:
    mode: str
    width: int | None
    height: int | None
    longest: int | None
    shortest: int | None
    percent: int | None
    enlarges: bool
    color: str

    def sizes(self, source: Size) -> tuple[Size, Size | None]:
        """Return the size of the scaled image, and that of the canvas that it is cropped to or padded on.

        An image is not enlarged unless `limit_0` allows it.
        """
        target, canvas = self._wanted(source)
        outer = canvas or target
        if not self.enlarges and outer[0] * outer[1] > source[0] * source[1]:
            return source, None
        return target, canvas

    def _wanted(self, source: Size) -> tuple[Size, Size | None]:
        width, height = source
        if self.width is not None and self.height is not None:
            box = (self.width, self.height)
            if self.mode == "fixed":
                return box, None
            ratios = (box[0] / width, box[1] / height)
            scaled = _scaled(source, min(ratios) if self.mode in ("lfit", "pad") else max(ratios))
            return scaled, box if self.mode in ("fill", "pad") else None
        if self.width is not None:
            return (self.width, max(1, round(height * self.width / width))), None
        if self.height is not None:
            return (max(1, round(width * self.height / height)), self.height), None
        if self.longest is not None:
            return _scaled(source, self.longest / max(source)), None
        if self.shortest is not None:
            return _scaled(source, self.shortest / min(source)), None
        return _scaled(source, (self.percent or 100) / 100), None


def parse_resize(arguments: list[str]) -> Resize:
    """Parse `w_100`, `m_fill` and the like. Raise `OssError` as OSS does."""
    given = dict(argument.partition("_")[::2] for argument in arguments)
    for name in given.keys() - {"m", "w", "h", "l", "s", "p", "limit", "color"}:
        raise _invalid(name, given[name])
    mode, limit, color = given.get("m", "lfit"), given.get("limit", "1"), given.get("color", "FFFFFF")
    if mode not in _MODES:
        raise _invalid("m", mode, "0040-00000311")
    if limit not in ("0", "1"):
        raise _invalid("limit", limit)
    if not _COLOR.fullmatch(color):
        raise _invalid("color", color)
    width, height = (_number(given, name, MAX_RESIZED_SIDE_PIXELS) for name in "wh")
    longest, shortest = (_number(given, name, MAX_RESIZED_SIDE_PIXELS) for name in "ls")
    percent = _number(given, "p", _MAX_PERCENT)
    if {width, height, longest, shortest, percent} == {None}:
        raise OssError(400, "MissingArgument", "Missing w, h, l, s or p of resize.")
    if width is None and height is None and longest is not None and shortest is not None:
        raise not_implemented("A resize with both l and s", "x-oss-process")
    if mode in _BOXED and (width is None or height is None):
        raise not_implemented(f"A resize with m_{mode} without w and h", "x-oss-process")
    return Resize(mode, width, height, longest, shortest, percent, limit == "0", color)


def _number(given: dict[str, str], name: str, maximum: int) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= maximum:
        raise _invalid(name, text)
    return int(text)


def _scaled(source: Size, factor: float) -> Size:
    return max(1, round(source[0] * factor)), max(1, round(source[1] * factor))


def _invalid(name: str, value: str, ec: str = "") -> OssError:
    return invalid_argument(f"The value: {value} of parameter: {name} is invalid.", ec, name, value)
