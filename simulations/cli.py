"""The command line ``hmoe``: list, run, watch, tabulate and draw studies, and fit one model to a user's own data.

What the user can mend is said in one line a problem on standard error, with exit code 2; an interrupted run ends with
exit code 130. Heavy libraries are imported inside the commands that need them, so that `status` answers at once.
"""

import logging
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand, TyperGroup

from . import UserError, words
from .files import (
    SHOWN,
    as_written,
    folder_refusal,
    in_a_line,
    make_folder,
    refusal,
    same_file,
    write_figure,
    write_table,
    write_text,
    written_whole,
)
from .messages import brief, glyphs_noted, listed, shown, strict_json, visible
from .pace import Pace
from .schema import EXPERTS
from .store import Store, StoreError, being_written
from .streams import BROKEN_PIPE, OutputLost, guarded
from .study import load_simulation, load_study, shipped_cells, shipped_studies, sizes_of, study_template, text_of

GATING = "Gates of level 1 and 2: two letters of S (softmax), L (Laplace), Q (quadratic)."
EFFORTS = ("quick", "usual", "wide")  # those of the library, which is not loaded for the sake of a check
DIGITS = 6  # of numbers in the tables of a study
CRITERIA = ("bic", "icl", "aic", "cv", "dendrogram")
DRAWN = (".png", ".svg", ".pdf")
NAME_THE_SHELL = (
    "name your shell: _HMOE_COMPLETE=source_bash hmoe prints its script (or source_zsh, _fish, _powershell)"
)


class _Commands(TyperGroup):
    """The one place that turns exceptions into words and exit codes."""

    def main(self, *args, **options):
        try:
            with guarded():
                return super().main(*args, **options)
        except OutputLost as lost:
            if lost.code != BROKEN_PIPE:
                _say(lost)
            sys.exit(lost.code)

    def invoke(self, ctx):
        try:
            with _library_heard():
                return super().invoke(ctx)
        except UserError as error:
            for line in str(error).split("\n"):
                _say(line)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(130) from None
        except (MemoryError, ImportError, OSError) as error:  # of the machine: what was asked for may well be right
            _say(f"{type(error).__name__}: {str(error) or 'the memory is too small'}"[:SHOWN])
            raise typer.Exit(1) from None

    def parse_args(self, ctx, args):
        try:
            return super().parse_args(ctx, args)
        except typer.Exit as ended:
            if ended.exit_code:  # completion for a shell that was not recognised
                _say(NAME_THE_SHELL)
                raise typer.Exit(2) from None
            raise


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _completions(incomplete: str):
    """Studies that begin like that: those that ship, and TOML files of this folder."""
    names = [*shipped_studies(), *sorted(file.name for file in Path().glob("*.toml"))]
    return [name for name in names if name.startswith(incomplete) and name == visible(name)]


def _version(wanted: bool):
    if wanted:
        from hmoe_stats import __version__

        print(f"hmoe-stats {__version__}")
        raise typer.Exit()


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show name and version, and exit.")
    ] = False,
):
    """Simulation studies of maximum-likelihood estimation in hierarchical mixtures of experts."""


StudyName = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", help="A study that ships (hmoe studies), or a TOML file.", autocompletion=_completions
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON, as said above.")]
WORKERS = 16  # at most, for each core: more only wait, and a slip of the keyboard asks for millions
Results = Annotated[Path | None, typer.Option(help="SQLite file of results. [default: results/<study>.sqlite]")]


def _say(text):
    print(f"hmoe: {visible(text)}", file=sys.stderr)


class _Heard(logging.Handler):
    """Says what the library logs, above a progress bar if there is one."""

    def emit(self, record):
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(f"hmoe: {record.getMessage()}", file=sys.stderr)
        else:
            _say(record.getMessage())


@contextmanager
def _library_heard():
    """Let the library say what takes long."""
    log, handler = logging.getLogger("hmoe_stats"), _Heard()
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


@contextmanager
def _asked(notes=()):
    """What the library says of arguments that the user gave is for the user; to be held around their check alone.

    What was left out of the data is said with it.
    """
    try:
        yield
    except ValueError as error:
        raise UserError(" ".join([str(error), *(f"({note})" for note in notes)])) from None


def _results(study, results):
    path = results if results is not None else Path("results") / f"{study.name}.sqlite"
    if why := refusal(path):
        raise UserError(f"{in_a_line(path)}: {why}")
    return path


@contextmanager
def _opened(path, study, write=False):
    """A `Store`; what is wrong with its file is said as soon as it is known."""
    with Store(path, study, write) as store:
        said = 0
        try:
            said = _say_notes(store, said)
            yield store
        finally:
            _say_notes(store, said)


def _say_notes(store, said):
    for line in store.notes[said:]:
        _say(f"note: {line}")
    return len(store.notes)


def _looked_at(path, study, command):
    """The results in a file, a row a number, and a row a cell, and their protocol, which has this look by `command`.

    Failures are among them.
    """
    with _opened(path, study) as store:
        cells, protocol = store.collected(failed=True, ended=True), store.protocol()
        if len(cells):
            store.look(command)
        return cells.frame(), cells.ends(), protocol


def _none_yet(path, study):
    return f"{in_a_line(path)}: no finished cells yet (hmoe run {study.name} computes them)"


def _looked_up(source, results, command):
    """(study, its results, its protocol, options of `_summary`), for `command` to show.

    Other studies that are shown beside it, or that its slopes are expected from, are named if they have no results.
    """
    from .expected import differs

    study = load_simulation(source)
    path = _results(study, results)
    others = [(key, name, load_simulation(name)) for key, name in study.others]
    for key, name, other in others:
        if other.name == study.name:
            raise UserError(f"{source}: {key}: {name} has this study's own name")
        if key == "expected" and (why := differs(study, other)):
            raise UserError(f"{source}: {key}: {name} does not say what to expect: it has {', '.join(why)}")
    frame, ends, protocol = _looked_at(path, study, command)
    if not len(frame):
        raise UserError(_none_yet(path, study))
    found = {"beside": [], "expected": []}
    ended = [(protocol.study, ends)]
    why = {"beside": f"shown beside {study.name}", "expected": f"which the slopes of {study.name} are expected from"}
    for key, name, other in others:
        its = path.with_name(f"{other.name}.sqlite")
        its_frame, its_ends, its_protocol = _looked_at(its, other, command) if its.exists() else ((), None, None)
        if not len(its_frame):
            _say(f"note: {name}, {why[key]}, has no results in {its}")
            continue
        found[key].append((its_protocol.study, its_frame))
        ended += [(its_protocol.study, its_ends)] if key == "beside" else []
    options = {"beside": found["beside"], "reference": (found["expected"] or [None])[0]}
    return study, frame, protocol, options | {"ends": ended}


def _applied(study, results, command):
    """(mean scores, differences, protocol) of an applied study, for `command` to show."""
    path = _results(study, results)
    with _opened(path, study) as store:
        frame, protocol = store.frame(failed=True), store.protocol()
        if len(frame):
            store.look(command)
    if not len(frame):
        raise UserError(_none_yet(path, study))
    from .applied import tables

    return tables.scores(study, frame), tables.differences(study, frame), protocol


# -- studies ----------------------------------------------------------------------------------------------------------
@app.command()
def studies(results: Annotated[Path | None, typer.Option(hidden=True)] = None):
    """List the studies that ship."""
    for name in shipped_studies():
        study = load_study(name)
        print(f"{name:<12} {study.n_cells:>6} cells  {visible(study.title)}")


@app.command()
def results(
    study: Annotated[
        list[str] | None, typer.Argument(metavar="[STUDY]...", help="Unpack the fits of these studies.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Unpack those of all studies.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder to unpack into.")] = Path("results"),
):
    """List the fits that ship, or unpack them, so that rates, plot and table need no run.

    A file that is there already is left as it is.
    """
    import gzip
    import shutil

    packed = shipped_cells()
    for name in study or ():
        if name not in packed:
            raise UserError(f"STUDY: expected one whose fits ship, {', '.join(packed) or 'here none'}; got {name!r}")
    if not study and not every:
        for name, file in packed.items():
            print(f"{name:<20} {load_study(name).n_cells:>6} cells  {file.stat().st_size / 1e6:5.2f} MB packed")
        return
    _check_folder(out)
    make_folder(out)
    for name in packed if every else dict.fromkeys(study):
        file = out / f"{name}.sqlite"
        if file.exists():
            print(f"{visible(file)}: is there already")
            continue
        with written_whole(file) as part, packed[name].open("rb") as stream, gzip.open(stream) as content:
            with open(part, "wb") as target:
                shutil.copyfileobj(content, target)
        print(f"{visible(file)}: unpacked")


@app.command()
def new(name: Annotated[str, typer.Argument(metavar="NAME", help="Of the study, and of NAME.toml.")]):
    """Write a study to start from, NAME.toml, with a word on every key."""
    import secrets

    file = Path(f"{name}.toml")
    text = study_template(name, secrets.randbelow(10**8))  # a seed of its own: no two studies share samples by chance
    if file.exists():
        raise UserError(f"{in_a_line(file)}: is there already")
    write_text(file, text)
    print(f"{visible(file)}: hmoe check {visible(file)} says what is wrong with it, hmoe run {visible(file)} runs it")


@app.command()
def check(study: StudyName):
    """Say all that is wrong with a study, and what to know of it before it runs; nothing is written."""
    found = load_study(study)
    from . import checks

    checks.check_study(found)
    for line in _to_know(found):
        print(visible(line))
    print(f"{found.name}: {found.n_cells} cells, and nothing wrong with them")


@app.command()
def run(
    study: StudyName,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes. [default: one a core]")] = None,
    backend: Annotated[str, typer.Option(help="loky (processes of this machine) or dask.")] = "loky",
    scheduler: Annotated[str | None, typer.Option(help="Address of a dask scheduler.")] = None,
    results: Results = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again.")] = False,
):
    """Run what is missing of a study; Ctrl-C stops it, and the next run goes on from there."""
    if backend not in ("loky", "dask"):
        raise UserError(f"--backend: expected loky or dask, got {backend!r}")
    if scheduler and backend != "dask":
        raise UserError("--scheduler is of use with --backend dask only")
    name, study = study, load_study(study)
    path = _results(study, results)
    finished = _run(study, path, f"hmoe run {name}", jobs, backend, scheduler, retry_failed)
    raise typer.Exit(0 if finished else 1)


def _run(study, path, again, jobs=None, backend="loky", scheduler=None, retry_failed=False):
    """Run what is missing of a study, and say how it ended; False if all its cells failed.

    Where it is stopped, what goes on from there is the command `again`.
    """
    from . import checks, runner
    from .pool import PoolError, joblib

    checks.check_study(study)
    with _opened(path, study, write=True) as store:
        before = Pace(study, store.progress(), retry_failed)
        todo = before.total - before.finished
        if todo and store.sources() - {runner.code_version()}:
            _say(f"note: {path} has cells computed by other versions of the code; they are kept as they are")
        for line in _to_know(study) if todo else ():
            _say(line)
        stopped = None
        jobs = min(jobs or joblib.cpu_count(), WORKERS * joblib.cpu_count())
        try:
            runner.run(study, store, max(1, min(jobs, todo)), backend, scheduler, retry_failed)
        except KeyboardInterrupt:
            stopped, code = "interrupted", 130
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would only tear the last lines
        except (PoolError, StoreError, runner.TroubleError) as error:
            stopped, code = error, 1
        for line in str(stopped or "").splitlines():
            _say(line)
        if store.lost:
            raise typer.Exit(code)
        after = Pace(study, store.progress())
        if stopped:
            _say(f"{after.finished} of {after.total} cells are kept in {path}; {again} goes on from there")
            raise typer.Exit(code)
        counts = f"{after.finished} of {after.total} cells in {path}, {todo} of them new, {after.failed} failed"
        print(visible(f"{study.name}: {counts}"))
        for message, count in store.failures().items():
            _say(f"{count} failed: {message}")
        store.collected(jobs=jobs)  # tables are then made at once
        return after.failed < after.total


def _to_know(study):
    """What a study cannot tell, before it runs: a line a finding, on what is not identified, and on the box."""
    from . import checks

    return [] if study.kind == "applied" else [*_findings(study), *checks.box_findings(study)]


def _findings(study):
    """What `hmoe_stats.diagnose` says of the study's truths: one line a finding, with the models that share it."""
    import hmoe_stats as hs

    found = {}
    for gating in study.gatings:
        for k2 in study.k2:
            for finding in hs.diagnose(study.measure(gating), k2, study.law):
                models = found.setdefault(str(finding), {"gating": [], "k2": []})
                for name, value in (("gating", gating), ("k2", text_of(k2))):
                    models[name] += [] if value in models[name] else [value]
    for text, models in found.items():
        yield f"{text} [{' '.join(models['gating'])}, k2 = {' and '.join(models['k2'])}]"


@app.command()
def plan(
    study: StudyName,
    precision: Annotated[
        float, typer.Option(min=1e-4, max=1.0, help="Half the width of a rate's 95 % interval.")
    ] = 0.05,
    pilot: Annotated[int, typer.Option(min=6, help="Replicates of the pilot.")] = 8,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes. [default: one a core]")] = None,
    results: Results = None,
):
    """Say how many replicates rates to a wanted precision take, and how long, from a pilot.

    The pilot is run first, under a seed of its own and into a file of its own (results/STUDY-pilot.sqlite, or
    --results): no sample of it is the study's, and its rates are not shown, so that replicates can be declared before
    the first fit.
    """
    from . import plan as plans
    from .pool import joblib
    from .summary import Summary

    name, study = study, load_simulation(study)
    trial = plans.pilot_of(study, pilot)
    path = _results(trial, results)
    jobs = min(jobs or joblib.cpu_count(), WORKERS * joblib.cpu_count())
    if not _run(trial, path, f"hmoe plan {name}", jobs):
        raise typer.Exit(1)
    with _opened(path, trial) as store:
        found = plans.table(study, Summary(trial, store.frame()), precision)
        seconds = plans.seconds_a_replicate(store.progress())
    if found.empty:
        raise UserError(f"{study.name}: the pilot has no rate to plan by: give it more replicates, --pilot")
    print(visible(plans.text(study, found, seconds, precision, jobs)))


@app.command()
def status(study: StudyName, results: Results = None, as_json: AsJson = False):
    """Cells done, failed and to do; the rate, and the time left.

    With --json one object: study and results (its name, the path of its file); cells, done, failed, to_do (counts:
    done have a fit, failed raised an error); models (a list of gating, k2, done, failed, to_do); jobs and
    cells_a_minute of the latest run, and seconds_left with as many jobs, each null where not known; under_way, and
    began, the Unix time at which the latest run did, or null.
    """
    study = load_study(study)
    path = _results(study, results)
    there, latest, recent, last = {}, {"began": 0.0, "jobs": 1}, 0, 0.0
    if path.exists() and path.stat().st_size:
        with _opened(path, study) as store:
            there, latest = store.progress(), store.latest_run()
            recent, last = store.finished_since(latest["began"])
            store.unmeasured()
    began, jobs = latest["began"], latest["jobs"]
    pace, groups = Pace(study, there), {}
    for cell in study.corners():
        count = groups.setdefault(cell.key[:2], [0, 0, 0])
        finished, failed, _ = there.get(cell.key[:3], (0, 0, 0.0))
        for i, number in enumerate((finished - failed, failed, study.replicates - finished)):
            count[i] += number
    to_do = pace.total - pace.finished
    counts = "done", "failed", "to_do"
    found = {"study": study.name, "results": str(path), "cells": pace.total, "done": pace.finished - pace.failed}
    found |= {"failed": pace.failed, "to_do": to_do}
    found["models"] = [
        {"gating": gating, "k2": k2} | dict(zip(counts, count, strict=True)) for (gating, k2), count in groups.items()
    ]
    found |= {"jobs": jobs if began else None, "cells_a_minute": 60 * recent / (last - began) if recent else None}
    found |= {"seconds_left": pace.left(jobs) if to_do else 0.0, "under_way": being_written(path)}
    found["began"] = began or None
    if as_json:
        print(strict_json(found))
    else:
        _print_status(found, pace.finished)


def _print_status(found, finished):
    print(f"{found['study']}: {finished} of {found['cells']} cells in {visible(found['results'])}")
    wide = max(8, *(len(model["gating"]) + 2 for model in found["models"]))
    print(f"{'gating':<{wide}}{'k2':<10}{'done':>8}{'failed':>8}{'to do':>8}")
    for model in found["models"]:
        gating, k2, *counts = model.values()
        print(f"{gating:<{wide}}{k2:<10}" + "".join(f"{number:>8}" for number in counts))
    jobs = found["jobs"] or 1
    if found["cells_a_minute"] is not None:
        print(f"rate: {found['cells_a_minute']:.1f} cells a minute in the latest run ({jobs} jobs)")
    if found["to_do"]:
        active = f"a run is under way, since {time.strftime('%H:%M', time.localtime(found['began'] or 0.0))}"
        active = active if found["under_way"] else "no run is under way"
        print(f"time left: {words.duration(found['seconds_left'], jobs)}; {active}")


# -- what came out ----------------------------------------------------------------------------------------------------
@app.command()
def rates(study: StudyName, results: Results = None, as_json: AsJson = False):
    """Rates with intervals, local rates, verdicts on theory's exponents; differences between models.

    With --json one object: study (its name), declared (when it was, and what was changed after which look), slopes,
    differences and ends, lists of objects that have the columns of the tables slopes.csv, differences.csv and ends.csv
    of hmoe plot, for every statistic; null where there is nothing. Slopes are those of log error on log n, minus the
    rates. An applied study has no rates: its paired differences between models are printed, and JSON has study,
    declared, scores and differences.
    """
    if (applied := load_study(study)).kind == "applied":
        scores, differences, protocol = _applied(applied, results, "rates")
        if as_json:
            found = {"declared": protocol.line, "scores": _records(scores), "differences": _records(differences)}
            print(strict_json({"study": applied.name} | found))
            return
        from .applied.tables import text

        print(visible(protocol.line))
        print()
        print(text(applied, differences))
        return
    study, frame, protocol, others = _looked_up(study, results, "rates")
    found, ends = _summary(study, frame, protocol, **others)
    if as_json:
        tables = {
            "declared": protocol.line,
            "slopes": _records(found.slopes),
            "differences": _records(found.differences),
            "ends": _records(ends),
        }
        print(strict_json({"study": found.study.name} | tables))
        return
    from .terminal import differences_text, ends_text, slopes_text

    first = found.study.statistics[:1]
    print(visible(protocol.line))
    print()
    print(slopes_text(found.slopes, found.together))
    print()
    print(differences_text(found.differences_of(first), *first))
    print()
    print(ends_text(ends))


def _summary(study, frame, protocol, beside, reference, ends):
    """(the `Summary` of what `_looked_up` gives, the table of how its fits ended)."""
    from . import ends as ended
    from .summary import Summary

    return Summary(study, frame, beside, protocol.replicates, reference), ended.table(study, ends)


def _records(table):
    """The rows of a table as JSON has them: null for what is empty."""
    return [{name: None if v == "" else v for name, v in row.items()} for row in table.to_dict("records")]


EVERY = "Draw what the pages leave out, too: STUDY-all.png and .svg, beside them."


@app.command()
def plot(
    study: StudyName,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the figures.")] = Path("figures"),
    results: Results = None,
    every: Annotated[bool, typer.Option("--all", help=EVERY)] = False,
):
    """Draw the page of a study, DIR/STUDY/STUDY.png and .svg, and write its tables beside it.

    The page has six panels: the primary quantities of the study, then losses and errors. Tables are slopes.csv,
    differences.csv, curves.csv, and ends.csv: how fits ended, and on which bounds, by n. A study that names primary
    quantities and spans decades has local rates, too: local.csv, local.png and .svg. The tables of an applied study are
    scores.csv and differences.csv. declared.txt says when the study was declared. hmoe gallery draws the same from the
    tables alone.
    """
    if (study := load_study(source := study)).kind == "applied":
        folder = out / study.name
        _check_folder(folder)
        scores, differences, protocol = _applied(study, results, "plot")
        tables = {"scores": scores, "differences": differences}
    else:
        study, frame, protocol, others = _looked_up(source, results, "plot")
        folder = out / study.name
        _check_folder(folder)
        from . import local_rates

        found, ends = _summary(study, frame, protocol, **others)
        tables = {"slopes": found.slopes, "differences": found.differences, "curves": found.curves, "ends": ends}
        if local_rates.spans_decades(study):
            tables["local"] = local_rates.table(found)
    from . import gallery

    written = {name: as_written(table, DIGITS) for name, table in tables.items()}
    drawn = gallery.figures(study, written, protocol.line, every)
    make_folder(folder)
    _write_figures(folder, drawn, study.name)
    for name, table in tables.items():
        write_table(folder / f"{name}.csv", table, DIGITS)
        print(visible(folder / f"{name}.csv"))
    write_text(folder / gallery.DECLARED, f"{protocol.line}\n")
    print(visible(folder / gallery.DECLARED))


def _write_figures(folder, figures, salt=""):
    """Write figures, name -> Figure, as PNG and SVG, and print the names of the files; `salt` by default that name."""
    with glyphs_noted(_say):
        for name, one in figures.items():
            for file in (folder / f"{name}.png", folder / f"{name}.svg"):
                write_figure(file, one, salt=salt or name)
                print(visible(file))


@app.command()
def gallery(
    studies: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STUDY]...", help="[default: all with tables in DIR]", autocompletion=_completions),
    ] = None,
    figures: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the tables read.")] = Path("figures"),
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder written to. [default: that read]")] = None,
    every: Annotated[bool, typer.Option("--all", help=EVERY)] = False,
):
    """Draw the figures of studies from their tables in DIR alone: no results are read and nothing is fitted.

    Without a STUDY, evidence.png and gates-at-work.png are drawn, too, from the tables that they are of.
    """
    from . import gallery as room

    for study in map(load_study, studies or room.drawn(figures)):
        folder = (out or figures) / study.name
        _check_folder(folder)
        drawn = room.figures(study, *room.read(study, figures), every)
        make_folder(folder)
        _write_figures(folder, drawn, study.name)
    if not studies:
        drawn = room.overviews(figures)
        make_folder(out or figures)
        _write_figures(out or figures, drawn)


@app.command()
def table(
    study: StudyName,
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="The table to write.")],
    results: Results = None,
):
    """Write every finished cell, tidy, sorted by cell, without timings: equal files mean equal results."""
    source, study = study, load_study(study)
    path = _results(study, results)
    for name, what in (path, "the results"), (Path(source), "the study"):
        if same_file(out, name):
            raise UserError(f"--out {in_a_line(out)}: is {what}, which the table would replace: name another file")
    with _opened(path, study) as store:
        cells = store.collected(failed=True)
    if not len(cells):
        raise UserError(_none_yet(path, study))
    with written_whole(out) as part, open(part, "w", encoding="utf-8", newline="") as file:
        rows = cells.write_csv(file)
    print(f"{visible(out)}: {rows} rows")


def _check_folder(path):
    if why := folder_refusal(path):
        raise UserError(f"{in_a_line(path)}: cannot be written: {why}")


# -- theory ------------------------------------------------------------------------------------------------------------
def _sizes(k2):
    got = k2 if len(k2) <= 40 else f"{k2[:40]}..."
    try:
        sizes = sizes_of(k2)
    except ValueError:
        raise UserError(f"--k2: expected whole numbers such as 2,2, got {got!r}") from None
    if sum(sizes) > EXPERTS:
        raise UserError(f"--k2: expected at most {EXPERTS} experts in all groups, got {got}")
    return sizes


@app.command()
def certify(
    truth: Annotated[str, typer.Argument(metavar="TRUTH", help="A named truth, as C2.")],
    gating: Annotated[str, typer.Option(help=GATING)],
    k2: Annotated[str, typer.Option(help="Experts fitted in each group, as 3,2.")],
    x: Annotated[tuple[float, float], typer.Option(metavar="LOW HIGH", help="X ~ Uniform(LOW, HIGH).")] = (-3.0, 3.0),
    only: Annotated[str | None, typer.Option(metavar="NAMES", help="Discrepancies, as tau,bary_eta; else all.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the figure.")] = Path("figures"),
):
    """Certify exponents without data: print them, draw DIR/certify-TRUTH-GATING-K2.png, write the table beside it."""
    sizes = _sizes(k2)
    from matplotlib.figure import Figure

    import hmoe_stats as hs

    options = {} if only is None else {"discrepancies": tuple(only.split(","))}
    _check_folder(out)  # minutes of computing come first
    with _asked():
        G0 = hs.datasets.truth(truth, gating)
        wanted = hs.theory.certificates(G0, sizes, hs.Uniform(*x), **options)
    moduli = []
    for found in wanted:
        moduli.append(found)
        measured = f"exponent {found.exponent:6.3f} +- {found.exponent_error:.3f}, derived {found.derived:5.3f}"
        ended = f"{found.status}, {found.seconds:.0f} s"
        print(f"{found.discrepancy:12} m = {found.m}  {measured}  {ended}", flush=True)
    with hs.plotting.style():
        figure = Figure(figsize=(hs.plotting.PAGE, 5.0))
        title = hs.plotting.plain(f"{truth}, {gating}, {k2} fitted")
        hs.plotting.modulus_plot(moduli, figure.subplots()).set_title(title)
    make_folder(out)
    png, csv = (out / f"certify-{truth}-{gating}-{'-'.join(map(str, sizes))}.{end}" for end in ("png", "csv"))
    write_figure(png, figure)
    write_table(csv, hs.theory.certificate_table(moduli))
    for file in (png, csv):
        print(visible(file))


# -- a user's own data ------------------------------------------------------------------------------------------------
class _Fit(TyperCommand):
    """`--json` is a flag, but followed by the name of a JSON file it is `--save`."""

    def parse_args(self, ctx, args):
        args = [
            "--save" if word == "--json" and after.lower().endswith(".json") else word
            for word, after in zip(args, [*args[1:], ""], strict=True)
        ]
        return super().parse_args(ctx, args)


def _column_names(option, values, known):
    """Columns that an option names, one a value or joined by commas; () if it names none, None without it."""
    if not values:
        return None
    from .layout import tidy

    names = [name for value in values for name in ([value] if tidy(value) in known else value.split(","))]
    names = [tidy(name) for name in names if name.strip()]
    for name in names:
        if name not in known:
            there = listed([brief(other) for other in known])
            raise UserError(f"{option}: the column {shown(name)} is not among those of X: {there}")
    return tuple(dict.fromkeys(names))


def _laplace_scale(text, gatings, plain):
    if text is None:
        return None
    from hmoe_stats import gates

    if not any(gates.has_scale(gating.upper()) for gating in gatings):
        raise UserError("--laplace-scale is of use with a Laplace gate, L, only")
    if text == "profile" and not plain:
        return text
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [-1.0]
    if not all(0.0 <= number < float("inf") for number in numbers):
        words = "numbers of at least 0, one or one a covariate" + ("" if plain else ", or profile")
        raise UserError(f"--laplace-scale: expected {words}; got {shown(text)}")
    return numbers[0] if len(numbers) == 1 else numbers


def _wanted_models(gating, k2, select):
    """The gatings and shapes that are asked for; of one fit one each."""
    gatings = [part.strip() for word in gating or () for part in (word.split(",") if select else [word])]
    shapes = [_sizes(one) for one in k2 or ()]
    for option, given in () if select else (("--gating", gatings), ("--k2", shapes)):
        if len(given) != 1:
            raise UserError(f"{option}: expected one, or --select, which compares models; got {len(given) or 'none'}")
    return gatings, shapes


def _check_file(option, path):
    if path is not None:
        if why := refusal(path):
            raise UserError(f"{option} {in_a_line(path)}: {why}")
        _check_folder(path.parent)


Columns = list[str] | None


@app.command(cls=_Fit)
def fit(
    data: Annotated[Path, typer.Argument(metavar="DATA.csv", help="A table with a header.")],
    y: Annotated[str, typer.Option(metavar="COL", help="Column of the response.")],
    gating: Annotated[
        Columns, typer.Option(metavar="GATES", help=GATING + " With --select several: SS,LL. [default: SS,SL,LS,LL]")
    ] = None,
    k2: Annotated[
        Columns,
        typer.Option(metavar="SIZES", help="Experts in each group, as 2,2. With --select it may be repeated."),
    ] = None,
    x: Annotated[
        Columns,
        typer.Option(metavar="COL", help="A column of X; may be repeated. [default: all others that can be one]"),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="COL", help="Column of weights: how many rows each row counts as.")
    ] = None,
    categorical: Annotated[
        Columns,
        typer.Option(
            metavar="COL", help="A column of categories, whatever is in it; may be repeated. That of y: its classes."
        ),
    ] = None,
    gate_columns: Annotated[
        Columns, typer.Option(metavar="COLS", help="Columns of X that gates see, as x1,x2. '' for none. [default: all]")
    ] = None,
    expert_columns: Annotated[
        Columns, typer.Option(metavar="COLS", help="Columns of X that experts see, likewise.")
    ] = None,
    laplace_scale: Annotated[
        str | None,
        typer.Option(metavar="C", help="Scale of Laplace gates, a standard deviation of X; or profile. [default: 3]"),
    ] = None,
    penalty: Annotated[
        str, typer.Option(metavar="default|none", help="Of hs.fit; none is the plain maximum-likelihood estimator.")
    ] = "default",
    plain: Annotated[
        bool, typer.Option("--plain", help="The same as --penalty none; Laplace scales are per unit of X then, 1.")
    ] = False,
    effort: Annotated[
        str | None, typer.Option(metavar="EFFORT", help="Of the search: quick, usual or wide. [default: usual]")
    ] = None,
    select: Annotated[
        bool, typer.Option("--select", help="Compare models, and take the best of them. Effort is quick then.")
    ] = False,
    criterion: Annotated[
        str, typer.Option(metavar="NAME", help="By which --select takes it: bic, icl, aic, cv or dendrogram.")
    ] = "bic",
    bootstrap: Annotated[
        int, typer.Option(min=0, metavar="N", help="Intervals from so many samples of the fit; 200 are usual.")
    ] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes of --select and --bootstrap.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the starting values.")] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead. (--json FILE.json is --save FILE.json.)")
    ] = False,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Keep the fit: hs.FitResult.load reads it.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE|DIR", help="Draw it: a .png, .svg or .pdf, or fit.png and .svg in DIR.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write one page with all of it, which needs no network.")
    ] = None,
):
    """Fit one model to a user's own data, or choose among models.

    \b
    hmoe fit cars.csv --y mpg --gating LL --k2 2,2 --report cars.html
    hmoe fit cars.csv --y mpg --select --jobs 2 --save cars.json
    hmoe fit cars.csv --y mpg --gating SL --k2 3 --x weight --x origin --gate-columns origin --bootstrap 200

    The fit is penalised (hs.fit), so that no expert shrinks onto a few rows; --plain leaves the penalty out.

    --categorical with the column of y fits experts that are categorical (hs.fit_categorical) to its classes: one model
    of one gating and --k2, with its own ridge. --select, --bootstrap, --penalty, --plain, --effort, --plot and --report
    are for numbers, and refused.

    Cells are separated by commas, semicolons, tabs, bars or blanks; the file may be compressed. Columns of a few words
    again and again are categories, and become dummies; other columns that hold no numbers are left out; true, false,
    yes and no are 1 and 0. Rows with missing values are left out. All that is said. Mostly numeric columns and rows of
    uneven length are refused, with the line to mend.

    The object of --json has the keys y and x (names), n (rows), gating, k2, log_likelihood, status, converged, message,
    score_norm, n_iter, active_bounds, warnings, notes (on how the table was read), parameters (those of
    MixingMeasure.from_dict: a, b, omega, beta, eta, tau, nu, one row a group or expert, with gating and k2),
    penalised_log_likelihood and penalty (of classes: classes and ridge instead); with --select criterion and selection
    (a row a model), with --bootstrap bootstrap (statuses of the samples, and intervals by parameter).
    """
    gatings, shapes = _wanted_models(gating, k2, select)
    if penalty not in ("default", "none"):
        raise UserError(f"--penalty: expected default or none, got {shown(penalty)}")
    plain = plain or penalty == "none"
    scale = _laplace_scale(laplace_scale, gatings or ["LL"], plain)
    for option, value, known in (("effort", effort, EFFORTS), ("criterion", criterion, CRITERIA)):
        if value is not None and value not in known:
            raise UserError(f"--{option}: expected {', '.join(known)}; got {shown(value)}")
    from .layout import tidy

    classes = tidy(y) in map(tidy, categorical or ())
    if classes:
        given = {"--select": select, "--bootstrap": bootstrap, "--plain": plain, "--effort": effort is not None}
        given |= {"--plot": plot is not None, "--report": report is not None}
        for option in (name for name, there in given.items() if there):
            raise UserError(f"{option}: is for numbers, and {shown(y)} is of classes, --categorical")
    _check_file("--save", save)
    _check_file("--report", report)
    drawn = plot is not None and plot.suffix.lower() in DRAWN
    if plot is not None:
        _check_file("--plot", plot) if drawn else _check_folder(plot)
    from .data import read_table

    X, response, notes = read_table(data, y, x, weights, categorical or ())
    rows, counts = len(X), X.pop(X.columns[-1]) if weights is not None else None
    import warnings

    import hmoe_stats as hs
    from hmoe_stats import gates
    from hmoe_stats.fitting.own import Units
    from hmoe_stats.fitting.problem import check_problem
    from hmoe_stats.frames import RowsLeftOut, taken
    from hmoe_stats.selection.candidates import GATINGS

    from . import own

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RowsLeftOut)  # it is a note, and a line in the warnings of the fit
        with _asked():  # what is wrong is said alone, and what is noted before a long fit
            given = taken(X, response, counts)
        with _asked(given.notes):
            known = dict.fromkeys((*X.columns, *given.design.x_names))
            view = {"gate_columns": _column_names("--gate-columns", gate_columns, known)}
            view["expert_columns"] = _column_names("--expert-columns", expert_columns, known)
            for word in gatings or GATINGS[:1]:
                smallest = min(shapes, key=sum, default=(1,))
                if classes:
                    break  # that fit checks what it is given before it begins
                check_problem(given.X, given.y, word, smallest, given.weights, **given.options(view))
                if scale is not None and scale != "profile" and gates.has_scale(word.upper()):
                    Units(given.X, given.y, word, given.weights, None).scale(scale)
        notes = [*notes, *given.notes]
        for note in notes:
            _say(f"note: {note}")
        if classes:
            options = view | {"seed": seed, "laplace_scale": scale, "weights": counts}
            with _asked(given.notes):
                found = hs.fit_categorical(X, response, gating=gatings[0], k2=shapes[0], **options)
            print(strict_json(own.classes_as_json(found, notes)) if as_json else own.classes_text(found, rows))
            if save is not None:
                _save(found, save)
                print(visible(save), file=sys.stderr if as_json else sys.stdout)
            return
        options = view | {"seed": seed, "effort": effort, "laplace_scale": scale}
        options = {name: value for name, value in options.items() if value is not None} | {"weights": counts}
        selection = None
        if select:
            options |= {"gatings": gatings or GATINGS, "shapes": shapes or None, "n_jobs": jobs}
            options |= {"criteria": [name for name in CRITERIA if name != "cv" or criterion == "cv"]}
            selection = hs.select(X, response, **options, **({"penalty": None} if plain else {}))
            with _asked():
                found = selection.best(criterion)
        else:
            found = (hs.fit_mle if plain else hs.fit)(X, response, gating=gatings[0], k2=shapes[0], **options)
    samples = intervals = None
    if bootstrap and found.status == "degenerate":
        _say("note: no bootstrap: the fit is degenerate, no estimate")
    elif bootstrap:
        samples = found.bootstrap(bootstrap, seed=seed, n_jobs=jobs)
        with _asked():
            intervals = samples.conf_int()
    outcome = own.Outcome(found, rows, notes, selection, criterion, samples, intervals)
    if as_json:
        print(strict_json(own.as_json(outcome)))
    else:
        for line in own.text(outcome):
            print(line)
    for file in _written(outcome, data, save, plot, drawn, report):
        if not as_json:
            print(visible(file))


def _save(found, save):
    make_folder(save.parent)
    with written_whole(save) as part:
        found.save(part)


def _written(outcome, data, save, plot, drawn, report):
    """Write the files that were asked for, and yield them."""
    from . import own

    if save is not None:
        _save(outcome.fit, save)
        yield save
    with glyphs_noted(_say):
        if plot is not None:
            make_folder(plot.parent if drawn else plot)
            picture = own.figure(outcome)
            for file in [plot] if drawn else [plot / "fit.png", plot / "fit.svg"]:
                write_figure(file, picture, salt="fit")
                yield file
        if report is not None:
            make_folder(report.parent)
            write_text(report, own.page(outcome, data.name))
            yield report


# -- the report -------------------------------------------------------------------------------------------------------
@app.command()
def report(
    study: StudyName,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the figures.")] = Path("figures"),
    results: Results = None,
):
    """Write DIR/<study>/report.html: a study and what came out of it, one page that needs no network."""
    source = study
    if (applied := load_study(source)).kind == "applied":
        path = out / applied.name / "report.html"
        _check_folder(path.parent)
        scores, differences, protocol = _applied(applied, results, "report")
        from .applied.pictures import page as applied_page
        from .report import study_text

        content = applied_page(applied, study_text(source), protocol.line, scores, differences)
        make_folder(path.parent)
        write_text(path, content)
        print(visible(path))
        return
    study, frame, protocol, others = _looked_up(source, results, "report")
    path = out / study.name / "report.html"
    _check_folder(path.parent)
    with Store(_results(study, results), study) as store:
        sources = store.sources()
    from .report import report_page, study_text

    with glyphs_noted(_say):
        found, ends = _summary(study, frame, protocol, **others)
        page = report_page(found, study_text(source), frame, sources, _findings(study), protocol.line, ends)
    make_folder(path.parent)
    write_text(path, page)
    print(visible(path))


# -- evidence ----------------------------------------------------------------------------------------------------------
@app.command()
def evidence(
    studies: Annotated[
        list[str] | None,
        typer.Argument(metavar="[STUDY]...", help="[default: all with slopes in DIR]", autocompletion=_completions),
    ] = None,
    figures: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the tables read.")] = Path("figures"),
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder written to. [default: that read]")] = None,
    certify: Annotated[bool, typer.Option("--certify", help="First compute the certificates that DIR lacks.")] = False,
):
    """Set derived, certified and measured exponents side by side: DIR/evidence.png, .svg and .csv; evidence-2 and on.

    Reads <study>/slopes.csv, of hmoe plot, and certificates.csv. One STUDY is printed, and written with --out only.
    Where the six applied studies have tables in DIR, they are drawn on one page, too: DIR/gates-at-work.png and .svg.
    """
    _check_folder(out or figures)
    from . import certificates, evidence
    from .terminal import evidence_text

    known, others = evidence.measured(figures)
    for name in () if studies else others:
        _say(f"note: {figures / name} is of no study that ships: name its TOML file to see it")
    chosen = studies or known
    if certify:
        certificates.certify(map(load_simulation, chosen), figures / "certificates.csv")
    if not chosen:
        why = "no study that ships has a table of slopes there; hmoe plot makes it"
        raise UserError(f"{in_a_line(figures)}: {why}")
    table, alone = evidence.table(chosen, figures), len(studies or ()) == 1
    if alone:
        print(evidence_text(table))
    if out or not alone:
        if not table["drawn"].any():
            raise UserError(f"{in_a_line(figures)}: no rate to draw in the tables of slopes there")
        from . import gallery

        folder = out or figures
        make_folder(folder)
        _write_figures(folder, gallery.overviews(figures, table))
        write_table(folder / "evidence.csv", table)
        print(visible(folder / "evidence.csv"))
