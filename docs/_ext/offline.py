"""What must hold of the built site: it loads nothing from elsewhere, and every link within it leads somewhere."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}


class Page(HTMLParser):
    """The addresses that a page loads, those it links to, and its anchors."""

    def __init__(self, file):
        super().__init__()
        self.loaded, self.linked, self.anchors = set(), set(), {""}
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if found.get(LOADING.get(tag)) and found.get("rel") not in ("canonical", "license"):
            self.loaded.add(found[LOADING[tag]])
        if tag == "a" and found.get("href"):
            self.linked.add(found["href"])


def problems(folder):
    """A line for each address that is loaded from elsewhere, and each link that leads nowhere."""
    folder = Path(folder).resolve()
    pages = {file: Page(file) for file in sorted(folder.rglob("*.html"))}
    for file, page in pages.items():
        where = file.relative_to(folder).as_posix()
        for address in sorted(page.loaded | page.linked):
            parts = urlsplit(address)
            if parts.scheme == "data" or (address not in page.loaded and (parts.scheme or parts.netloc)):
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if parts.scheme or parts.netloc:
                yield f"{where}: loads {address}"
            elif not target.exists() or (target in pages and unquote(parts.fragment) not in pages[target].anchors):
                yield f"{where}: leads nowhere: {address}"
    if not (folder / "searchindex.js").exists():
        yield "searchindex.js: is missing"


def check(app, exception):
    from sphinx.errors import ExtensionError

    if exception is None and app.builder.name == "html" and (found := list(problems(app.outdir))):
        raise ExtensionError("\n".join(["the site is not whole", *found]))


def setup(app):
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
