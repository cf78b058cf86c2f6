"""The command ``hmoe``, and ``python -m hmoe_stats``: the driver's command line, by the name that the driver has here.

In a checkout the driver is the folder ``simulations``. An installed package calls it ``hmoe_simulations``: the other
name is common among users' own folders, one of which would stand before it. It is looked up, never imported by name, as
nothing here needs the driver.
"""

from importlib import import_module
from importlib.util import find_spec

DRIVERS = ("hmoe_simulations", "simulations")


def main():
    """Run the command line."""
    found = (name for name in DRIVERS if getattr(find_spec(name), "origin", None))  # none of a folder without code
    import_module(f"{next(found)}.__main__").main()


if __name__ == "__main__":
    main()
