"""Theory next to the simulations: which exponents to expect, and where each of them comes from."""

from . import systems
from .exponents import rates
from .interactions import Interactions, interactions
from .modulus import Modulus, certificate_table, certificates, certify, modulus
from .split import SplitInformation, split_information

__all__ = [
    "Interactions",
    "Modulus",
    "SplitInformation",
    "certificate_table",
    "certificates",
    "certify",
    "interactions",
    "modulus",
    "rates",
    "split_information",
    "systems",
]
