"""The pages that are made and not written: reference, results and tutorials, from the code and files they are about.

Every function gives pages, name -> text; `write` puts them into docs/generated before Sphinx looks for sources.
"""

import importlib
import inspect
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUT = ROOT / "docs" / "generated"
MODULES = ("", ".theory", ".theory.systems", ".selection", ".plotting", ".datasets", ".estimator")


def table(head, rows):
    """A Markdown table; bars within cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ([str(cell).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


# -- reference ---------------------------------------------------------------------------------------------------------
def public(module):
    """Name -> object of what a module offers: of its ``__all__``, else what is defined there without an underscore."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    names = getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")]
    return {name: getattr(module, name) for name in names}


def python():
    """The names of the library, module by module, each with a page of its own made by autosummary."""
    text = "Python\n======\n\nEvery public name. ``import hmoe_stats as hs`` gives all of the first list.\n"
    for end in MODULES:
        module = importlib.import_module(f"hmoe_stats{end}")
        found = public(module)
        documented = [name for name, value in found.items() if callable(value)]
        text += f"\n{module.__name__}\n{'-' * len(module.__name__)}\n\n{inspect.getdoc(module).splitlines()[0]}\n\n"
        text += ".. autosummary::\n   :toctree: python\n   :nosignatures:\n\n"
        text += "".join(f"   {module.__name__}.{name}\n" for name in documented)
        for name, value in found.items():
            if not callable(value) and not inspect.ismodule(value):
                text += f"\n.. py:data:: {module.__name__}.{name}\n   :value: {shortened(value)}\n"
    return {"python.rst": text}


def shortened(value):
    """A constant in a line."""
    text = " ".join(repr(value).split())
    return text if len(text) < 80 else f"{text[:80]} ..."


def commands():
    """The command line, as typer says it."""
    import typer
    from typer.cli import get_docs_for_click

    from simulations.cli import app

    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="hmoe"), name="hmoe")
    text = text.replace("# `hmoe`", "# Command line: `hmoe`", 1)
    text = re.sub(r"\x08?\n((?:hmoe .+\n)+)", r"\n```sh\n\1```\n", text)  # examples, kept line by line
    return {"commands.md": re.sub(r"(`[^`]*`)|<", lambda found: found[1] or "&lt;", text)}


def studies():
    """Every key of a study file: what it may be, from the schema, and what it means."""
    from simulations.applied.models import SCORES
    from simulations.applied.study import Applied
    from simulations.applied.tasks import TASKS
    from simulations.study import TABLES, Study

    said = template_words()
    text = (ROOT / "docs" / "reference" / "studies.md.in").read_text(encoding="utf-8")
    for path, models in {**TABLES, (): (Study, Applied)}.items():
        for model in models:
            name, (about, own) = ".".join(path), attributes(model)
            text += f"\n## {f'`{name}`: ' if name else ''}{model.__name__}\n\n{about}\n\n"
            schema, rows = model.model_json_schema(), []
            for key, what in schema["properties"].items():
                default = "required" if key in schema.get("required", ()) else f"`{toml(what.get('default'))}`"
                means = own.get(key) or said.get(".".join((*path, key)), "")
                rows.append([f"`{key}`", may_be(what, schema), default, means])
            text += table(["key", "may be", "default", "meaning"], rows) + "\n"
    text += f"\n## Tasks and scores of applied studies\n\nTasks: {', '.join(TASKS)}. Scores: {', '.join(SCORES)}.\n"
    return {"studies.md": text}


def template_words():
    """Key -> the word on it in the file that ``hmoe new`` starts from."""
    said, where = {}, ""
    for line in (ROOT / "simulations" / "study.toml.in").read_text(encoding="utf-8").splitlines():
        where = found[1] + "." if (found := re.match(r"\[(.*?)\]", line)) else where
        if found := re.match(r"(?:# )?(\w+) = .*?  # (.*)", line):
            said[where + found[1]] = found[2]
    return said


def attributes(model):
    """The docstring of a class without its attributes, and name -> what it says of each."""
    about, _, listed = inspect.getdoc(model).partition("\nAttributes\n")
    found = re.findall(r"^(\w+) : .*\n((?: +.*\n?)+)", listed, re.MULTILINE)
    return about.strip(), {name: " ".join(text.split()) for name, text in found}


def toml(value):
    """A default as a study file would write it; nothing for a table of nothing, and for none."""
    if value is None or isinstance(value, dict):
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value).replace("'", '"') if value != "" else '""'


def may_be(what, schema):
    """A type of JSON schema in words."""
    if "$ref" in what:
        return f"a table, {what['$ref'].rpartition('/')[2]}"
    for several in ("anyOf", "oneOf"):
        if several in what:
            return " or ".join(may_be(one, schema) for one in what[several] if one.get("type") != "null")
    if "const" in what or "enum" in what:
        return ", ".join(f'`"{one}"`' for one in what.get("enum", [what.get("const")]))
    if what.get("type") == "array":
        return f"a list of ({may_be(what['items'], schema)})"
    kind = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "`true` or `false`"}
    word = kind.get(what.get("type"), "a table")
    limits = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    said = [f"{limits[key]} {what[key]:g}" for key in limits if key in what and abs(what[key]) < 1e50]
    return f"{word}, {', '.join(said)}" if said else word


def tables():
    """The columns of tables, quantities and verdicts, in the words that the program has for them."""
    from simulations import columns, content, protocol, words
    from simulations.applied import tables as applied

    text = (ROOT / "docs" / "reference" / "tables.md.in").read_text(encoding="utf-8")
    parts = {"slopes.csv": columns.RATE_COLUMNS, "differences.csv": columns.DIFFERENCE_COLUMNS}
    for file, shown in (parts | {"ends.csv": columns.ENDS_COLUMNS}).items():
        rows = [(", ".join(f"`{name}`" for name in one.names), one.heading, one.meaning) for one in shown]
        text += f"\n## {file}\n\n{table(['columns', 'in reports', 'meaning'], rows)}\n"
    text += f"\n## Of applied studies\n\n{inspect.getdoc(applied)}\n\n"
    for file, shown in (("scores.csv", applied.SCORE), ("differences.csv", applied.DIFFERENCE)):
        text += f"`{file}` has the columns {', '.join(f'`{name}`' for name in shown)}.\n\n"
    names = {level: [name for name, key in words.NAMED.items() if key[0] == level] for level in (0, 1, 2)}
    text += f"\n## Quantities\n\n{words.QUANTITIES_MEAN}\n\n"
    text += table(["level", "quantities"], [(level, "; ".join(found)) for level, found in names.items()]) + "\n"
    text += "\n## Verdicts\n\nOf a rate against what is published or derived:\n\n"
    text += table(["", "verdict", "meaning"], [(words.MARKS[k], k, v) for k, v in words.VERDICTS_MEAN.items()])
    text += "\n\nOf a rate against the limit of its own statistic:\n\n"
    text += table(["", "verdict", "meaning"], [(s, k, v) for k, (s, v) in words.AGREEMENTS.items() if k])
    text += "\n\n## How fits ended\n\n"
    text += table(["status", "in tables", "meaning"], [(f"`{k}`", *v) for k, v in words.STATUSES.items()])
    text += f"\n\n## The results file\n\n```sql\n{content.SCHEMA.strip()}\n{protocol.TABLE.strip()}\n```\n"
    return {"tables.md": text}


# -- results and tutorials ---------------------------------------------------------------------------------------------
def results():
    """figures/README.md, a page a section, each with the figures, tables and files of its studies."""
    head, *sections = re.split(r"\n## ", (ROOT / "figures" / "README.md").read_text(encoding="utf-8"))
    headed = [section.partition("\n")[0].split(", ") for section in sections]
    left = {file.parent.name for file in (ROOT / "figures").glob("*/*.csv")}.difference(*headed)
    made = {}
    for section, names in zip(sections, headed, strict=True):
        also = sorted(name for name in left if f"`{name}`" in section)  # studies that carry on those of the heading
        left -= set(also)
        made[f"results/{names[0]}.md"] = "\n".join([f"# {section.strip()}\n", *map(study, [*names, *also])])
    order = "\n".join(name[len("results/") : -len(".md")] for name in made)
    evidence = sorted((ROOT / "figures").glob("evidence*.png"), key=lambda file: len(file.stem))
    shown = (f"![Published, derived, certified and measured rates]({from_results(file)})\n\n" for file in evidence)
    text = f"{head.strip()}\n\n{''.join(shown)}"
    text += f"![Gates at work: the applied studies]({from_results(ROOT / 'figures' / 'gates-at-work.png')})\n\n"
    text += "{download}`evidence.csv <../../../figures/evidence.csv>`, "
    text += "{download}`certificates.csv <../../../figures/certificates.csv>`\n\n"
    text += "\n".join(map(study, sorted(left)))
    return made | {"results/index.md": f"{text}\n```{{toctree}}\n{order}\n```\n"}


def study(name):
    """The figures of a study, and its tables and its TOML to be had."""
    from simulations.study import load_study, shipped_studies

    folder, shipped = ROOT / "figures" / name, name in shipped_studies()
    text = f"## Figures and tables: {name}\n\n" + (f"*{load_study(name).title}*\n\n" if shipped else "")
    text += "".join(f"![{file.stem}, of {name}]({from_results(file)})\n\n" for file in pictures(folder))
    files = [*sorted(folder.glob("*.csv")), *pictures(folder, "svg")]
    files += [ROOT / "simulations" / "studies" / f"{name}.toml"] if shipped else []
    return text + ", ".join(f"{{download}}`{file.name} <{from_results(file)}>`" for file in files) + "\n"


def from_results(file):
    """The path of a file of the repository from a page of results."""
    return f"../../../{file.relative_to(ROOT).as_posix()}"


def pictures(folder, end="png"):
    """The pictures of a study, its page first."""
    return sorted(folder.glob(f"*.{end}"), key=lambda file: file.stem != folder.name)


def tutorials():
    """The notebooks as they were executed."""
    files = sorted((ROOT / "notebooks").glob("*.ipynb"))
    text = "# Tutorials\n\nExecuted notebooks, of `notebooks/`; `make notebooks` executes them again.\n\n"
    text += "```{toctree}\n" + "\n".join(file.stem for file in files) + "\n```\n"
    return {f"tutorials/{file.name}": file.read_text(encoding="utf-8") for file in files} | {"tutorials/index.md": text}


def pages():
    """All of them, name -> text."""
    return python() | commands() | studies() | tables() | results() | tutorials()


def write(app=None, config=None):
    """Write the pages that have changed, and remove those that are no more."""
    made = {OUT / name: text for name, text in pages().items()}
    listed = made[OUT / "python.rst"].split()
    for file in OUT.rglob("*.*"):
        kept = file in made or file.parent.name == "pictures" or (file.parent.name == "python" and file.stem in listed)
        if file.is_file() and not kept:
            file.unlink()
    for file, text in made.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app):
    app.connect("config-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
