"""Study files that are broken in any way: one line for each problem and exit code 2, or a run; and never a traceback.

Files are made from good ones by keyed mutations and go through `hmoe status` and `hmoe run` in this process, with rows
that are made instead of fitted. With HMOE_FUZZ=20000 in the environment ten times as many are made, other ones in every
run.
"""

import os
import random
import re
import shutil
import signal

import pytest
from conftest import scale
from typer.testing import CliRunner

from simulations import measures, runner
from simulations.cli import app

TOTAL = scale(int(os.environ.get("HMOE_FUZZ", "2000")) // 4, 40)
FIRST = random.SystemRandom().randrange(10**9) if "HMOE_FUZZ" in os.environ else 0
LONGEST = 5.0  # seconds of this process for one command

NAMED = """\
name = "small"
title = "Exact and over-specified fits"
truth = "C2"
gatings = ["SS", "LL"]
k2 = [[2, 2], [3, 3]]
n = { low = 300, high = 3000, count = 3 }
replicates = 4
x = { law = "uniform", low = -3.0, high = 3.0 }
seed = 20241003
statistics = ["mean", "median", "q90"]
beside = ["toy"]

[fit]
start = "truth"
local = true
n_starts = 7

[fit.bounds]
omega = 3.0
beta = 1.5
nu = [0.04, 4.0]
"""
WRITTEN = """\
name = 'written'
gatings = ["SL"]
k2 = [[2]]
n = [60, 90]
replicates = 2
x = { law = "normal", loc = 0, scale = 1.5 }
seed = 1
fit = { start = "data", n_starts = 1, tol = 1e-7, max_iter = 30 }
measures = { hellinger = true }
[truth]
gating = "SL"
k2 = [2]
a = [0.0]
b = [0.0]
omega = [[-1.0], [1]]
beta = [0.2, 0.0]
eta = [0.5, -0.5]
tau = [-2.0, 2.0]
nu = [0.4, 0.4]
"""
VALUES = """\
nan|inf|-inf|-1|0|1|2|3|1.5|1e400|-1e300|1e-320|1e12|1000000000000|10000000000000000000000|99999999999999999999|true|
""|"x"|"SS"|"C0"|"C9"|"P2"|"q00"|"q5"|"q1٣"|"toy"|"small"|"a\\nb"|"\\u001b[31m"|"\\u0000"|'''a
b'''|"../x"|"."|"é"|[]|[[]]|{}|[{}]|[1]|[2, 2]|[[2, 2]]|[[1]]|[[100000, 100000]]|[[60, 60]]|[0]|[1, 2, 3]|[3, 1]|[nan]|
[inf, 1]|[true]|["x"]|{ a = 1 }|{ law = "uniform" }|{ law = [1] }|{ law = "normal", scale = 0.0 }|1979-05-27|07:32:00|
1979-05-27T07:32:00Z|[1979-05-27]|{ low = 10, high = 20, count = 100000000 }|{ low = 10, high = 1e9, count = 3 }|
{ low = 2, high = 1000000000000000, count = 1000 }|[2000000000, 3000000000]|{ gating = "SS" }|=|,|]|}|[|"|'|#|\\\\|\
""".replace("|\n", "|").split("|")
VALUES += ["0x" + "f" * 5000, "9" * 5000, "[" * 2000, "[" * 120 + "]" * 120, "{a=" * 400 + "1" + "}" * 400]
VALUES += [f"[{', '.join(map(str, range(40_000)))}]", '"' + "m" * 300 + '"', '"' + "m" * 200_000 + '"']
KEYS = ["", "name", "fit", "truth.eta", '"a.b"', '"a\\nb"', '""', "'\"'", "n.low", "x.law", "é", "table", "first", "nu"]
KEYS += [".".join("a" * 3000), "[fit]", "[truth]", "[x]", "[fit.bounds.nu]", "[[k2]]", '["fit"."bounds"]', "low"]
BYTES = [b"\0", b"\xff", b"\xef\xbb\xbf", b"\r\n", b"\x1b[2J", b"\xe2\x80\xa8", *(bytes([c]) for c in b"='\"[]\r\n.")]


def of_lines(change):
    def mutation(rng, text):
        lines = text.split("\n")
        change(rng, lines, rng.randrange(len(lines)))
        return "\n".join(lines)

    return mutation


@of_lines
def a_value(rng, lines, i):
    lines[i] = f"{lines[i].partition('=')[0]}= {rng.choice(VALUES)}"


@of_lines
def a_key(rng, lines, i):
    lines[i] = f"{rng.choice(KEYS)} ={lines[i].partition('=')[2]}"


@of_lines
def a_line(rng, lines, i):
    lines.insert(i, rng.choice([f"{rng.choice(KEYS)} = {rng.choice(VALUES)}", rng.choice(KEYS), rng.choice(lines)]))


@of_lines
def no_line(rng, lines, i):
    del lines[i : i + rng.choice([1, 1, 1, 3, 30])]


@of_lines
def order(rng, lines, i):
    rng.shuffle(lines)


def a_token(rng, text):
    """A number, a string or a word within the values of the file."""
    found = list(re.finditer(r'"[^"\n]*"|-?[\d.]+(e-?\d+)?|\w+', text))
    token = rng.choice(found)
    return text[: token.start()] + rng.choice(VALUES) + text[token.end() :]


def a_character(rng, text):
    i = rng.randrange(len(text) + 1)
    return text[:i] + rng.choice(["", "\0", "é", "\x1b", '"', "'", "[", "]", ",", ".", "=", "\n", "9"]) + text[i + 1 :]


MUTATIONS = [a_value, a_value, a_token, a_token, a_key, a_line, no_line, order, a_character]
ENCODINGS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp037"]


def broken(seed):
    """The bytes of a study file."""
    rng = random.Random(seed)
    text = rng.choice([NAMED, WRITTEN])
    for _ in range(rng.choice([0, 1, 1, 1, 1, 2, 3])):
        text = rng.choice(MUTATIONS)(rng, text)
    content = text.encode("utf-8")
    kind = rng.random()
    if kind < 0.1:
        i = rng.randrange(len(content) + 1)
        content = content[:i] + rng.choice(BYTES) + content[i + rng.choice([0, 1]) :]
    elif kind < 0.15:
        content = text.encode(rng.choice(ENCODINGS), errors="replace")
    elif kind < 0.2:
        content = content.replace(b"\n", rng.choice([b"\r\n", b"\r"]))
    elif kind < 0.22:
        content = content[: rng.randrange(len(content) + 1)]
    elif kind < 0.23:
        content += b"#" * 10**6
    return content


class Hang(BaseException):
    pass


@pytest.fixture
def hmoe(tmp_path, monkeypatch):
    """Call the command line in an empty folder, without fits; (exit code, standard output, standard error)."""

    def made(study, cell):
        found = dict.fromkeys(("log_likelihood", "score_norm", "n_iter", "parameters", "certificate"))
        return runner._row(cell, found | {"status": "converged"}, 0.01)

    def stop(*_):
        raise Hang

    missing = runner.missing_cells
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "_compile", lambda *_: None)
    monkeypatch.setattr(runner, "run_cell", made)
    monkeypatch.setattr(measures, "MEASURES", ())
    monkeypatch.setattr(runner, "missing_cells", lambda *arguments: missing(*arguments)[:2])
    before = signal.signal(signal.SIGPROF, stop)

    def call(*words):
        signal.setitimer(signal.ITIMER_PROF, LONGEST)
        try:
            done = CliRunner().invoke(app, list(words))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        return done.exit_code, done.stdout, done.stderr

    yield call
    signal.signal(signal.SIGPROF, before)


def test_every_broken_study_is_refused_in_lines_or_runs(hmoe, tmp_path):
    ends = {0: 0, 2: 0}
    for seed in range(FIRST, FIRST + TOTAL):
        (tmp_path / "study.toml").write_bytes(broken(seed))
        for command in (["status"], ["run", "--jobs", "1"]):
            code, _, said = hmoe(*command, "study.toml")
            assert code in ends, (seed, said)
            if code == 2:
                lines = said.removesuffix("\n").split("\n")
                assert all(line.startswith("hmoe: ") and 6 < len(line) < 500 for line in lines), (seed, said)
                assert len(lines) <= 21, seed
                assert os.listdir(tmp_path) == ["study.toml"], seed
        ends[code] += 1
        shutil.rmtree(tmp_path / "results", ignore_errors=True)
    assert ends[2] > ends[0] > TOTAL // 20
