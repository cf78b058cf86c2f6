"""What importing the package loads, and what its public names resolve to."""

import importlib
import inspect
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hmoe_stats as hs

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("matplotlib", "pandas", "sklearn", "sympy", "dask", "distributed", "tqdm")


def fresh(code):
    """Standard output of `code` in a new interpreter."""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_import_is_light():
    """Neither the import nor a sample and its fit load a heavy library or the driver."""
    code = """
import sys, hmoe_stats as hs
values = dict(a=[0, 1], b=[0, 0], omega=[0, 0], beta=[0, 0], eta=[1, -1], tau=[0, 0], nu=[1, 1])
G = hs.MixingMeasure(gating="SL", k2=(1, 1), **values)
X, y = hs.sample(G, 50, x=hs.Uniform(-1, 1), seed=0)
hs.fit_mle(X, y, G.gating, G.k2, start=G, n_starts=1)
hs.fit_em(X, y, G.gating, G.k2, start=G)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
    loaded = fresh(code).split()
    assert "hmoe_stats" in loaded
    assert not set(loaded) & {*HEAVY, "simulations"}


def test_dir_and_lazy_names_do_not_load_plotting():
    assert fresh("import sys, hmoe_stats as hs; dir(hs); print('matplotlib' in sys.modules)") == "False"
    assert fresh("import sys, hmoe_stats as hs; hs.plotting; print('hmoe_stats.plotting' in sys.modules)") == "True"


@pytest.mark.parametrize("name", hs.__all__)
def test_every_public_name_resolves(name):
    assert name in dir(hs)
    value = getattr(hs, name)
    assert callable(value) or value is importlib.import_module(f"hmoe_stats.{name}")
    assert value.__doc__
    assert value.__doc__.strip()


def test_names_are_sorted_unique_and_versioned():
    assert len(set(hs.__all__)) == len(hs.__all__)
    assert dir(hs) == sorted(dir(hs))
    assert "__version__" in dir(hs)
    assert all(part.isdigit() for part in hs.__version__.split(".")[:2])


def test_a_release_says_the_same_of_itself_everywhere():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = dict(re.findall(r'^([\w-]+): "?(.*?)"?$', text, re.MULTILINE))
    kept = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, date = re.search(r"^## (\S+) \((\S+)\)$", changes, re.MULTILINE).groups()
    assert version == hs.__version__ == cited["version"] == kept["version"]
    assert date == cited["date-released"] == kept["publication_date"]
    assert cited["title"] == kept["title"]
    assert cited["license"] == kept["license"] == project["license"]
    assert kept["description"] == project["description"]
    (author,) = kept["creators"]
    assert [author] == project["authors"]
    assert f"  - name: {author['name']}\n" in text
    assert all(f"value: {paper['identifier']}\n" in text for paper in kept["related_identifiers"])


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = hs.no_such_name


ROOMS = ("datasets", "plotting", "selection", "theory", "theory.systems", "estimator")


def ours(value, room="hmoe_stats"):
    return str(getattr(value, "__module__", "")).startswith(room)


def public():
    """Names and functions that users call: of the package and its rooms, and the methods and properties of classes."""
    rooms = [hs, *(importlib.import_module(f"hmoe_stats.{name}") for name in ROOMS)]
    named = [(room, getattr(room, name)) for room in rooms for name in getattr(room, "__all__", vars(room))]
    values = [value for room, value in named if callable(value) and ours(value, room.__name__)]
    answers = [(one.__globals__, one.__annotations__.get("return")) for one in values if inspect.isfunction(one)]
    values += [names[answer] for names, answer in answers if inspect.isclass(names.get(answer))]
    for value in dict.fromkeys(values):
        yield value.__qualname__, value
        if inspect.isclass(value):
            for owner in filter(ours, value.__mro__):
                for name, member in vars(owner).items():
                    inner = (getattr(member, kind, None) for kind in ("fget", "func", "__func__"))
                    function = next(filter(None, inner), member)
                    if name[0] != "_" and inspect.isfunction(function):
                        yield f"{owner.__qualname__}.{name}", function


def missing(function):
    """Parameters without an annotation, and "return" of what is no class."""
    signature = inspect.signature(function)
    found = {name: one.annotation for name, one in signature.parameters.items() if name not in ("self", "cls")}
    found |= {} if inspect.isclass(function) else {"return": signature.return_annotation}
    return [name for name, kind in found.items() if kind is signature.empty]


def test_whatever_users_call_says_what_it_takes_and_returns():
    functions = dict(public())
    assert len(functions) > 200
    some = {"fit", "Answers.bse", "Tree.from_dict", "RateFit.predict", "rate_plot", "HMoERegressor.fit"}
    assert some <= set(functions)
    assert {name: found for name, function in functions.items() if (found := missing(function))} == {}


def test_annotations_that_are_missing_are_found():
    def of_one(x, y: int, *more, **rest: int): ...

    assert missing(of_one) == ["x", "more", "return"]
