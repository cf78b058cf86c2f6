"""Theory next to the simulations: which exponents to expect, and where each of them comes from."""

from . import systems
from .exponents import rates

__all__ = ["rates", "systems"]
