"""Measures whether a page can be read."""

from __future__ import annotations

import re

from playwright.async_api import Page

_LOWEST_CONTRAST = """() => {
  const read = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = read(getComputedStyle(one).backgroundColor);
      if (colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility() || element.closest(".unseen, option")) continue;
    const [a, b] = [light(read(getComputedStyle(element).color)), light(ground(element))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), walk.currentNode.data.trim()]);
  }
  return found.sort((a, b) => a[0] - b[0])[0];
}"""


async def lowest_contrast(page: Page) -> tuple[float, str]:
    """Return the lowest contrast ratio of all visible texts, and the text that has it.

    See: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio
    """
    contrast, text = await page.evaluate(_LOWEST_CONTRAST)
    return float(contrast), str(text)


async def lightness(page: Page) -> float:
    """Return the lightness of the background, from 0 to 255."""
    colour = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3
