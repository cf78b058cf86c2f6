"""No module reaches for a private name of another: what two rooms need has a public name in one of them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [path for folder in ("hmoe_stats", "simulations") for path in sorted((ROOT / folder).rglob("*.py"))]
FOREIGN = {
    "os._exit",  # public, in spite of its name
    "joblib._dask.DaskDistributedBackend",  # has no public door
}


def private(name):
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def dotted(node):
    """ "a.b" of such an expression, else None."""
    if isinstance(node, ast.Name):
        return node.id
    inner = dotted(node.value) if isinstance(node, ast.Attribute) else None
    return inner and f"{inner}.{node.attr}"


def reached(source):
    """Private names that a module imports, or looks up in something that it imports: "module._x"."""
    nodes = list(ast.walk(ast.parse(source)))
    imports = [
        (alias.asname or alias.name, ".".join(filter(None, (getattr(node, "module", None), alias.name))))
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    here = {name for name, _ in imports}
    found = {whole for _, whole in imports if any(map(private, whole.split(".")))}
    found |= {dotted(n) for n in nodes if isinstance(n, ast.Attribute) and private(n.attr) and dotted(n.value) in here}
    return sorted(found - FOREIGN)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_name_crosses_modules(path):
    assert reached(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from .divergence import _lines, hellinger", "divergence._lines"),
        ("def f():\n    from ..theory import _rows as rows", "theory._rows"),
        ("from . import gates\ngates._added", "gates._added"),
        ("import numpy as np\nnp._core.x", "np._core"),
        ("import a.b\na.b._c()", "a.b._c"),
        ("import joblib._dask", "joblib._dask"),
        ("from .fitting._newton import climb", "fitting._newton.climb"),
        ("from .result import FitResult\nFitResult._make(3)", "FitResult._make"),
    ],
)
def test_private_names_are_found_wherever_they_stand(source, name):
    assert reached(source) == [name]


@pytest.mark.parametrize(
    "source",
    ["from __future__ import annotations", "self._x = other._y", "import os\nos._exit(1)", "import a\na.__doc__"],
)
def test_what_is_a_modules_own_is_its_own(source):
    assert reached(source) == []
