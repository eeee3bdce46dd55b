"""The terminal: a live view where there is one, else a line every few seconds; and a picture of it."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from forerun.sandbox.demo.picture import picture
from forerun.sandbox.demo.verdict import Check
from forerun.sandbox.demo.view import Frame, line, render

_LINE_SECONDS = 5.0


class Screen:
    """`with Screen(console)`: `show` as often as there is something new."""

    def __init__(self, console: Console, picture: Path | None = None) -> None:
        self._console = console
        self._picture = picture
        self._live: Live | None = None
        self._frame: Frame | None = None
        self._last_line = -_LINE_SECONDS

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, screen=True, auto_refresh=False, redirect_stderr=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def show(self, frame: Frame) -> None:
        self._frame = frame
        if self._live is not None:
            size = self._console.size
            self._live.update(render(frame, size.width, size.height), refresh=True)
        elif time.monotonic() - self._last_line >= _LINE_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(line(frame), highlight=False, soft_wrap=True)

    def maybe_picture(self, wanted: bool) -> None:
        """Save the present frame as SVG, once."""
        if wanted and self._picture is not None and self._frame is not None:
            self._picture.write_text(picture(self._frame), encoding="utf-8")
            self._picture = None

    def farewell(self, frame: Frame) -> None:
        """Leave the last frame in the terminal, as the live view vanishes with its screen."""
        if self._console.is_terminal:
            size = self._console.size
            self._console.print(render(frame, size.width, min(size.height, 24)))

    def keep(self, kubeconfig: Path, checks: Sequence[Check]) -> None:
        self.judge(checks)
        self._console.print(f"kept: export KUBECONFIG={kubeconfig}  (Ctrl-C ends it)", highlight=False, soft_wrap=True)

    def judge(self, checks: Sequence[Check]) -> None:
        """The verdict: each check with its numbers."""
        self._console.print()
        for check in checks:
            mark = Text("PASS", style="bold green") if check.passed else Text("FAIL", style="bold red")
            self._console.print(mark, Text(check.promise, style="bold"))
            for evidence in check.evidence:
                self._console.print(Text(f"     {evidence}"), soft_wrap=True)
