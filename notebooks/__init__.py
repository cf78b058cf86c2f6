"""Essays with figures: jupytext sources (`[0-9]*.py`) and the notebooks executed from them, side by side."""
