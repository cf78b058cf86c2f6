"""Parts of pages of HTML: text that cannot be markup, tables, lists, and figures within the page."""

import importlib.resources
import io
import re
from html import escape

from .messages import visible


def page_style():
    """The style sheet of all pages: that of the report."""
    page = (importlib.resources.files(__package__) / "report.html.in").read_text(encoding="utf-8")
    return page.partition("<style>")[2].partition("</style>")[0]


def html_text(text):
    """A user's text, in one line: neither markup nor a character that changes how the rest is read."""
    return escape(visible(text))


def html_table(caption, heads, body):
    """A table in a region that scrolls sideways, which the keyboard reaches; `body` is HTML, rows."""
    head = "".join(f'<th scope="col">{html_text(h)}</th>' for h in heads)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{html_text(caption)}">\n<table>\n'
        f"<caption>{html_text(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>\n"
    )


def plain_rows(rows):
    """HTML of rows of words and counts."""
    return "".join("<tr>" + "".join(f"<td>{html_text(str(v))}</td>" for v in row) + "</tr>\n" for row in rows)


def definitions(pairs):
    """HTML of pairs (text, HTML)."""
    return "<dl>\n" + "".join(f"<dt>{html_text(term)}</dt><dd>{meaning}</dd>\n" for term, meaning in pairs) + "</dl>"


def bullets(lines):
    items = "".join(f"<li>{html_text(line)}</li>\n" for line in lines)
    return f"<ul>\n{items}</ul>" if items else "<p>Nothing found.</p>"


def svg_element(figure, label, salt):
    """A matplotlib figure as an SVG element for a page of HTML: no prologue, no metadata, no date, no name space.

    Parameters
    ----------
    figure : matplotlib Figure
    label : str
        What it shows, for readers that do not see it.
    salt : str
        Names of its parts come from it: equal figures are equal elements.

    Returns
    -------
    str
    """
    import matplotlib

    from hmoe_stats.plotting.looks import settle

    settle(figure)
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "path"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    drawing = file.getvalue()
    drawing = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", drawing[drawing.index("<svg") :], flags=re.DOTALL)
    drawing = re.sub(r' xmlns(:xlink)?="[^"]*"', "", drawing).replace("xlink:href", "href")
    return drawing.replace("<svg", f'<svg role="img" aria-label="{html_text(label)}"', 1)
