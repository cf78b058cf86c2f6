"""Fits that say how far they are, run in threads, and end when their watcher wants it."""

import os
import signal
import threading

import numpy as np
import pytest

import hmoe_stats as hs
from hmoe_stats.fitting import newton, progress
from hmoe_stats.fitting.progress import Team
from simulations import runner

LAW = hs.Uniform(-3, 3)
FEW = {"n_starts": 4, "seed": 3}


def draw(gating, n=200, seed=1):
    G = hs.datasets.truth("C2", gating)
    return G, *hs.sample(G, n, x=LAW, seed=seed)


def ending(after, of=lambda said: True):
    """A watcher that ends the fit at the report of that number among those that it looks at."""
    said = []

    def watch(progress):
        said.extend([progress] if of(progress) else [])
        if len(said) == after:
            raise KeyboardInterrupt

    return watch


def bits(fit):
    return fit.measure.to_vector().tobytes(), fit.path.tobytes(), fit.starts.to_json(), fit.status, fit.n_agree


# -- threads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fit", "gating", "k2"), [(hs.fit_mle, "SL", (2, 1)), (hs.fit, "LL", (2,))])
def test_no_bit_depends_on_the_number_of_threads(fit, gating, k2):
    _, X, y = draw(gating)
    one, *others = (fit(X[:120], y[:120], gating, k2, n_jobs=n_jobs, n_starts=4, seed=2) for n_jobs in (1, 2))
    assert all(bits(other) == bits(one) for other in others)


def test_threads_are_at_work_and_gone_in_the_end(monkeypatch):
    names = set()

    def seen(*args, **kwargs):
        names.add(threading.current_thread().name)
        return newton.climb_on(*args, **kwargs)

    monkeypatch.setattr("hmoe_stats.fitting.race.climb_on", seen)
    _, X, y = draw("SS")
    hs.fit_mle(X, y, "SS", (2,), n_jobs=2, **FEW)
    names -= {threading.main_thread().name}  # a race of one
    assert names == {"hmoe-fit_0", "hmoe-fit_1"}
    for thread in threading.enumerate():
        if thread.name in names:
            thread.join(10)
    assert not names & {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("n_jobs", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 7, 40])
def test_a_team_answers_in_order_and_shares_all_out(n_jobs, count):
    with Team(n_jobs) as team:
        assert team.map(lambda k: k**2, range(count)) == [k**2 for k in range(count)]
        parts = team.shares(count, 3)
        assert [k for part in parts for k in range(count)[part]] == list(range(count))
        with pytest.raises(ZeroDivisionError):
            team.map(lambda k: 1 // k, [1, 2, 0, 3])


@pytest.mark.parametrize("n_jobs", [0, -2, 1.5, "two", True])
def test_a_number_of_threads_is_one(n_jobs):
    _, X, y = draw("SS", 60)
    with pytest.raises(ValueError, match="n_jobs must be .* or -1; got"):
        hs.fit(X, y, "SS", (1,), n_jobs=n_jobs)


# -- watching ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit", [hs.fit_mle, hs.fit])
def test_a_watcher_hears_of_every_shape_and_move_and_changes_nothing(fit):
    _, X, y = draw("SS")
    said = []
    watched = fit(X, y, "SS", (2, 2), verbose=said.append, **FEW)
    assert bits(watched) == bits(fit(X, y, "SS", (2, 2), **FEW))
    assert {one.k2 for one in said} >= {(1,), (1, 1), (2, 1), (2, 2)}
    assert {one.move for one in said} >= {"first", "growth", "regroupings", "finish", "done"}
    assert all(one.running <= one.starts and one.rows == 200 for one in said)
    assert all(one.seconds <= other.seconds for one, other in zip(said[:-1], said[1:], strict=True))
    assert said[-1].best == pytest.approx(watched.penalised_log_likelihood, abs=0.02)


def test_true_prints_lines_to_standard_error(capsys):
    _, X, y = draw("SS")
    hs.fit_mle(X, y, "SS", (2,), verbose=True, **FEW)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert not out
    assert any("k2 = (2,): growth" in line for line in lines)
    assert lines[-1].split("k2 = ")[1].startswith("(2,): done; best -")
    hs.fit_mle(X, y, "SS", (2,), **FEW)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [1, "yes", None])
def test_verbose_is_a_flag_or_a_callable(verbose):
    _, X, y = draw("SS", 60)
    with pytest.raises(ValueError, match="verbose must be True, False or a callable that takes a Progress; got"):
        hs.fit_mle(X, y, "SS", (1,), verbose=verbose)


# -- the end that a watcher puts to it ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("gating", ["SS", "LL"])
@pytest.mark.parametrize(
    "of",
    [lambda p: p.k2 == (2, 2) and p.move == "growth" and p.starts, lambda p: p.k2 == (2, 2) and p.move == "finish"],
)
def test_an_interrupt_gives_the_best_so_far_and_calls_it_no_maximum(gating, of, n_jobs):
    _, X, y = draw(gating)
    whole = hs.fit_mle(X, y, gating, (2, 2), **FEW)
    smaller = hs.fit_mle(X, y, gating, (2, 1), **FEW)
    fit = hs.fit_mle(X, y, gating, (2, 2), verbose=ending(1, of), n_jobs=n_jobs, **FEW)
    assert fit.status == "interrupted"
    assert not fit.converged
    assert fit.measure.k2 == (2, 2)
    assert smaller.log_likelihood - 1e-6 <= fit.log_likelihood <= whole.log_likelihood + 1e-6
    assert fit.log_likelihood == pytest.approx(hs.log_likelihood(fit.measure, X, y))
    assert "interrupted after" in fit.message
    assert fit.message in fit.warnings
    with pytest.raises(hs.inference.InferenceError, match="interrupted"):
        fit.cov_params()


@pytest.mark.parametrize("fit", [hs.fit_mle, hs.fit])
def test_before_a_start_of_the_shape_it_is_the_smaller_fit_in_the_larger_shape(fit):
    _, X, y = draw("SS")
    got = fit(X, y, "SS", (2, 2), verbose=ending(2, lambda p: p.k2 == (2, 1) and p.starts), **FEW)
    assert got.status == "interrupted"
    assert got.measure.k2 == (2, 2)
    assert got.log_likelihood >= fit(X, y, "SS", (1, 1), **FEW).log_likelihood - 0.1
    assert len(got.starts) == 0
    assert hs.select(X, y, gatings="SS", shapes=[(1,)]).fits  # nothing is held on to


def test_an_interrupt_after_the_end_of_the_fit_leaves_it_as_it_is():
    _, X, y = draw("SS")
    done = hs.fit_mle(X, y, "SS", (2,), **FEW)
    late = hs.fit_mle(X, y, "SS", (2,), verbose=ending(1, lambda p: p.k2 == (2,) and p.move == "done"), **FEW)
    assert late.status in ("interrupted", done.status)
    assert late.log_likelihood == pytest.approx(done.log_likelihood, abs=1e-6)


def test_where_there_is_nothing_to_return_and_where_nobody_watches_it_is_raised():
    _, X, y = draw("SS")
    with pytest.raises(KeyboardInterrupt):
        hs.fit_mle(X, y, "SS", (2, 2), verbose=ending(1), **FEW)
    start = hs.fit_mle(X, y, "SS", (1,), **FEW)
    assert hs.fit_mle(X, y, "SS", (2, 2), start=start, verbose=ending(1), **FEW).status == "interrupted"


def test_the_keyboard_ends_a_fit_that_is_watched_and_raises_in_one_that_is_not(monkeypatch):
    _, X, y = draw("SS")
    pressed = []

    def press(*args, **kwargs):
        pressed.append(1)
        if len(pressed) == 60:
            os.kill(os.getpid(), signal.SIGINT)
        return newton.climb_on(*args, **kwargs)

    monkeypatch.setattr("hmoe_stats.fitting.race.climb_on", press)
    fit = hs.fit_mle(X, y, "SS", (2, 2), verbose=lambda progress: None, **FEW)
    assert fit.status == "interrupted"
    pressed.clear()
    with pytest.raises(KeyboardInterrupt):
        hs.fit_mle(X, y, "SS", (2, 2), **FEW)


def test_a_profile_ends_with_the_best_of_its_scales():
    _, X, y = draw("LL", 100)
    seen = []

    def watch(progress):
        seen.append(progress.move == "done" and progress.k2 == (2,))
        if sum(seen) == 3:
            raise KeyboardInterrupt

    fit = hs.fit(X, y, "LL", (2,), laplace_scale="profile", verbose=watch, **FEW)
    assert fit.status == "interrupted"
    assert sum(seen) == 3
    best = max(hs.fit(X, y, "LL", (2,), laplace_scale=scale, **FEW).penalised_log_likelihood for scale in (0.5, 1.0))
    assert fit.penalised_log_likelihood >= best - 1e-9


def test_a_selection_that_is_watched_ends_as_a_whole():
    _, X, y = draw("SS", 100)
    with pytest.raises(KeyboardInterrupt):
        hs.select(X, y, gatings="SS", shapes=[(1,), (2,)], verbose=ending(3, lambda p: p.k2 == (2,)), n_starts=2)


def test_a_study_stores_no_fit_that_was_interrupted(monkeypatch):
    class Interrupted:
        status = "interrupted"

    class Study:
        kind = "simulation"

        def sample(self, *key):
            return np.zeros((3, 1)), np.zeros(3), None

    class Cell:
        gating, k2, n, replicate, key = "SS", (1,), 3, 0, ("SS", "1", 3, 0)

    monkeypatch.setattr(runner, "estimate", lambda *args: Interrupted())
    with pytest.raises(KeyboardInterrupt):
        runner.run_cell(Study(), Cell())


def test_progress_in_words():
    said = progress.Progress((2, 1), "growth", 8, 3, -12.5, 100, 1.0)
    assert str(said) == "     1.0 s  k2 = (2, 1): growth, 3 of 8 starts running; best -12.5000 on 100 rows"
    assert "best" not in str(said._replace(best=float("nan")))
