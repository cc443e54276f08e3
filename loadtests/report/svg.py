"""matplotlib figures as inline SVG: text stays text, colours come from the page, so dark themes and print work.

matplotlib draws with placeholder colours that no theme uses; afterwards each is replaced by a CSS variable. Shops
differ by colour, marker and hatch, and are named next to the data: nobody needs the colours to read a chart.
"""

import io
import re
from html import escape
from typing import Any

from cycler import cycler
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, FAINT, PAPER = "#010203", "#040506", "#070809"
COLOURS = {"monolith": "#0a0b0c", "microservices": "#0d0e0f"}
VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    PAPER: "var(--paper)",
    COLOURS["monolith"]: "var(--monolith)",
    COLOURS["microservices"]: "var(--microservices)",
}
HATCHES = {"monolith": "", "microservices": "///"}
MARKERS = {"monolith": "s", "microservices": "o"}
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "loadtests",
    "font.family": "sans-serif",
    "font.size": 10,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.prop_cycle": cycler(color=[INK]),
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "hatch.color": PAPER,
    "hatch.linewidth": 2,
}


def render(figure: Figure, description: str) -> str:
    """The figure as an <svg> element; `description` is read to people who do not see it."""
    buffer = io.StringIO()
    canvas: Any = FigureCanvasSVG(figure)  # its print method is not typed
    canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    # Inside a page its style block would apply to the whole page, and its metadata tells a reader nothing.
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = svg.replace("<svg", '<svg style="stroke-linejoin: round; stroke-linecap: butt"', 1)
    for placeholder, variable in VARIABLES.items():
        svg = svg.replace(placeholder, variable)
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(description, quote=True)}"', 1)
