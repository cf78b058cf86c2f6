"""A race: starts climb together, those that fall behind or meet others drop out; the distinct optima of the rest."""

from dataclasses import dataclass, field, replace

import numpy as np

from . import certificate
from .newton import Optimum, begin, climb_on
from .problem import Problem
from .progress import ALONE, Team, Watch

STRIDE, BEHIND = 4, 4.0  # every so many iterations, those so far behind in log-likelihood fall out
AGREE = 0.01  # log-likelihood units within which starts count as the same optimum
PATIENCE = 60  # a start that has risen by less than that in so many iterations is left where it is


@dataclass
class Run:
    """A start on its way."""

    problem: Problem
    kind: str
    optimum: Optimum
    status: str = "running"  # then "converged", "max_iter", or why it fell out: "behind", "merged"
    agree: int = 1  # starts that came to the same optimum
    number: int = -1  # in its pool
    judged: tuple = (None, "")  # the optimum that `flaw` was asked of last, and the answer

    @property
    def flaw(self):
        """Why it is no estimate, "" if it is one: asked only where that decides, as it goes through all rows."""
        if self.judged[0] is not self.optimum:
            self.judged = self.optimum, certificate.flaw(self.problem, self.optimum.z)
        return self.judged[1]

    @property
    def value(self):
        return self.optimum.value

    @property
    def rise(self):
        """What the last `STRIDE` iterations gained."""
        return self.value - self.optimum.path[-1 - STRIDE :][0]

    @property
    def entry(self):
        return self.problem.absolute(self.value), self.problem.to_measure(self.optimum.z)

    @property
    def experts(self):
        """Standardised parameters of the experts (K, d + 2), sorted within their groups."""
        problem, z = self.problem, self.optimum.z
        lines = z[problem.slices["eta"]].reshape(problem.K, problem.d)
        rows = np.column_stack([z[problem.slices["tau"]], lines, z[problem.slices["log_nu"]]])
        groups = np.repeat(np.arange(problem.k1), problem.k2)
        return rows[np.lexsort((rows[:, 0], groups))]

    @property
    def exact(self):
        """The value of the model itself, distances unsmoothed."""
        return self.problem.value(self.optimum.z, 0.0)


def race(problem, entries, max_iter, lead=-np.inf, team=ALONE, watch=None, runs=None):
    """Climb all starts to a loose tolerance, `STRIDE` iterations at a time: a list of `Run`.

    Those that come level with another are merged into it; those more than `BEHIND` below the leader, or below the
    value `lead` of an optimum known before, fall out.

    Where n is large (`Problem.large`), starts begin thousands of units apart, in curved valleys. There a run falls out
    only if it would not come up at its pace either, steps along valleys are taken, and a run that gains less than
    `AGREE` in a stride is left to the last climb.

    The starts of a round are shared out among the `team`, and the `watch` is told after each. The list `runs` has the
    runs at any time: an interrupt finds them there.
    """
    watch, runs = watch or Watch(), [] if runs is None else runs

    def stride(run):
        before = run.optimum.n_iter
        run.optimum = climb_on(problem, run.optimum, problem.smoothing, 1e-6, STRIDE, gain=1e-4, valleys=problem.large)
        path, spent = run.optimum.path, run.optimum.n_iter
        crawls = spent > PATIENCE and path[-1] - path[-1 - PATIENCE] < AGREE
        rests = problem.large and run.optimum.norm <= 1e-6 and run.rise < AGREE
        if run.optimum.converged or rests:
            run.status = "converged"
        elif spent >= max_iter or spent < before + STRIDE or crawls:
            run.status = "max_iter"

    runs += team.map(lambda entry: Run(problem, entry[0], begin(problem, entry[1], problem.smoothing)), entries)
    while any(run.status == "running" for run in runs):
        team.map(stride, [run for run in runs if run.status == "running"])
        here = sorted((run for run in runs if run.status not in ("behind", "merged")), key=lambda run: -run.value)
        ahead = max(lead, foremost(here).value)
        kept = []
        for run in here:
            twin = next((other for other in kept if same(run, other)), None)
            if twin is not None:
                run.status = "merged"
                twin.agree += run.agree
            elif run.status == "running" and run.value + problem.large * run.rise < ahead - BEHIND:
                run.status = "behind"
            else:
                kept.append(run)
        watch.tell(problem, runs, ahead)
    return runs


def same(run, other):
    """True of two runs at one value; of runs still on their way, only if their experts are much the same too."""
    if abs(run.value - other.value) > AGREE or bool(run.flaw) != bool(other.flaw):
        return False
    return "running" not in (run.status, other.status) or np.abs(run.experts - other.experts).max() < 0.05


def foremost(runs):
    """The first of the runs without a flaw, or of all if there is none: asks no more of them than it must."""
    return next((run for run in runs if not run.flaw), runs[0])


def sound(runs):
    """The runs without a flaw if there are any, else all."""
    return [run for run in runs if not run.flaw] or runs


def distinct(runs):
    """The sound runs at the end of their climb, the best first, one for every optimum."""
    out = []
    ended = sound([run for run in runs if run.status in ("converged", "max_iter")])
    for run in sorted(ended, key=lambda run: -run.value):
        twin = next((k for k, other in enumerate(out) if same(run, other)), None)
        if twin is None:
            out.append(run)
        else:
            out[twin] = replace(out[twin], agree=out[twin].agree + run.agree)
    return out


@dataclass
class Pool:
    """All runs of one size of a model, numbered as they came, and the distinct optima among them."""

    problem: Problem
    max_iter: int
    team: Team = ALONE
    watch: Watch = field(default_factory=Watch)
    runs: list = field(default_factory=list)
    racing: list = field(default_factory=list)  # runs of a race that is not over

    def race(self, entries, lead=-np.inf):
        """Add the runs of `race`, and return them."""
        self.racing = []
        runs = race(self.problem, entries, self.max_iter, lead, self.team, self.watch, self.racing)
        for number, run in enumerate(runs, len(self.runs)):
            run.number = number
        self.runs, self.racing = self.runs + runs, []
        return runs

    @property
    def known(self):
        """All runs, those of a race that is not over among them."""
        return self.runs + self.racing

    @property
    def ahead(self):
        """The most likely sound run as it stands, at its end or not, of `known`, if there are any."""
        return foremost(sorted(self.known, key=lambda run: -run.value))

    @property
    def optima(self):
        """See `distinct`."""
        return distinct(self.runs)

    @property
    def best(self):
        """The first of the optima."""
        return self.optima[0]
