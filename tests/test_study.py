"""Studies: reading, messages, hash, grid and streams."""

import errno
import hashlib
import json
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest

from simulations.study import Cell, Study, StudyError, load_study, shipped_studies

TEXT = """
name = "small"
truth = "C2"
gatings = ["SS", "LL"]
k2 = [[3, 3], [2, 2]]
n = [400, 200]
replicates = 3
x = { law = "uniform", low = -3.0, high = 3.0 }
seed = 7
[fit]
n_starts = 2
[fit.bounds]
omega = 3
nu = [0.01, 4]
"""

TABLE = """{ gating = "SL", k2 = [2], a = [0], b = [0], omega = [[-1], [1]], beta = [0, 0], eta = [0.5, -1],
tau = [-2, 2], nu = [0.3, 0.4] }""".replace("\n", " ")


BOXED = """n_starts = 2
[fit.bounds]
omega = 3
nu = [0.01, 4]
"""
BY_EM = """estimator = "em"
[fit.jitter]
tau = [0.1, 0.25]
nu = [0.01, 0]
"""


@pytest.fixture
def read(tmp_path):
    """Read the study TEXT after replacements."""

    def reader(*changes):
        text = TEXT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "small.toml").write_text(text, encoding="utf-8")
        return load_study(tmp_path / "small.toml")

    return reader


def test_a_study_is_read_with_its_defaults(read):
    study = read()
    assert study.statistics == ["mean", "median", "q90"]
    assert study.fit.start == "truth"
    assert study.fit.keywords() == {"local": False, "n_starts": 2, "bounds": {"omega": 3.0, "nu": [0.01, 4.0]}}
    assert not study.measures.hellinger


def test_cells_are_the_whole_grid_in_order(read):
    cells = read().cells()
    assert len(cells) == len(set(cells)) == 2 * 2 * 2 * 3
    assert cells[0] == Cell("LL", (2, 2), 200, 0)
    assert cells == sorted(cells)
    assert cells[-1].key == ("SS", "3,3", 400, 2)


def test_sizes_of_a_range_are_log_spaced(read):
    sizes = read(("n = [400, 200]", "n = { low = 100, high = 10000, count = 5 }")).sizes
    assert sizes == [100, 316, 1000, 3162, 10000]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "replicates = 3",
            "replicate = 3",
            ["replicate: unknown key; did you mean 'replicates'", "replicates: missing"],
        ),
        ("n_starts = 2", "n_start = 2", ["fit.n_start: unknown key", "did you mean 'n_starts'"]),
        ("omega = 3\n", "omgea = 3\n", ["fit.bounds.omgea: unknown key", "did you mean 'omega'"]),
        (
            "omega = 3\n",
            "omega = [3, 1]\n",
            ["fit.bounds.omega: expected a positive number B", "low <= high, got [3, 1]"],
        ),
        ("omega = 3\n", "omega = -3\n", ["fit.bounds.omega: expected a positive number B", "got -3"]),
        ("nu = [0.01, 4]", "nu = 4", ["fit.bounds.nu: expected a pair", "got 4"]),
        ("nu = [0.01, 4]", "nu = [0, 4]", ["fit.bounds.nu: expected a pair", "0 < low"]),
        ('"SS", "LL"', '"SS", "XX"', ["gatings[1]: expected 'SS', 'SL', ", "'QL' or 'QQ', got 'XX'"]),
        ('"SS", "LL"', '"SS", "SS"', ["gatings: expected distinct entries ('SS' is there twice)"]),
        ("replicates = 3", 'replicates = "3"', ["replicates: expected a valid integer, got '3'"]),
        ("replicates = 3", "replicates = 0", ["replicates: expected greater than or equal to 1, got 0"]),
        ("[3, 3]", "[3, 0]", ["k2[0][1]: expected greater than or equal to 1, got 0"]),
        ('law = "uniform"', 'law = "unifrom"', ["x.law: expected 'uniform', 'normal' or 'grid', got 'unifrom'"]),
        ("low = -3.0", "low = 4.0", ["x: expected low < high"]),
        ("low = -3.0", "lo = -3.0", ["x.low: missing key", "x.lo: unknown key", "did you mean 'low'"]),
        ("n = [400, 200]", "n = { low = 10, high = 9, count = 5 }", ["n: expected low < high"]),
        ("n = [400, 200]", "n = { low = 10, high = 90, cuont = 5 }", ["n.count: missing", "n.cuont: unknown key"]),
        ("n = [400, 200]", "n = 400", ["n: expected a valid list, got 400"]),
        ("seed = 7\n", "", ["seed: missing key"]),
        ('truth = "C2"', "truth = 2", ["truth: expected the name of a truth, or a table", "got 2"]),
        ('truth = "C2"', 'truth = { gating = "SS" }', ["truth.nu: missing key", "truth.k2: missing key"]),
        ('truth = "C2"', f"truth = {TABLE}", ["gatings = [the gating of the truth]"]),
        ('truth = "C2"', f"truth = {TABLE.replace('tau', 'tua')}", ["truth.tua: unknown key; did you mean 'tau'?"]),
        ('truth = "C2"', f"truth = {TABLE.replace('0.4', 'nan')}", ["truth.nu[1]: expected a finite number, got nan"]),
        ('truth = "C2"', f"truth = {TABLE.replace('[1]', '[1, inf]')}", ["truth.omega[1][1]: expected a finite"]),
        ('truth = "C2"', f"truth = {TABLE.replace('0.4', '1e60')}", ["truth.nu[1]: expected less than or equal to 1e"]),
        ('truth = "C2"', f"truth = {TABLE.replace('0.5', '2024-02-29')}", ["truth.eta[0]: expected a valid number"]),
        ('truth = "C2"', f"truth = {TABLE.replace('0.5', '07:32:00')}", ["truth.eta[0]: expected a valid number"]),
        ('truth = "C2"', f"truth = {TABLE.replace('0.5', 'true')}", ["truth.eta[0]: expected a valid number"]),
        ('truth = "C2"', f"truth = {TABLE.replace('[2]', '[200]')}", ["truth.k2: expected at most 100 experts"]),
        ("replicates = 3", "replicates = 1_000_000_000_000", ["replicates: expected less than or equal to 1000000"]),
        ("replicates = 3", "replicates = 400_000", ["at most 1000000 cells, got 3200000: 2 gatings x 2 k2 x 2 n x 4"]),
        ("n = [400, 200]", f"n = {list(range(300, 40_300))}", ["n: expected at most 1000 entries, got a list"]),
        ("n = [400, 200]", "n = { low = 10, high = 1_000_000_000, count = 100_000_000 }", ["n.count: expected less "]),
        ("n = [400, 200]", "n = [400, 10_000_000_000_000_000_000_000]", ["n[1]: expected less than or equal to 10000"]),
        ("n = [400, 200]", "n = [400, 1_000_000_000_000_001]", ["n[1]: expected less than or equal to 100000000000"]),
        ("[3, 3]", "[100000, 100000]", ["k2[0]: expected at most 100 experts in all groups, got [100000, 100000]"]),
        ("[3, 3]", f"[{'1, ' * 40_000}]", ["k2[0]: expected at most 1000 entries, got a list of 40000"]),
        ("[3, 3], [2, 2]", str([[2, i] for i in range(1, 40_000)])[1:-1], ["k2: expected at most 1000 entries"]),
        ("seed = 7", f"seed = {10**60}", ["seed: expected less than 3402823669"]),
        ("seed = 7", f"seed = 0x{'f' * 5000}", ["seed: expected less than 3402823669", "got a number of thousands"]),
        ("seed = 7", f"seed = {'9' * 5000}", ["not a TOML file: a number of thousands of digits"]),
        (
            'law = "uniform"',
            f"law = 0x{'f' * 5000}",
            ["x.law: expected 'uniform', 'normal' or 'grid', got a number of thou"],
        ),
        ("n_starts = 2", "n_starts = 10_000_000", ["fit.n_starts: expected less than or equal to 10000"]),
        ("n_starts = 2", "max_iter = 10_000_000_000", ["fit.max_iter: expected less than or equal to 1000000"]),
        ("omega = 3\n", f"omega = {10**400}\n", ["fit.bounds.omega: expected a positive number B of at most 1e+50"]),
        ("low = -3.0", "low = -1e300", ["x.low: expected greater than or equal to -1e"]),
        ("seed = 7", 'seed = 7\nstatistics = ["q00", "q01"]', ["statistics[0]: expected 'mean', 'median' or a quan"]),
        ("seed = 7", 'seed = 7\nstatistics = ["q5"]', ["statistics[0]: expected", "'q01' to 'q99', got 'q5'"]),
        ("seed = 7", 'seed = 7\nstatistics = ["q100", "q٣٤"]', ["statistics[0]: expected", "statistics[1]: expected"]),
        ("seed = 7", "seed = 7\nstatistics = []", ["statistics: expected at least 1 entry, got []"]),
        ("seed = 7", 'seed = 7\n"a.b" = 1', ['"a.b": unknown key (known: ']),
        ("seed = 7", "seed = 7\n'a\"b'.c = 1", ['"a\\"b": unknown key (known: ']),
        ("seed = 7", 'seed = 7\n"\\u001b[31m" = 1', ['"\\u001b[31m": unknown key (known: ']),
        ("seed = 7", 'seed = 7\n"" = 1\nfirst = 2', ['"": unknown key', "first: unknown key"]),
        ("n_starts = 2", "uniform = { x = 1 }", ["fit.uniform: unknown key (known: bounds, estimator, "]),
        ("seed = 7", "seed = 7\nseed = 8", ["not a TOML file: Cannot overwrite a value (at line 10"]),
        ("n_starts = 2", 'estimator = "ml"', ["fit.estimator: expected 'mle' or 'em', got 'ml'"]),
        ("n_starts = 2", 'estimator = "em"', ['fit: expected fit.jitter with estimator = "em"']),
        (BOXED, BY_EM.replace('"em"', '"mle"'), ['fit: expected fit.jitter with estimator = "em", ', "no other"]),
        (BOXED, "local = true\n" + BY_EM, ["fit: expected neither local = true nor start = "]),
        (BOXED, 'start = "data"\n' + BY_EM, ["fit: expected neither local = true nor start = "]),
        (BOXED, BY_EM + "[fit.bounds]\nnu = [0.01, 4]\n", ['expected no fit.bounds, as estimator = "em" has no box']),
        (BOXED, BY_EM.replace("[0.1, 0.25]", "[-0.1, 0.25]"), ["fit.jitter.tau: expected a pair [c, p], for c n^(-p)"]),
        (BOXED, BY_EM.replace("[0.1, 0.25]", "[0.1, 2]"), ["fit.jitter.tau: expected a pair", "got [0.1, 2]"]),
        (BOXED, BY_EM.replace("[0.1, 0.25]", "0.1"), ["fit.jitter.tau: expected a pair", "got 0.1"]),
        (BOXED, BY_EM.replace("tau", "tua"), ["fit.jitter.tua: unknown key; did you mean 'tau'"]),
        ('"small"', f'"{"m" * 300}"', ["name: expected a name for files, of 1 to 100 letters", "..."]),
        ('"small"', '"so\\u0007und"', ["name: expected a name for files", r"got 'so\x07und'"]),
        ('"small"', f'"small"\ntitle = "{"m" * 501}"', ["title: expected at most 500 characters"]),
        ("seed = 7", f"seed = 7\nz = {'[' * 5000}", ["not a study: lists or tables nest too deeply"]),
        ("seed = 7", f"seed = 7\nz = {'{z=' * 5000}", ["not a study: lists or tables nest too deeply"]),
        ("seed = 7", f"seed = 7\n{'.'.join('z' * 20_000)} = 1", ["not a study: more than 50 dots in one key"]),
        ("seed = 7", f"seed = 7\n[{'.'.join('z' * 20_000)}]", ["not a study: more than 50 dots in one key"]),
        ("seed = 7", f"seed = 7\n# {'x' * 10**6}", ["too long for a study: more than 1000000 bytes"]),
        ("seed = 7", "\n".join(f"z{i} = 1" for i in range(30)), ["seed: missing key", "and 11 more"]),
        ("seed = 7", "seed = = 7", ["not a TOML file", "line 9"]),
    ],
)
def test_messages_name_file_key_expected_and_got(read, tmp_path, old, new, said):
    with pytest.raises(StudyError) as caught:
        read((old, new))
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{tmp_path / 'small.toml'}: ") for line in lines)
    for words in said:
        assert any(words in line for line in lines), (words, lines)


def test_the_hash_is_that_of_what_is_not_at_its_default(read):
    """So that an option that is added, with a default, changes no hash: it is not there."""
    study = read()
    assert study.identity == {
        "truth": "C2",
        "x": {"law": "uniform", "low": -3.0, "high": 3.0},
        "seed": 7,
        "fit": {"n_starts": 2, "bounds": study.identity["fit"]["bounds"]},
    }
    text = json.dumps(study.identity, sort_keys=True, separators=(",", ":"))
    assert study.hash == hashlib.sha256(text.encode()).hexdigest()
    plain = Study(**study.model_dump(exclude={"fit"}))
    assert "fit" not in plain.identity
    normal = Study(**study.model_dump(exclude={"x"}), x={"law": "normal", "loc": 0.0})
    assert normal.identity["x"] == {"law": "normal"}


def test_an_identity_is_the_same_with_its_defaults_and_without(read):
    study = read()
    assert study.differences(study.identity) == study.differences(study.former_identity) == []
    assert study.former_identity["fit"]["local"] is False
    assert not {"estimator", "jitter"} & study.former_identity["fit"].keys()
    by_em = read((BOXED, BY_EM))
    assert by_em.identity["fit"] == {"estimator": "em", "jitter": {"tau": [0.1, 0.25], "nu": [0.01, 0.0]}}
    assert "fit.estimator ('em' there, 'mle' here)" in study.differences(by_em.identity)
    assert study.former_identity["measures"] == {"hellinger": False}
    local = read(("n_starts = 2", "n_starts = 2\nlocal = true"))
    assert study.differences(local.identity) == ["fit.local (True there, False here)"]
    assert local.differences(study.former_identity) == ["fit.local (False there, True here)"]
    assert local.differences(study.identity) == ["fit.local (None there, True here)"]
    later = study.identity | {"fit": study.identity["fit"] | {"option": 3}}  # of a version to come
    assert study.differences(later) == ["fit.option (3 there, None here)"]
    normal = Study(**study.model_dump(exclude={"x"}), x={"law": "normal"})
    there = normal.differences(study.identity)
    assert [what.split(" ")[0] for what in there] == ["x.high", "x.law", "x.low"]


def test_no_such_study_names_those_that_ship():
    with pytest.raises(StudyError, match=r"no study 'qiuck'.*plane-far, quick, .*, toy, unidentified,"):
        load_study("qiuck")


def test_the_hash_covers_what_changes_a_cell_and_nothing_else(read):
    base = read().hash
    for same in (
        ("replicates = 3", "replicates = 30"),
        ("n = [400, 200]", "n = [400, 200, 800]"),
        ('"SS", "LL"', '"SS"'),
        ("[3, 3], [2, 2]", "[2, 2]"),
        ('name = "small"', 'name = "other"\ntitle = "x"\nstatistics = ["mean"]'),
        ("low = -3.0", "low = -3"),  # an integer is the same number
        ("n_starts = 2", 'n_starts = 2\nstart = "truth"'),  # a default written out
        ("n_starts = 2", "n_starts = 2\nlocal = false"),
        ("n_starts = 2", 'n_starts = 2\nestimator = "mle"'),
        ("seed = 7", "seed = 7\nmeasures = { hellinger = true }"),  # reckoned from fits
    ):
        assert read(same).hash == base, same
    others = [
        read(change).hash
        for change in (
            ("seed = 7", "seed = 8"),
            ('"C2"', '"C0"'),
            ("low = -3.0", "low = -2.0"),
            ("n_starts = 2", "n_starts = 3"),
            ("omega = 3\n", "omega = 2\n"),
            ("n_starts = 2", 'n_starts = 2\nstart = "data"'),
            ("n_starts = 2", "n_starts = 2\nlocal = true"),
            (BOXED, BY_EM),
            (BOXED, BY_EM.replace("0.25", "0.5")),
            ('law = "uniform"', 'law = "grid"'),
        )
    ]
    assert len({base, *others}) == len(others) + 1


def test_streams_are_keyed_and_apart(read):
    study = read()
    draw = lambda stream: tuple(np.random.default_rng(stream).integers(2**63, size=2))  # noqa: E731
    keys = [(n, replicate) for n in (200, 400, 2**40) for replicate in range(3)]
    draws = [draw(stream(*key)) for key in keys for stream in (study.data_seed, study.fit_seed)]
    draws += [draw(read(("seed = 7", "seed = 8")).data_seed(200, 0)), draw(read(('"C2"', '"C0"')).data_seed(200, 0))]
    assert len(set(draws)) == len(draws)
    assert draw(study.data_seed(200, 1)) == draw(read(("[3, 3], [2, 2]", "[5, 5]")).data_seed(200, 1))


def test_the_shipped_studies_load_under_their_names():
    shipped = shipped_studies()
    assert {"exact", "quick", "toy"} <= set(shipped)
    for name in shipped:
        study = load_study(name)
        assert study.name == name
        assert study.title
        if study.kind == "applied":
            continue
        assert {g for g in study.gatings if study.measure(g).gating == g} == set(study.gatings)


def test_a_copy_of_a_study_keeps_nothing_that_was_made_of_the_old_values():
    study = load_study("toy")
    made = study.sizes, study.hash, study.law
    other = study.model_copy(update={"n": [50, 70], "seed": study.seed + 1})
    assert other.sizes == [50, 70]
    assert other.n_cells == 2 * 2 * 2 * study.replicates
    anew = Study.model_validate(study.model_dump(exclude_unset=True) | {"seed": other.seed})
    assert other.hash == anew.hash != made[1]
    assert (study.sizes, study.hash, study.law) == made


def test_a_truth_may_be_written_out(read):
    table = load_study("toy").measure("SS").to_dict()
    study = Study(**tomllib.loads(TEXT) | {"truth": table, "gatings": ["SS"]})
    assert study.measure("SS").to_dict() == table
    whole = table | {"nu": [1, 1, 1, 1]}
    assert Study(**tomllib.loads(TEXT) | {"truth": whole, "gatings": ["SS"]}).identity["truth"] == whole
    broken = Study(**tomllib.loads(TEXT) | {"truth": table | {"nu": [-1.0] * 4}, "gatings": ["SS"]})
    with pytest.raises(StudyError, match="truth: nu .* must be positive"):
        broken.measure("SS")


def test_an_unknown_truth_is_said(read):
    with pytest.raises(StudyError, match="truth: .*C9"):
        read(('"C2"', '"C9"')).measure("SS")


# -- files ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_files_of_windows_are_read(read, tmp_path, change):
    (tmp_path / "other.toml").write_bytes(change(TEXT).encode("utf-8"))
    assert load_study(tmp_path / "other.toml") == read()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TEXT.encode("utf-16"), "not a text file in UTF-8 (in UTF-16?): save it with the encoding UTF-8"),
        (TEXT.encode("utf-16-be"), "not a text file in UTF-8 (in UTF-16?)"),
        (TEXT.replace("small", "smäll").encode("latin-1"), "not a text file in UTF-8 (the byte 0xe4 in line 2)"),
        (TEXT.replace("\n", "\r").encode(), "not a TOML file: "),
        (b"", "name: missing key"),
    ],
)
def test_files_in_other_encodings_are_one_line(tmp_path, content, said):
    (tmp_path / "other.toml").write_bytes(content)
    with pytest.raises(StudyError) as caught:
        load_study(tmp_path / "other.toml")
    assert str(caught.value).split("\n")[0].startswith(f"{tmp_path / 'other.toml'}: {said}")


def test_dots_in_comments_and_titles_are_no_keys(read):
    assert read(("seed = 7", f"seed = 7  # {'.' * 80} it's fine")).seed == 7
    assert read(("seed = 7", f'seed = 7\ntitle = "{"." * 80}"')).title == "." * 80


def test_only_files_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    os.symlink("loop", "loop")
    os.mkdir("folder")
    for source, said in {
        "": "no study '': neither",
        "gone.toml": "no study 'gone.toml': neither",
        "gone\nor not": r"no study 'gone\nor not': neither",
        "pipe": "pipe: is a device or a pipe, not a file",
        "/dev/zero": "/dev/zero: is a device or a pipe, not a file",
        "folder": "folder: is a folder, not a file",
        "loop": "loop: cannot be reached: Too many levels of symbolic links",
        "m" * 300: f"{'m' * 300}: cannot be reached: File name too long",
        "a\0b": "a\0b: cannot be reached: its name holds a zero byte",
    }.items():
        with pytest.raises(StudyError) as caught:
            load_study(source)
        assert str(caught.value).startswith(said)
        assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_one_line(read, tmp_path, monkeypatch):
    read()
    with monkeypatch.context() as patched:
        denied = PermissionError(errno.EACCES, "Permission denied")
        patched.setattr(Path, "open", lambda *_: (_ for _ in ()).throw(denied))
        with pytest.raises(StudyError, match=r"small\.toml: cannot be read: Permission denied$"):
            load_study(tmp_path / "small.toml")
    denied = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(os, "stat", lambda *_: (_ for _ in ()).throw(denied))
    with pytest.raises(StudyError, match=r"small\.toml: cannot be reached: Permission denied$"):
        load_study(tmp_path / "small.toml")


def test_cells_are_counted_without_being_made(read):
    study = read(("replicates = 3", "replicates = 100_000"))
    assert study.n_cells == 800_000
    assert len(study.corners()) == 8
