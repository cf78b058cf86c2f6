"""Standard streams and interrupts as shells leave them: closed, broken, full, of few characters, ignored."""

import io
import os
import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from simulations import streams
from simulations.cli import app

HMOE = [sys.executable, "-m", "simulations"]


def shell(command, folder="."):
    """(exit code, output, errors) of a shell command with `hmoe` in it."""
    words = command.replace("hmoe", " ".join(HMOE))
    done = subprocess.run(["bash", "-c", words], cwd=folder, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


class Full(io.StringIO):
    """A stream that takes no more."""

    error = OSError(28, "No space left on device")

    def write(self, text):
        raise self.error

    def flush(self):
        pass


class Broken(Full):
    error = BrokenPipeError(32, "Broken pipe")


def ending(monkeypatch, out, err, *words):
    """The exit code of a command with these streams."""
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with pytest.raises(SystemExit) as caught:
        app(list(words), prog_name="hmoe")
    assert (sys.stdout, sys.stderr) == (out, err)
    return caught.value.code


@pytest.mark.parametrize("words", [["studies"], ["--help"], ["status", "toy"]])
def test_output_that_is_lost_is_an_error_in_one_line(monkeypatch, words, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    assert ending(monkeypatch, Full(), said, *words) == 1
    assert said.getvalue() == "hmoe: standard output cannot be written: No space left on device\n"


def test_a_closed_pipe_ends_in_silence(monkeypatch):
    said = io.StringIO()
    assert ending(monkeypatch, Broken(), said, "studies") == 141
    assert said.getvalue() == ""


@pytest.mark.parametrize("err", [Full, Broken])
def test_messages_that_are_lost_disturb_nothing(monkeypatch, err):
    out = io.StringIO()
    assert ending(monkeypatch, out, err(), "studies") == 0
    assert "over-by-one" in out.getvalue()
    assert ending(monkeypatch, out, err(), "status", "nowhere") == 2


def test_what_an_encoding_lacks_is_written_as_its_number(monkeypatch, tmp_path):
    (tmp_path / "温度.toml").write_bytes(b"")
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    err = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    assert ending(monkeypatch, out, err, "status", str(tmp_path / "温度.toml")) == 2
    err.flush()
    assert rb"\u6e29\u5ea6.toml: name: missing key" in err.buffer.getvalue()
    assert (out.errors, err.errors) == ("strict", "strict")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full")
def test_real_streams(tmp_path):
    """One shell for many commands: each line of its output is an exit code."""
    lines = """
        tell() { echo $? >&2; }
        hmoe studies >/dev/full; tell; hmoe status toy 2>&- >&- <&-; tell
        hmoe status nowhere 2>&-; tell; hmoe studies | read; tell"""
    _, out, err = shell(lines, tmp_path)
    lost = "hmoe: standard output cannot be written: No space left on device"
    assert (out, err.splitlines()) == ("", [lost, "1", "1", "2", "0"])


def test_results_are_never_opened_as_a_standard_stream(monkeypatch, tmp_path):
    """Where standard streams are closed, their numbers go to the null device, in workers, too."""
    code = f"""
import os, sys
from simulations import streams
try:
    with streams.guarded():
        file = open({str(tmp_path / "results")!r}, "w")
        assert file.fileno() > 2
        assert all(os.get_inheritable(number) for number in range(3))
        print("lost", file=sys.stderr)
        sys.stdout.flush()
        print("lost")
except streams.OutputLost as lost:
    file.write(f"{{lost.code}}")
"""
    subprocess.run(["bash", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, code], check=True, timeout=60)
    assert (tmp_path / "results").read_text() == "1"


# -- interrupts -------------------------------------------------------------------------------------------------------
STARTING = """
import os, signal, sys
from simulations.__main__ import main
sys.argv = ["hmoe", "status", "toy"]
class Finder:
    def find_spec(self, name, *_):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
main()
"""


@pytest.mark.parametrize("name", ["typer", "pydantic", "tomllib"])
def test_an_interrupt_while_libraries_are_imported_is_one_line(tmp_path, name):
    words = [sys.executable, "-c", STARTING.format(name=name)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "hmoe: interrupted\n")


def test_an_ignored_interrupt_is_ignored_in_a_run(tmp_path, monkeypatch):
    from simulations import runner
    from simulations.store import Store
    from simulations.study import load_study

    seen = []

    def interrupted(study, cell):
        os.kill(os.getpid(), signal.SIGINT)
        seen.append(signal.getsignal(signal.SIGINT))
        found = dict.fromkeys(("log_likelihood", "score_norm", "n_iter", "parameters", "certificate"))
        return runner._row(cell, found | {"status": "converged", "errors": []}, 0.01)

    monkeypatch.setattr(runner, "_compile", lambda *_: None)
    monkeypatch.setattr(runner, "run_cell", interrupted)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Store(tmp_path / "s.sqlite", load_study("toy"), write=True) as store:
            assert runner.run(load_study("toy"), store, progress=False) == 48
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert set(seen) == {signal.SIG_IGN}
    words = f"trap '' INT; exec {sys.executable} -c 'import signal; from simulations.__main__ import main"
    words += "\nfrom simulations import cli; cli.app = lambda **_: print(signal.getsignal(signal.SIGINT)); main()'"
    assert shell(words)[1] == "1\n"


def test_streams_of_the_caller_come_back_after_a_failure():
    before = sys.stdout, sys.stderr
    assert CliRunner().invoke(app, ["status", "nowhere"]).exit_code == 2
    assert (sys.stdout, sys.stderr) == before
    with pytest.raises(ZeroDivisionError), streams.guarded():
        1 / 0  # noqa: B018
    assert (sys.stdout, sys.stderr) == before
