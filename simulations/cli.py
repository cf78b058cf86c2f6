"""The command line ``hmoe``: list, run, watch, tabulate and draw studies, and fit one model to a user's own data.

What the user can mend is said in one line a problem on standard error, with exit code 2; an interrupted run ends with
exit code 130. Heavy libraries are imported inside the commands that need them, so that `status` answers at once.
"""

import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from . import UserError
from .pace import Pace
from .store import Store, StoreError, being_written
from .study import load_study, shipped_studies, sizes_of, text_of


class _Commands(TyperGroup):
    """The one place that turns exceptions into words and exit codes."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except UserError as error:
            for line in str(error).splitlines():
                _say(line)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            _say("interrupted")
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Commands,
    help="Simulation studies of maximum-likelihood estimation in hierarchical mixtures of experts.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study that ships (hmoe studies), or a TOML file.")]
Results = Annotated[Path | None, typer.Option(help="SQLite file of results. [default: results/<study>.sqlite]")]


def _say(text):
    print(f"hmoe: {text}", file=sys.stderr)


@contextmanager
def _library_errors():
    """What the library says of its arguments is meant for the user."""
    try:
        yield
    except ValueError as error:
        raise UserError(str(error)) from None


def _results(study, results):
    return results if results is not None else Path("results") / f"{study.name}.sqlite"


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


def _frame(path, study):
    """The results in a file, failures among them."""
    with _opened(path, study) as store:
        return store.frame(failed=True)


def _none_yet(path, study):
    return f"{path}: no finished cells yet (hmoe run {study.name} computes them)"


def _with_those_beside(source, results):
    """(study, its results, [(study, results) of those beside it]); a study beside that has no results is named."""
    study = load_study(source)
    path = _results(study, results)
    frame = _frame(path, study)
    if not len(frame):
        raise UserError(_none_yet(path, study))
    beside = []
    for name in study.beside:
        other = load_study(name)
        its = path.with_name(f"{other.name}.sqlite")
        found = _frame(its, other) if its.exists() else ()
        if len(found):
            beside.append((other, found))
        else:
            _say(f"note: {name}, shown beside {study.name}, has no results in {its}")
    return study, frame, beside


# -- studies ----------------------------------------------------------------------------------------------------------
@app.command()
def studies(results: Annotated[Path | None, typer.Option(hidden=True)] = None):
    """List the studies that ship."""
    for name in shipped_studies():
        study = load_study(name)
        print(f"{name:<12} {len(study.corners()) * study.replicates:>6} cells  {study.title}")


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
    with _opened(path, study, write=True) as store:
        from . import runner
        from .pool import PoolError, joblib

        before = Pace(study, store.progress(), retry_failed)
        todo = before.total - before.finished
        if todo and store.sources() - {runner.code_version()}:
            _say(f"note: {path} has cells computed by other versions of the code; they are kept as they are")
        for line in _findings(study) if todo else ():
            _say(line)
        stopped = None
        try:
            runner.run(study, store, jobs or joblib.cpu_count(), backend, scheduler, retry_failed)
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
            _say(f"{after.finished} of {after.total} cells are kept in {path}; hmoe run {name} goes on from there")
            raise typer.Exit(code)
        counts = f"{after.finished} of {after.total} cells in {path}, {todo} of them new, {after.failed} failed"
        print(f"{study.name}: {counts}")
        for message, count in store.failures().items():
            _say(f"{count} failed: {message}")
        raise typer.Exit(1 if after.failed == after.total else 0)


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
def status(study: StudyName, results: Results = None):
    """Cells done, failed and to do; the rate, and the time left."""
    study = load_study(study)
    path = _results(study, results)
    there, latest, recent, last = {}, {"began": 0.0, "jobs": 1}, 0, 0.0
    if path.exists() and path.stat().st_size:
        with _opened(path, study) as store:
            there, latest = store.progress(), store.latest_run()
            recent, last = store.finished_since(latest["began"])
    began, jobs = latest["began"], latest["jobs"]
    pace, groups = Pace(study, there), {}
    for cell in study.corners():
        count = groups.setdefault(cell.key[:2], [0, 0, 0])
        finished, failed, _ = there.get(cell.key[:3], (0, 0, 0.0))
        for i, number in enumerate((finished - failed, failed, study.replicates - finished)):
            count[i] += number
    print(f"{study.name}: {pace.finished} of {pace.total} cells in {path}")
    print(f"{'gating':<8}{'k2':<10}{'done':>8}{'failed':>8}{'to do':>8}")
    for (gating, k2), count in groups.items():
        print(f"{gating:<8}{k2:<10}" + "".join(f"{number:>8}" for number in count))
    if recent:
        print(f"rate: {60 * recent / (last - began):.1f} cells a minute in the latest run ({jobs} jobs)")
    if pace.finished < pace.total:
        active = f"a run is under way, since {time.strftime('%H:%M', time.localtime(began))}"
        active = active if being_written(path) else "no run is under way"
        print(f"time left: {_duration(pace.left(jobs), jobs)}; {active}")


def _duration(seconds, jobs):
    if seconds is None:
        return "not known yet"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"about {hours}:{minutes:02d}:{seconds:02d} with {jobs} job{'s' if jobs > 1 else ''}"


# -- what came out ----------------------------------------------------------------------------------------------------
@app.command()
def rates(study: StudyName, results: Results = None):
    """Slopes with intervals, local slopes, verdicts on theory's exponents; differences between models."""
    from . import summary

    found = _with_those_beside(study, results)
    with _library_errors():
        print(summary.format_slopes(summary.slopes(*found)))
        print()
        first = found[0].statistics[:1]
        print(summary.format_differences(summary.differences(*found, statistics=first), *first))


@app.command()
def plot(
    study: StudyName,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the figures.")] = Path("figures"),
    results: Results = None,
):
    """Draw the page of a study, DIR/STUDY/STUDY.png and .svg; beside it slopes.csv, differences.csv and curves.csv."""
    study, *frames = _with_those_beside(study, results)
    with _library_errors():
        import matplotlib

        from . import page, summary

        figure = page.figure(study, *frames)
        tables = {make.__name__: make(study, *frames) for make in (summary.slopes, summary.differences, summary.curves)}
        folder = out / study.name
        stem = folder / study.name
        with _writing(folder), matplotlib.rc_context({"svg.hashsalt": study.name, "svg.fonttype": "none"}):
            folder.mkdir(parents=True, exist_ok=True)
            figure.savefig(f"{stem}.png", dpi=150)
            figure.savefig(f"{stem}.svg", metadata={"Date": None})
            for name, table in tables.items():
                table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n", float_format="%.6g")
    for file in (f"{stem}.png", f"{stem}.svg", *(folder / f"{name}.csv" for name in tables)):
        print(file)


@app.command()
def table(
    study: StudyName,
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="The table to write.")],
    results: Results = None,
):
    """Write every finished cell, tidy, sorted by cell, without timings: equal files mean equal results."""
    study = load_study(study)
    path, part = _results(study, results), out.with_name(out.name + ".part")
    with _opened(path, study) as store:
        cells = store.collected(failed=True)
    if not len(cells):
        raise UserError(_none_yet(path, study))
    with _writing(out):
        with open(part, "w", encoding="utf-8", newline="") as file:
            rows = cells.write_csv(file)
        part.replace(out)
    print(f"{out}: {rows} rows")


@contextmanager
def _writing(path):
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from None


# -- theory ------------------------------------------------------------------------------------------------------------
def _sizes(k2):
    try:
        return sizes_of(k2)
    except ValueError:
        raise UserError(f"--k2: expected whole numbers such as 2,2, got {k2!r}") from None


@app.command()
def certify(
    truth: Annotated[str, typer.Argument(metavar="TRUTH", help="A named truth, as C2.")],
    gating: Annotated[str, typer.Option(help="SS, SL, LS or LL.")],
    k2: Annotated[str, typer.Option(help="Experts fitted in each group, as 3,2.")],
    x: Annotated[tuple[float, float], typer.Option(metavar="LOW HIGH", help="X ~ Uniform(LOW, HIGH).")] = (-3.0, 3.0),
    only: Annotated[str | None, typer.Option(metavar="NAMES", help="Discrepancies, as tau,bary_eta; else all.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the figure.")] = Path("figures"),
):
    """Certify exponents without data: print them, draw DIR/certify-TRUTH-GATING-K2.png, write the table beside it."""
    sizes = _sizes(k2)
    with _library_errors():
        from matplotlib.figure import Figure

        import hmoe_stats as hs

        options = {} if only is None else {"discrepancies": tuple(only.split(","))}
        G0, moduli = hs.datasets.truth(truth, gating), []
        for found in hs.theory.certificates(G0, sizes, hs.Uniform(*x), **options):
            moduli.append(found)
            measured = f"exponent {found.exponent:6.3f} +- {found.exponent_error:.3f}, derived {found.derived:5.3f}"
            ended = f"{found.status}, {found.seconds:.0f} s"
            print(f"{found.discrepancy:12} m = {found.m}  {measured}  {ended}", flush=True)
        stem = out / f"certify-{truth}-{gating}-{'-'.join(map(str, sizes))}"
        with _writing(out):
            out.mkdir(parents=True, exist_ok=True)
            figure = Figure(figsize=(6.0, 4.5), layout="constrained")
            hs.plotting.modulus_plot(moduli, figure.subplots()).set_title(f"{truth}, {gating}, {k2} fitted")
            figure.savefig(f"{stem}.png", dpi=150)
            hs.theory.certificate_table(moduli).to_csv(f"{stem}.csv", index=False, lineterminator="\n")
    for end in ("png", "csv"):
        print(f"{stem}.{end}")


# -- a user's own data ------------------------------------------------------------------------------------------------
@app.command()
def fit(
    data: Annotated[Path, typer.Argument(metavar="DATA.csv", help="A table with a header.")],
    y: Annotated[str, typer.Option(metavar="COL", help="Column of the response; all other numeric columns are X.")],
    gating: Annotated[str, typer.Option(help="SS, SL, LS or LL.")],
    k2: Annotated[str, typer.Option(help="Experts in each group, as 2,2.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the starting values.")] = 0,
):
    """Fit one model to a user's own data."""
    import pandas as pd

    try:
        frame = pd.read_csv(data)
    except OSError as error:
        raise UserError(f"{data}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, empty, or ragged
        raise UserError(f"{data}: not a CSV table: {error}") from None
    numeric = frame.select_dtypes("number")
    if y not in numeric:
        kind = "has no numbers" if y in frame else "is not there"
        raise UserError(f"--y: the column {y!r} {kind}; numeric columns are {', '.join(numeric)}")
    X = numeric.drop(columns=y)
    if not len(X.columns):
        raise UserError(f"{data}: no numeric column besides {y!r} to be X")
    holes = numeric.columns[numeric.isna().any()]
    if len(holes):
        raise UserError(f"{data}: missing values in {', '.join(holes)}: leave such rows out")
    sizes = _sizes(k2)
    with _library_errors():
        import hmoe_stats as hs

        found = hs.fit_mle(X.to_numpy(float), numeric[y].to_numpy(float), gating=gating, k2=sizes, seed=seed)
    print(f"y = {y}, X = {', '.join(X)}; {len(frame)} rows")
    print(found.measure)
    print(f"log-likelihood  {found.log_likelihood!r}")
    print(f"status          {found.status}: {found.message}")
    print(f"score norm      {found.score_norm:.1e} after {found.n_iter} iterations")
    if found.active_bounds:
        print(f"at its bound    {', '.join(found.active_bounds)}")


# -- the report -------------------------------------------------------------------------------------------------------
@app.command()
def report(
    study: StudyName,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the figures.")] = Path("figures"),
    results: Results = None,
):
    """Write DIR/<study>/report.html: a study and what came out of it, one page that needs no network."""
    source = study
    study, frame, beside = _with_those_beside(source, results)
    with Store(_results(study, results), study) as store:
        sources = store.sources()
    with _library_errors():
        from .report import report_page, study_text

        page = report_page(study, study_text(source), frame, sources, _findings(study), beside)
    path = out / study.name / "report.html"
    part = path.with_name("report.html.part")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8", newline="\n")
        part.replace(path)
    print(path)


# -- evidence ----------------------------------------------------------------------------------------------------------
@app.command()
def evidence(
    studies: Annotated[
        list[str] | None, typer.Argument(metavar="[STUDY]...", help="[default: all with slopes in DIR]")
    ] = None,
    figures: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the tables read.")] = Path("figures"),
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder written to. [default: that read]")] = None,
    certify: Annotated[bool, typer.Option("--certify", help="First compute the certificates that DIR lacks.")] = False,
):
    """Set derived, certified and measured exponents side by side: DIR/evidence.png, .svg and .csv.

    Reads <study>/slopes.csv, of hmoe plot, and certificates.csv. One STUDY is printed, and written with --out only.
    """
    with _library_errors(), _writing(out or figures):
        import matplotlib

        from . import certificates, evidence, evidence_figure

        known, others = evidence.measured(figures)
        for name in () if studies else others:
            _say(f"note: {figures / name} is of no study that ships: name its TOML file to see it")
        chosen = studies or known
        if certify:
            certificates.certify(map(load_study, chosen), figures / "certificates.csv")
        if not chosen:
            raise UserError(f"{figures}: no study that ships has a table of slopes there; hmoe plot makes it")
        table, alone = evidence.table(chosen, figures), len(studies or ()) == 1
        if alone:
            print(evidence.format_table(table))
        if out or not alone:
            stem = (out or figures) / "evidence"
            figure = evidence_figure.figure(table)
            stem.parent.mkdir(parents=True, exist_ok=True)
            with matplotlib.rc_context({"svg.hashsalt": "evidence"}):
                figure.savefig(f"{stem}.png", dpi=150)
                figure.savefig(f"{stem}.svg", metadata={"Date": None})
            table.to_csv(f"{stem}.csv", index=False, lineterminator="\n")
            for end in ("png", "svg", "csv"):
                print(f"{stem}.{end}")
