"""The documentation site, built by ``make docs`` into docs/_build/html; no network is needed to build or to read it."""

import os
import sys
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import hmoe_stats

project = "hmoe-stats"
author = copyright = "The hmoe-stats developers"
version = release = hmoe_stats.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "docstrings",  # these five are in _ext
    "generated",
    "pictures",
    "mathml",
    "offline",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
suppress_warnings = ["mystnb.mime_type"]

html_theme = "furo"
html_title = "hmoe-stats"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_show_sphinx = False
html_show_search_summary = False  # summaries would be fetched, which a file:// page may not
html_math_renderer = "mathml"

default_role = "py:obj"
smartquotes = False  # --json has two hyphens
highlight_language = "text"  # of formulas; snippets name theirs
autosummary_generate = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
autodoc_typehints = "none"  # docstrings say more

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the notebooks are committed as they were executed
nb_ipywidgets_js = {}
