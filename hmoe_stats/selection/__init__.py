"""How many experts, which gates: criteria and held-out density, dendrograms of fits, and whether a tree comes back."""

from .agreement import Stability, adjusted_rand, stability
from .candidates import Selection, select
from .merging import Dendrogram, dendrogram

__all__ = ["Dendrogram", "Selection", "Stability", "adjusted_rand", "dendrogram", "select", "stability"]
