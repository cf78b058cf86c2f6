"""Theory next to the simulations: which exponents to expect, and where each of them comes from."""

from .exponents import rates

__all__ = ["rates"]
