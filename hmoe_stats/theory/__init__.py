"""Theory next to the simulations: which exponents to expect, and where each of them comes from."""

from .exponents import rates
from .modulus import Modulus, certificates, certify, modulus

__all__ = ["Modulus", "certificates", "certify", "modulus", "rates"]
