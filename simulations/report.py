"""The report of a study: one HTML page with its file, its figure and its tables, which needs no network and no server.

`report.html.in` is the page without its content: style, script and headings. `report_page` fills it from a store,
`render` from tables. The script sorts and filters rows that are all in the page: without it, everything is shown.
Nothing in the page depends on the clock or on a path, so that equal results make equal bytes; when they were declared,
and looked at, is one of them.
"""

import base64
import hashlib
import importlib.resources
import math
from collections import Counter
from pathlib import Path
from string import Template

from . import UserError, words
from .columns import DIFFERENCE_COLUMNS, ENDS_COLUMNS, QUANTITY, RATE_COLUMNS, shown
from .files import read_text
from .markup import bullets, definitions, html_table, html_text, plain_rows, svg_element
from .study import DATA_STREAM, FIT_STREAM, shipped_studies, text_of

STATUSES = {name: head for name, (head, _) in words.STATUSES.items()}
CELL = ["gating", "k2", "n", "replicate"]
FILTERS = ("study", "gating", "k2", "statistic", "quantity")  # the columns that a reader can choose values of


# -- the page ---------------------------------------------------------------------------------------------------------
def report_page(summary, text, frame, sources=(), findings=(), declared=words.NOT_DECLARED, ends=None):
    """The page of a study, from its results.

    Parameters
    ----------
    summary : Summary
    text : str
        The study's TOML text, as `study_text` reads it.
    frame : DataFrame
        Its tidy results, as `Store.frame` gives them with its failures.
    sources : iterable of (str, str)
        Version of the package and hash of the source that computed the rows.
    findings : iterable of str
        What cannot be identified, a line each.
    declared : str
        When the study was declared, as `protocol.Protocol` says it.
    ends : DataFrame, optional
        How fits ended, as `ends.table` gives it.

    Returns
    -------
    str
        As `render` gives it. Where no figure can be drawn, the page says why.
    """
    from . import page

    study = summary.study
    try:
        drawing = inline_svg(page.figure(summary, declared=declared, ends=ends, every=True), study)
    except UserError as error:  # one sample size has tables, but no figure
        drawing = f"<p>No figure: {html_text(str(error))}.</p>"
    return render(study, text, frame, summary.slopes, summary.differences, drawing, sources, findings, declared, ends)


def render(
    study,
    text,
    frame,
    slopes,
    differences=None,
    drawing="",
    sources=(),
    findings=(),
    declared=words.NOT_DECLARED,
    ends=None,
):
    """The page of a study, from its results and their tables; the other arguments are those of `report_page`.

    Parameters
    ----------
    slopes, differences : DataFrame
        As `Summary.slopes` and `Summary.differences` give them. A column of the page that the table has nothing for is
        left out; so is the section of differences, if there are none.
    drawing : str
        The figure, as HTML: the only argument that is not escaped.

    Returns
    -------
    str
        HTML. Equal arguments give equal pages.
    """
    fits = frame.drop_duplicates(CELL)
    statuses = dict(zip(fits[CELL].itertuples(index=False, name=None), fits["status"], strict=True))
    template = (importlib.resources.files(__package__) / "report.html.in").read_text(encoding="utf-8")
    script = template.partition("<script>")[2].partition("</script>")[0]
    tables = {"rates": ("Rates against theory", slopes, shown(RATE_COLUMNS, slopes, study))}
    if differences is not None and len(differences):
        columns = shown(DIFFERENCE_COLUMNS, differences, study)
        tables["differences"] = ("Paired differences of rates", differences, columns)
    if ends is not None:
        tables["ends"] = ("How fits ended", ends, shown(ENDS_COLUMNS, ends, study))
    meanings = {c.heading: html_text(c.meaning) for _, _, columns in tables.values() for c in columns}
    shipped = shipped_studies().get(study.name)
    source = study.name if shipped is not None and shipped.read_text(encoding="utf-8") == text else f"{study.name}.toml"
    values = {
        "name": study.name,
        "package": __package__,
        "title": study.title,
        "source": source,
        "digest": hashlib.sha256(frame.to_csv(index=False, lineterminator="\n").encode()).hexdigest(),
        "statistic": study.statistics[0],
        "gating": study.gatings[0],
        "k2": tuple(study.k2[0]),
        "n": study.sizes[0],
    }
    return Template(template).substitute(
        {name: html_text(value) for name, value in values.items()},
        toml="".join(c if c in "\n\t" else html_text(c) for c in text),
        script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        save="" if source == study.name else f"<p>Save the study file above as <code>{source}</code>; then:</p>",
        facts=definitions([*_facts(study, statuses, sorted(sources)), ("Protocol", html_text(declared))]),
        findings=bullets(findings),
        cells=_cell_table(study, statuses),
        truths="".join(_truth_tables(study)),
        drawing=drawing,
        tables="".join(_data_section(id, *parts, study) for id, parts in tables.items()),
        links="".join(f' <a href="#{id}">{id.title()}</a>' for id in tables),
        columns=definitions(meanings.items()),
    )


def study_text(source):
    """The TOML text of a study that `load_study` has read from `source`."""
    return read_text(shipped_studies().get(str(source), Path(source)))


def inline_svg(figure, study):
    """A matplotlib figure as an SVG element for a page of HTML: no prologue, no metadata, no date, no name space."""
    return svg_element(figure, study.title or study.name, study.name)


# -- parts of the page ------------------------------------------------------------------------------------------------
def _facts(study, statuses, sources):
    """Pairs (term, HTML): what a report of a simulation should say (ADEMP; Morris, White and Crowther 2019), in order.

    Aims; data: truths, samples, covariates; estimands; methods: gatings, sizes, box; performance measures.
    """
    counts = Counter(statuses.values())
    without = counts["max_iter"] + counts["degenerate"]
    done = f"{len(statuses)} of {len(study.cells())} done: {counts['converged']} converged, {counts['boundary']} with "
    done += f"the optimum on a bound of the box, {without} without an optimum, {counts['failed']} failed"
    law = " ".join(f"{key} {value}" for key, value in study.x.model_dump().items() if key != "law")
    box = ((name, b if isinstance(b, list) else [-b, b]) for name, b in study.fit.bounds if b is not None)
    stated = "; ".join([*(f"{name} in [{low:g}, {high:g}]" for name, (low, high) in box), "else the fit's own"])
    truth = study.data_seed(study.sizes[0], 0).spawn_key[1]
    keys = (f"({stream}, {truth}, n, replicate)" for stream in (DATA_STREAM, FIT_STREAM))
    seeds = "{}: SeedSequence({}, spawn_key=key), key {} for samples and {} for starts".format(*[study.seed] * 2, *keys)
    rows = (
        f"hmoe-stats {version}, source <code>{hash}</code>" for version, hash in (map(html_text, s) for s in sources)
    )
    table = "random, one for each replicate" if study.random else "a table, in the study file"
    yield "Aims", html_text(study.title or "not stated")
    yield "Truth", html_text(study.truth if isinstance(study.truth, str) else table)
    if study.data_gating:
        yield "Gating of the data", html_text(f"{study.data_gating}, whatever is fitted")
    yield "Sample sizes", html_text(", ".join(map(str, study.sizes)))
    yield "Replicates", str(study.replicates)
    yield "Covariates", html_text(f"{study.x.law}, {law}")
    if study.data == "lattice":
        floor = "" if study.experts == "categorical" else f", for variances from {study.fit.bounds.nu[0]:g}"
        yield "Data", html_text(f"counts on a lattice of (x, y){floor}")
    yield "Estimands", html_text("; ".join(study.primary) or "none named as primary: all in the tables are exploratory")
    yield "Gatings", html_text(", ".join(study.gatings))
    yield "Fitted k2", html_text(" and ".join(map(text_of, study.k2)))
    if study.fit.estimator == "em":
        yield "Estimator", html_text(_em(study.fit))
    else:
        yield "Box of the fits", html_text(stated)
    measures = f"rates of {', '.join(study.statistics)} of errors over replicates"
    yield "Performance", html_text(f"{measures}, with 95 % Monte Carlo intervals")
    yield "Seed", html_text(seeds)
    yield "Cells", html_text(done)
    if study.beside:
        yield "Beside it", html_text(", ".join(study.beside))
    yield "Study hash", f"<code>{study.hash}</code>"
    yield "Computed by", "; ".join(rows) or "nothing yet"


def _em(options):
    """What a study says of its EM."""
    runs = f"EM, the best of {options.n_starts} runs" if (options.n_starts or 1) > 1 else "EM"
    noise = options.jitter.model_dump(exclude_none=True).items()
    started = ", ".join(f"{name} {c:g} n^(-{p:g})" for name, (c, p) in noise) or "none"
    ended = f", ended where the mean log-likelihood rises by less than {options.tol:g}" if options.tol else ""
    return f"{runs} from about the truth{ended}; standard deviations of the starts: {started}"


def _cell_table(study, statuses):
    counts = Counter((*cell.key[:2], statuses.get(cell.key, "to_do")) for cell in study.cells())
    models = [(gating, text_of(k2)) for gating in study.gatings for k2 in study.k2]
    rows = [[*model, *(counts[*model, status] for status in STATUSES)] for model in models]
    return html_table("Cells by gating and fitted k2", ["gating", "k2", *STATUSES.values()], plain_rows(rows))


def _truth_tables(study):
    """The parameters of the truth, once for all gatings that share them."""
    shared = {}
    if study.random:
        return
    for gating in [study.data_gating] if study.data_gating else study.gatings:
        frame = study.source(gating).to_frame()
        rows = plain_rows(frame.map(lambda value: value if isinstance(value, str) else f"{value:g}").values)
        shared.setdefault((tuple(frame.columns), rows), []).append(gating)
    for (heads, rows), gatings in shared.items():
        yield html_table(f"Parameters of the truth under {', '.join(gatings)}", heads, rows)


def _data_section(id, heading, table, columns, study):
    """A section with a table whose rows the script sorts and chooses."""
    rows = table.to_dict("records")
    keys = [{name: _key(row, name) for name in FILTERS} for row in rows]
    body = []
    for row, key in zip(rows, keys, strict=True):
        data = "".join(f' data-{name}="{html_text("|".join(values))}"' for name, values in key.items() if values)
        body.append(f"<tr{data}>" + "".join(_cell(c, row) for c in columns) + "</tr>\n")
    return (
        f'<section id="{id}" class="data">\n<h2>{html_text(heading)}</h2>\n'
        f'<div class="controls" hidden>{_controls(keys, study)}</div>\n<p role="status">{len(rows)} rows</p>\n'
        f"{html_table(heading, [c.heading for c in columns], ''.join(body))}</section>\n"
    )


def _key(row, name):
    """The values of a row that a filter looks at: a difference, SS - LL, belongs to both of its models."""
    if name == "quantity" and "parameter" in row:
        return [words.name(*(row[part] for part in ("level", "parameter", "kind")))]
    return str(row[name]).split(" - ") if name in row else []


def _controls(keys, study):
    out = []
    for name in FILTERS:
        values = list(dict.fromkeys(value for key in keys for value in key[name]))
        if len(values) > 1:
            chosen = study.statistics[0] if name == "statistic" else None
            options = (f"<option{' selected' if v == chosen else ''}>{html_text(v)}</option>" for v in values)
            select = f'<select data-filter="{name}" autocomplete="off"><option value="">all</option>{"".join(options)}'
            out.append(f"<label>{name} {select}</select></label>\n")
    return "".join(out)


def _cell(column, row):
    values = [row[name] for name in column.names]
    text, number = column.form(*values)
    if column.names == QUANTITY:
        return f'<th scope="row">{html_text(text)}</th>'
    if number is None:
        verdict = f' class="{values[0]}"' if values[0] and values[0] in words.VERDICTS_MEAN | words.AGREEMENTS else ""
        return f"<td{verdict}>{html_text(text)}</td>"
    return f'<td class="number" data-v="{"" if math.isnan(number) else repr(number)}">{html_text(text)}</td>'
