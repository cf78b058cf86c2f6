"""Studies: reading, messages, hash, grid and streams."""

import tomllib

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


@pytest.fixture
def read(tmp_path):
    """Read the study TEXT after replacements."""

    def reader(*changes):
        text = TEXT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "small.toml").write_text(text)
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
            ["fit.bounds.omega: expected a positive number B", "low < high, got [3, 1]"],
        ),
        ("omega = 3\n", "omega = -3\n", ["fit.bounds.omega: expected a positive number B", "got -3"]),
        ("nu = [0.01, 4]", "nu = 4", ["fit.bounds.nu: expected a pair", "got 4"]),
        ("nu = [0.01, 4]", "nu = [0, 4]", ["fit.bounds.nu: expected a pair", "0 < low"]),
        ('"SS", "LL"', '"SS", "XX"', ["gatings[1]: expected 'SS', 'SL', 'LS' or 'LL', got 'XX'"]),
        ('"SS", "LL"', '"SS", "SS"', ["gatings: expected distinct entries ('SS' is there twice)"]),
        ("replicates = 3", 'replicates = "3"', ["replicates: expected a valid integer, got '3'"]),
        ("replicates = 3", "replicates = 0", ["replicates: expected greater than or equal to 1, got 0"]),
        ("[3, 3]", "[3, 0]", ["k2[0][1]: expected greater than or equal to 1, got 0"]),
        ('law = "uniform"', 'law = "unifrom"', ["x.law: expected 'uniform' or 'normal', got 'unifrom'"]),
        ("low = -3.0", "low = 4.0", ["x: expected low < high"]),
        ("low = -3.0", "lo = -3.0", ["x.low: missing key", "x.lo: unknown key", "did you mean 'low'"]),
        ("n = [400, 200]", "n = { low = 10, high = 9, count = 5 }", ["n: expected low < high"]),
        ("n = [400, 200]", "n = { low = 10, high = 90, cuont = 5 }", ["n.count: missing", "n.cuont: unknown key"]),
        ("n = [400, 200]", "n = 400", ["n: expected a valid list, got 400"]),
        ("seed = 7\n", "", ["seed: missing key"]),
        ('truth = "C2"', "truth = 2", ["truth: expected the name of a truth, or a table", "got 2"]),
        ('truth = "C2"', 'truth = { gating = "SS" }', ["gatings = [the gating of the truth]"]),
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


def test_no_such_study_names_those_that_ship():
    with pytest.raises(StudyError, match=r"no study 'qiuck'.*plane, quick, search, toy, unidentified"):
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
            ("seed = 7", "seed = 7\nmeasures = { hellinger = true }"),
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
        assert {g for g in study.gatings if study.measure(g).gating == g} == set(study.gatings)


def test_a_truth_may_be_written_out(read):
    table = load_study("toy").measure("SS").to_dict()
    study = Study(**tomllib.loads(TEXT) | {"truth": table, "gatings": ["SS"]})
    assert study.measure("SS").to_dict() == table
    broken = Study(**tomllib.loads(TEXT) | {"truth": table | {"nu": [-1.0] * 4}, "gatings": ["SS"]})
    with pytest.raises(StudyError, match="truth: nu .* must be positive"):
        broken.measure("SS")


def test_an_unknown_truth_is_said(read):
    with pytest.raises(StudyError, match="truth: .*C9"):
        read(('"C2"', '"C9"')).measure("SS")
