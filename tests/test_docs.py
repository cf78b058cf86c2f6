"""The documentation: its snippets run, its reference lacks no name, key or command, and its links lead somewhere."""

import importlib
import importlib.util
import inspect
import re
import warnings
from pathlib import Path

import pytest
import typer
from conftest import PURE_PYTHON

import hmoe_stats as hs
from simulations.applied.study import Applied
from simulations.cli import app
from simulations.study import TABLES, Study

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if not {"generated", "_build"} & set(page.relative_to(DOCS).parts))
SNIPPETS = re.compile(r"^([ ]*)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def snippets(page):
    """The Python of a page, at the lines where it stands there."""
    text, code = page.read_text(encoding="utf-8"), ""
    for found in SNIPPETS.finditer(text):
        lines = [line.removeprefix(found[1]) for line in found[2].splitlines(keepends=True)]
        code += "\n" * (text[: found.start()].count("\n") + 1 - code.count("\n")) + "".join(lines)
    return code


def name(page):
    return page.relative_to(DOCS).as_posix()


# -- snippets ----------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(PURE_PYTHON, reason="fits without the compiler take minutes")
@pytest.mark.parametrize("page", [page for page in PAGES if snippets(page)], ids=name)
def test_the_snippets_of_a_page_run_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hs.frames.RowsLeftOut)  # the page says so
        exec(compile(snippets(page), str(page), "exec"), {"__name__": "__main__"})


def test_a_snippet_that_fails_is_found_where_it_stands(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n1. In a list:\n\n   ```python\n   x = 1\n   ```\n\n```python\nx / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as error:
        exec(compile(snippets(page), "page", "exec"), {})
    assert error.traceback[-1].lineno + 1 == 10


# -- reference ---------------------------------------------------------------------------------------------------------
def extension(name):
    """A module of docs/_ext."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generated():
    """name -> text of the pages that are made and not written."""
    return extension("generated").pages()


def test_every_public_name_is_in_the_reference(generated):
    listed = set(re.findall(r"^ +(hmoe_stats\S+)$|py:data:: (\S+)", generated["python.rst"], re.MULTILINE))
    listed = {"".join(pair) for pair in listed}
    public = {f"hmoe_stats.{name}" for name in hs.__all__ if not inspect.ismodule(getattr(hs, name))}
    for module in ("theory", "plotting", "selection"):
        names = importlib.import_module(f"hmoe_stats.{module}").__all__
        public |= {f"hmoe_stats.{module}.{name}" for name in names if name != "systems"}
    public |= {f"hmoe_stats.datasets.{name}" for name in ("load", "names", "random_truth", "truth")}
    public |= {f"hmoe_stats.estimator.{name}" for name in ("HMoERegressor", "HMoEClassifier")}
    assert public - listed == set()


def test_every_key_of_a_study_is_documented_and_said_in_words(generated):
    text = generated["studies.md"]
    for path, models in {**TABLES, (): (Study, Applied)}.items():
        for model in models:
            section = text.partition(f"{model.__name__}\n")[2].partition("\n## ")[0]
            for key in model.model_fields:
                (row,) = re.findall(rf"^\| `{key}` \|.*$", section, re.MULTILINE)
                assert path or row.split("|")[4].strip() or key in ("fit", "kind"), row


def test_every_command_and_option_is_documented(generated):
    text = generated["commands.md"]
    for command in typer.main.get_command(app).commands.values():
        section = text.partition(f"## `hmoe {command.name}`\n")[2].partition("\n## ")[0]
        assert section, command.name
        for option in command.params:
            assert getattr(option, "hidden", False) or option.opts[0] in section or option.param_type_name == "argument"


def test_every_figure_that_ships_is_shown_with_its_tables(generated):
    shown = "".join(text for name, text in generated.items() if name.startswith("results/"))
    files = [*ROOT.glob("figures/*/*.png"), *ROOT.glob("figures/*/*.csv")]
    assert len(files) > 50
    assert [file for file in files if f"/{file.relative_to(ROOT).as_posix()}" not in shown] == []


# -- links -------------------------------------------------------------------------------------------------------------
def anchors(text):
    """What headings can be linked by."""
    heads = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_files_of_a_page_are_there(page, generated):
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"\{(?:include|literalinclude|image)\} (\S+)", text)
    for link in links:
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if re.match(r"https?:", link):
            continue
        if (DOCS / "generated") in file.parents:
            made = file.relative_to(DOCS / "generated").as_posix()
            assert made in generated or made.startswith("pictures/"), link
        else:
            assert file.exists(), link
            assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), link


def test_every_page_is_in_a_table_of_contents():
    trees = re.findall(r"```\{toctree\}\n(.*?)```", (DOCS / "index.md").read_text(encoding="utf-8"), re.DOTALL)
    listed = {line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")}
    assert {page.relative_to(DOCS).with_suffix("").as_posix() for page in PAGES} - {"index"} <= listed
    assert len(PAGES) > 15


def test_a_site_that_loads_from_elsewhere_or_leads_nowhere_is_not_whole(tmp_path):
    """The check that ends every build."""
    (tmp_path / "searchindex.js").touch()
    (tmp_path / "a.html").write_text('<h1 id="top">A</h1><a href="b.html#here"></a><a href="https://example.org"></a>')
    (tmp_path / "b.html").write_text('<p id="here"><img src="data:,"><a href="#"></a><a href="a.html#top"></a></p>')
    problems = extension("offline").problems
    assert list(problems(tmp_path)) == []
    wrong = ['<script src="https://x.org/x.js"></script>', '<link href="//x.org/x.css">']
    wrong += ['<img src="c.png">', '<a href="a.html#x">']
    (tmp_path / "c.html").write_text("".join(wrong))
    found = list(problems(tmp_path))
    assert len(found) == len(wrong)
    assert [line.partition(": ")[2].split(" ")[0] for line in found].count("loads") == 2
    (tmp_path / "searchindex.js").unlink()
    assert list(problems(tmp_path))[-1] == "searchindex.js: is missing"
