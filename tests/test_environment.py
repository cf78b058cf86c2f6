"""Where it runs: no place for compiled kernels, no worker processes, overlapping threads, what must be installed."""

import ast
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import numba
import pytest
from conftest import PURE_PYTHON
from threadpoolctl import threadpool_info, threadpool_limits

import hmoe_stats as hs
from hmoe_stats.fitting.problem import one_thread
from simulations import pool

ROOT = Path(__file__).resolve().parents[1]
compiled = pytest.mark.skipif(PURE_PYTHON, reason="nothing is compiled")


def python(code, folder=ROOT, **environment):
    """(standard output, standard error) of `code` in a new interpreter, run in `folder`."""
    env = os.environ | {"PYTHONPATH": str(folder)} | environment
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    return run.stdout, run.stderr


# -- compiled kernels and their cache ----------------------------------------------------------------------------------
LIKELIHOOD = """
import hmoe_stats as hs
G = hs.datasets.truth("C2", "SL")
print(hs.log_likelihood(G, [-1.0, 0.5, 2.0], [0.0, 1.0, 3.0]).hex())
"""


@compiled
def test_with_nowhere_to_keep_compiled_kernels_they_work_and_one_warning_says_so(tmp_path):
    """Not even root can make a folder of a file; a process started to help does not warn again."""
    shutil.copytree(ROOT / "hmoe_stats", tmp_path / "hmoe_stats", ignore=shutil.ignore_patterns("__pycache__"))
    nowhere = tmp_path / "hmoe_stats" / "__pycache__"
    nowhere.touch()
    homes = dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "IPYTHONDIR"), str(nowhere))
    helper = """
import importlib, multiprocessing
child = multiprocessing.get_context("spawn").Process(target=importlib.import_module, args=("hmoe_stats",))
child.start()
child.join()
"""
    out, err = python(LIKELIHOOD + helper, tmp_path, PYTHONDONTWRITEBYTECODE="1", **homes)
    G = hs.datasets.truth("C2", "SL")
    assert out.strip() == hs.log_likelihood(G, [-1.0, 0.5, 2.0], [0.0, 1.0, 3.0]).hex()
    assert err.count("RuntimeWarning") == err.count("set NUMBA_CACHE_DIR to") == 1


TINY = """
from hmoe_stats.compiling import kernel

@kernel(nogil=True)
def half(x):
    return 0.5 * x

@kernel(nogil=True)
def double(x):
    return 2.0 * x

if __name__ == "tiny":
    print(half(3.0), double(3.0))
"""
FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
"""


@compiled
def test_a_damaged_cache_is_said_once_and_mended(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    run = lambda: python(f"import sys; sys.path.append({str(tmp_path)!r}); import tiny", NUMBA_CACHE_DIR=str(tmp_path))  # noqa: E731
    assert run() == ("1.5 6.0\n", "")
    for pattern, keep in (("*.nbi", 30), ("*.nbi", 0), ("*.nbc", -50)):
        for file in tmp_path.rglob(pattern):
            file.write_bytes(file.read_bytes()[:keep])
        out, err = run()
        assert out == "1.5 6.0\n"
        assert err.count("RuntimeWarning") == err.count("NUMBA_CACHE_DIR") == 1
        assert run() == ("1.5 6.0\n", "")


@compiled
@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes to set")
def test_a_cache_that_cannot_grow_is_done_without(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    code = FULL + f"import sys; sys.path.append({str(tmp_path)!r}); import tiny"
    out, err = python(code, NUMBA_CACHE_DIR=str(tmp_path), PYTHONDONTWRITEBYTECODE="1")
    assert out == "1.5 6.0\n"
    assert err.count("RuntimeWarning") == err.count("NUMBA_CACHE_DIR") == 1


WIDE = """
from numba import njit, types
from hmoe_stats import kernels

def add(x, y):
    for s in range(x.size):
        y[s] += x[s]

array = lambda ndim: types.Array(types.float64, ndim, "C")
theirs = njit(add)
theirs.compile((array(1), array(1)))
ours = kernels.residual_sums
ours.compile((array(2), array(1), array(2), array(2), array(1)))
for function in (theirs, ours):
    (assembly,) = function.inspect_asm().values()
    print(assembly.count("%zmm"), assembly.count("%ymm"))
"""


@compiled
@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="names a processor of x86")
def test_kernels_use_the_widest_vectors_where_llvm_would_not_and_leave_others_alone(tmp_path):
    """As on an Intel processor with AVX-512; nothing of it is run. Helpers come first, so that they show, too."""
    intel = {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": ""}
    out, _ = python(WIDE, NUMBA_CACHE_DIR=str(tmp_path), **intel)
    (wide, narrow), (our_wide, our_narrow) = [map(int, line.split()) for line in out.splitlines()]
    assert wide == 0 < narrow
    assert our_wide > 2 * our_narrow


@compiled
def test_kernels_in_the_cache_are_not_used_where_they_would_be_compiled_otherwise(tmp_path):
    (tmp_path / "tiny.py").write_text(TINY)
    code = f"import sys; sys.path.append({str(tmp_path)!r}); import tiny; print(len(tiny.half.stats.cache_hits))"
    other = "from hmoe_stats import compiling; compiling.WIDEST = 'nounwind'; "
    hits = [python(start + code, NUMBA_CACHE_DIR=str(tmp_path))[0].split()[-1] for start in ("", "", other, other)]
    assert hits == ["0", "1", "0", "1"]


COMMAND = """
import numpy as np
from simulations.cli import app

@app.command()
def work():
    from hmoe_stats import kernels

    for kind in (np.float64, np.float32):
        x = np.ones((3, 1), kind)
        kernels.residual_sums(x, x[:, 0], x.T.copy(), x[:1], x[:1, 0])

app(["work"])
"""


@compiled
def test_the_command_line_says_once_that_it_compiles_and_only_when_it_does(tmp_path):
    first, again = [python(COMMAND, NUMBA_CACHE_DIR=str(tmp_path))[1] for _ in range(2)]
    assert re.fullmatch(r"hmoe: compiling the kernels, once for this installation: about \d+ s\n", first)
    assert again == ""


@compiled
def test_functions_of_others_that_have_no_module_compile_as_ever():
    made = {}
    exec("def half(x): return 0.5 * x", made)
    assert numba.njit(made["half"])(3.0) == 1.5


@compiled
def test_a_fit_compiles_each_kernel_once():
    """Arrays that may and may not be written to would each have a kernel of their own."""
    code = """
import hmoe_stats as hs
from hmoe_stats import kernels
for gating in ("SS", "LL"):
    G = hs.datasets.truth("C2", gating)
    X, y = hs.sample(G, 80, x=hs.Uniform(-3, 3), seed=0)
    hs.fit_mle(X, y, gating, (2, 3), start=G, n_starts=2)
    fit = hs.fit_mle(X, y, gating, (2, 2), n_starts=1)
    fit = hs.fit_em(X, y, gating, (2, 2), max_iter=5)
    hs.score(fit.measure, X, y), hs.responsibilities(fit.measure, X, y)
found = {name: len(value.signatures) for name, value in vars(kernels).items() if hasattr(value, "signatures")}
print({name: count for name, count in found.items() if count > 1}, len(found))
"""
    out, _ = python(code)
    assert out.startswith("{} ")
    assert int(out.split()[-1]) > 10


# -- threads of linear algebra -----------------------------------------------------------------------------------------
def blas():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.fixture
def threads():
    """What BLAS runs on outside fits: two threads, where it can."""
    with threadpool_limits(2, user_api="blas"):
        yield blas()


@one_thread
def held(act):
    assert set(blas()) <= {1}
    return act()


def test_overlapping_fits_leave_blas_with_the_threads_it_had(threads):
    """The first to come is the first to go, so that the second has come to one thread and must not leave that."""
    inside, go = [threading.Event() for _ in range(2)], [threading.Event() for _ in range(2)]

    def act(i):
        inside[i].set()
        assert go[i].wait(60)
        return blas()

    seen = {}
    fits = [threading.Thread(target=lambda i=i: seen.update({i: held(lambda: act(i))})) for i in range(2)]
    for i in range(2):
        fits[i].start()
        assert inside[i].wait(60)
    for i in range(2):
        assert blas() == [1] * len(threads)
        go[i].set()
        fits[i].join(60)
    assert blas() == threads
    assert seen == {0: [1] * len(threads), 1: [1] * len(threads)}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_fit_that_ends_early_or_holds_another_leaves_blas_as_it_was(threads, error):
    def fail():
        raise error

    with pytest.raises(error):
        held(lambda: held(fail))
    assert blas() == threads
    assert held(lambda: (held(blas), blas())) == ([1] * len(threads), [1] * len(threads))
    assert blas() == threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_process_forked_beside_a_fit_has_its_threads(threads):
    inside, go = threading.Event(), threading.Event()
    fit = threading.Thread(target=lambda: held(lambda: inside.set() or go.wait(60)))
    fit.start()
    assert inside.wait(60)
    child = os.fork()
    if child == 0:
        right = blas() == threads and held(blas) == [1] * len(threads) and blas() == threads
        os._exit(0 if right else 1)
    go.set()
    fit.join(60)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert blas() == threads


# -- worker processes --------------------------------------------------------------------------------------------------
POOL = """
from simulations import pool
with pool.workers(2) as workers:
    print(sorted(workers.answers(abs, [-1, 2])), workers.jobs)
"""
NO_SEMAPHORES = """
import _multiprocessing
def missing(*args, **named):
    raise OSError(38, "Function not implemented")
_multiprocessing.SemLock = missing
"""


@pytest.mark.parametrize(("code", "switch"), [(POOL, "0"), (NO_SEMAPHORES + POOL, "1")])
def test_where_there_can_be_no_workers_cells_are_run_here_and_a_line_says_so(code, switch):
    out, err = python(code, JOBLIB_MULTIPROCESSING=switch)
    assert out == "[(-1, 1), (2, 2)] 1\n"
    assert re.fullmatch(r"hmoe: no worker processes here .*JOBLIB_MULTIPROCESSING.*\n", err)


def test_one_job_needs_no_pool(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a pool was set up")

    monkeypatch.setattr(pool.joblib, "parallel_config", refuse)
    monkeypatch.setattr(pool.joblib, "Parallel", refuse)
    with pool.workers(1) as workers:
        assert list(workers.answers(abs, [-1, 2])) == [(-1, 1), (2, 2)]


# -- what must be installed --------------------------------------------------------------------------------------------
def declared(*extras):
    """Names of the distributions that pyproject asks for, with those of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    words = project["dependencies"] + [word for extra in extras for word in project["optional-dependencies"][extra]]
    names = {re.match(r"[\w-]+", word)[0].lower().replace("-", "_") for word in words}
    return {"sklearn" if name == "scikit_learn" else name for name in names}


def imported(folder):
    """Top-level modules that the Python files of a folder import, those in a try for want of them aside."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(file.read_text())
        optional = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.Try) and any(getattr(h.type, "id", "") == "ImportError" for h in node.handlers)
            for inner in node.body
        }
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in names if id(node) not in optional else ():
                top = name.partition(".")[0]
                beside = {other.stem for other in file.parent.glob("*.py")}  # tests import each other
                if top not in sys.stdlib_module_names and top not in beside and not (ROOT / top).is_dir():
                    yield top


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("hmoe_stats", ("theory", "sklearn", "formula")),
        ("simulations", ("dask", "sklearn")),
        ("tests", ("dask", "notebooks", "sklearn", "dev")),
        ("benchmarks", ()),
        ("notebooks", ("notebooks",)),
        ("docs", ("docs",)),
    ],
)
def test_whatever_is_imported_is_declared(folder, extras):
    found = {name.lower() for name in imported(folder)}
    assert "numpy" in found or folder in ("simulations", "docs")
    assert found <= declared(*extras)


def test_an_installed_package_has_no_top_level_name_that_users_may_have():
    """The driver's folder goes into the wheel as hmoe_simulations, whatever it is called here; so do its cells."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["sources"] == {"simulations": "hmoe_simulations"}
    assert wheel["only-include"] == ["hmoe_stats", "simulations"]
    assert set(wheel["force-include"].values()) == {"hmoe_simulations/cells"}
    absolute = re.compile(r"^\s*(from|import) simulations\b", re.MULTILINE)
    assert not [file for file in (ROOT / "simulations").rglob("*.py") if absolute.search(file.read_text("utf-8"))]


@pytest.mark.parametrize("name", ["hmoe_simulations", "simulations"])
def test_the_command_finds_the_driver_by_the_name_that_it_has(tmp_path, name):
    """Beside a folder of the other name that holds no code, or a user's own."""
    for folder, text in (("hmoe_stats", None), (name, "")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text(text or "")
    (tmp_path / "hmoe_simulations" / "cells").mkdir(parents=True, exist_ok=True)
    (tmp_path / "hmoe_stats" / "__main__.py").write_bytes((ROOT / "hmoe_stats" / "__main__.py").read_bytes())
    (tmp_path / name / "__main__.py").write_text(f"def main():\n    print('here is {name}')\n")
    done = subprocess.run([sys.executable, "-m", "hmoe_stats"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == f"here is {name}\n", done.stderr
