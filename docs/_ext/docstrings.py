"""Docstrings as they are meant: indented paragraphs are formulas, to be kept line by line, and bars are bars."""

import re


def _indent(line):
    return len(line) - len(line.lstrip())


def as_written(app, what, name, value, options, lines):
    """Make formulas literal blocks, and escape the bars of absolute values elsewhere."""
    out, last, literal = [], 0, None
    for before, line in zip(["", *lines], lines, strict=False):
        if line.strip():
            indent = _indent(line)
            literal = None if literal is not None and indent < literal else literal
            if literal is None and not before.strip() and indent >= last + 4:
                out += [" " * last + "::", ""]
                literal = indent
            if literal is None:
                line, last = re.sub(r"(`+[^`]+`+)|\|", lambda found: found[1] or r"\|", line), indent
        out.append(line)
    lines[:] = out


def skipped(app, what, name, value, skip, options):
    """Methods of scikit-learn are documented there, those among them that it makes for the routing of metadata."""
    theirs = str(getattr(value, "__module__", "")).startswith("sklearn")
    return True if theirs or re.fullmatch(r"set_\w+_request", name) else None


def setup(app):
    app.connect("autodoc-process-docstring", as_written, priority=400)  # before numpydoc reads sections
    app.connect("autodoc-skip-member", skipped)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
