"""What importing the package loads, and what its public names resolve to."""

import importlib
import subprocess
import sys
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


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = hs.no_such_name
