"""What a study asks of the library, tried before anything of it is made: truths, shapes, samples, boxes, other studies.

A study that passes fails only by what its data do to a fit.
"""

import itertools

import numpy as np

from hmoe_stats import fit_categorical_mle, log_density, sample, sample_categorical
from hmoe_stats.fitting import class_mle
from hmoe_stats.fitting.problem import Problem, check_problem, free_parameters
from hmoe_stats.fitting.starts import check_start, contains
from hmoe_stats.sampling import MOST_ON_LATTICE

from .expected import differs
from .study import StudyError, load_simulation, problems, text_of
from .words import named

SAMPLED = 10**9  # rows: samples are held in memory
TRIED = 1000  # rows of the sample that is tried, beyond the parameters of a model


def check_study(study):
    """Check a study against the library.

    Parameters
    ----------
    study : Study

    Raises
    ------
    StudyError
        One line a problem, each naming a key: a truth that is none; a fitted shape that cannot hold the truth it starts
        from, or has fewer groups than the truth, so that there are no Voronoi cells; sample sizes with no more rows
        than a model has free parameters, or too many for the memory; primary quantities that no fit has; a box
        that the fit refuses; studies beside it, or that slopes are expected from, that are not to be had, have its name
        or, the latter, another model.
    """
    if study.kind == "applied":
        _needs_scikit_learn(study)
        return
    found = [*_sizes(study), *_primary(study), *_others(study)]
    for gating in study.gatings:
        try:
            truth = study.measure(gating)
        except StudyError as error:
            found.append(str(error).removeprefix(f"study {study.name}: "))
            continue
        found += [line for k2 in study.k2 for line in _model(study, truth, tuple(k2))]
    if found:
        raise StudyError(problems(f"study {study.name}", dict.fromkeys(found)))


def _needs_scikit_learn(study):
    try:
        import sklearn  # noqa: F401
    except ImportError:
        how = 'scikit-learn, whose data and models it is about: pip install "hmoe-stats[sklearn]"'
        raise StudyError(f"study {study.name}: needs {how}") from None


def box_findings(study):
    """One line for each gating under which a truth lies outside the box, so that errors cannot fall to 0."""
    if study.kind == "applied":
        return
    bounds = study.fit.bounds.model_dump(exclude_none=True)
    for gating, replicate in itertools.product(study.gatings, study.truths) if bounds else ():
        if not _in_box(study.measure(gating, replicate), study.law, bounds):
            which = f"the truth of replicate {replicate}" if study.random else "the truth"
            yield f"note: fit.bounds: {which} lies outside this box under {gating}: errors will not fall to 0"


def _in_box(truth, law, bounds):
    """Whether what is nearest to a truth in a box is the same on data."""
    if truth.family.classed:
        X, y = sample_categorical(truth, TRIED, x=law, seed=0)
        problem = class_mle.Problem(truth.rows(X, y), truth, truth.k2, class_mle.check_box(bounds))
        nearest = truth.with_vector(problem.project(truth.to_vector()))
    else:
        X, y = sample(truth, TRIED, x=law, seed=0)
        problem = Problem(X, y, truth.gating, truth.k2, bounds)
        nearest = problem.to_measure(problem.from_measure(truth))
    return np.allclose(log_density(nearest, X, y), log_density(truth, X, y), rtol=1e-6, atol=1e-6)


def _sizes(study):
    n = study.sizes[-1]
    if study.data == "rows" and n > SAMPLED:
        yield f'n: samples are held in memory: expected at most {SAMPLED} rows (more: data = "lattice"), got {n}'
    elif n > MOST_ON_LATTICE:
        yield f"n: log-likelihoods lose their digits: expected at most {MOST_ON_LATTICE} rows on a lattice, got {n}"


def _primary(study):
    """A cell cannot be larger than the models that are fitted."""
    most = {1: max(map(len, study.k2)), 2: max(map(sum, study.k2))}
    for i, text in enumerate(study.primary):
        level, size, parameter, _ = named(text)
        if level and size > most[level]:
            yield f"primary[{i}]: no model fits so many: expected m of at most {most[level]}, got {text!r}"
        if not getattr(study.measures, parameter, True):
            yield f"primary[{i}]: is not measured, as measures.{parameter} = false: {text!r}"


def _model(study, truth, k2):
    classed, n, start = truth.family.classed, study.sizes[0], None
    free = sum(k2) * truth.per_expert if classed else free_parameters(k2, truth.d)
    if n <= free:
        yield f"n: k2 = {text_of(k2)} has {free} free parameters: expected more rows, got {n}"
        return
    if study.fit.start == "truth":
        start = truth
        if k2 != truth.k2 and not contains(k2, truth.k2):
            yield f"k2: the truth, {text_of(truth.k2)}, where fits start, does not fit into {text_of(k2)}"
            return
    elif len(k2) < truth.k1:
        yield f"k2: expected at least as many groups as the truth has, {truth.k1}, got {text_of(k2)}"
        return
    bounds = study.fit.bounds.model_dump(exclude_none=True)
    try:
        data = study.sample(truth.gating, min(n, free + TRIED), 0)
    except ValueError as error:
        floor = "" if study.data == "rows" or classed else f" for fit.bounds.nu from {bounds['nu'][0]:g}"
        yield f"data: no {study.data} under {truth.gating}{floor}: {error}"
        return
    try:
        if classed:
            options = {"n_starts": 1, "max_iter": 1, "bounds": bounds}
            fit_categorical_mle(*data[:2], truth.gating, k2, truth, weights=data[2], **options)
            return
        X, y, gating, k2, weights, _ = check_problem(*data[:2], truth.gating, k2, data[2])
        check_start(start, gating, k2, X, y, weights)
        Problem(X, y, gating, k2, bounds or None, weights=weights)
    except ValueError as error:
        yield f"gating {truth.gating}, k2 = {text_of(k2)}, n = {n}: {error}"


def _others(study):
    for i, (key, name) in enumerate(study.others):
        where = f"{key}[{i}]" if key == "beside" else key
        try:
            other = load_simulation(name)
        except StudyError as error:
            yield from (f"{where}: {line}" for line in str(error).split("\n"))
            continue
        if other.name == study.name:
            yield f"{where}: expected another study, got {name!r}, which has the same name"
        elif key == "expected" and (why := differs(study, other)):
            yield f"{key}: expected a study of the same model with other data, got {name!r}: {', '.join(why)}"
