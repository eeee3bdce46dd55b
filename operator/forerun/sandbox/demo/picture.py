"""A frame as SVG, that looks the same wherever it is shown and fetches nothing. Pure."""

import re
from html import unescape
from io import StringIO

from rich.console import Console

from forerun.sandbox.demo.view import Frame, render

WIDTH, HEIGHT = 100, 30
_SPACE = "&#160;"
_TEXT = re.compile(r'<text class="([^"]*)" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)" ([^>]*)>([^<]*)</text>')


def picture(frame: Frame) -> str:
    """The frame for a terminal of WIDTH x HEIGHT cells. No fonts from elsewhere: the reader's own monospace."""
    console = Console(
        width=WIDTH, height=HEIGHT, record=True, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(render(frame, WIDTH, HEIGHT))
    svg = console.export_svg(title="forerun demo", unique_id="forerun")
    svg = re.sub(r"@font-face\s*{[^}]*}\s*", "", svg)
    return _TEXT.sub(_pieces, svg)


def _pieces(found: re.Match[str]) -> str:
    """One text element as one for each run without wide gaps: some viewers drop or close up blanks."""
    style, x, y, length, rest, content = found.groups()
    cells = len(unescape(content))
    width = float(length) / cells if cells else 0.0
    texts, place = [], 0
    for part in re.split(f"((?:{_SPACE}){{2,}}|^{_SPACE}|{_SPACE}$)", content):
        size = len(unescape(part))
        if part.replace(_SPACE, ""):
            left, long = float(x) + place * width, size * width
            texts.append(f'<text class="{style}" x="{left:.1f}" y="{y}" textLength="{long:.1f}" {rest}>{part}</text>')
        place += size
    return "".join(texts)
