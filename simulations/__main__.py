"""``python -m simulations``: the command line `hmoe`."""

from simulations.cli import app

if __name__ == "__main__":  # worker processes import this module again
    app(prog_name="hmoe")
