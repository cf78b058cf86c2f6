"""What a family of experts is: one record for each, as `hmoe_stats.gates` has one for each gate.

    Gaussian     y in R,            N(y | eta' x + tau, nu)
    categorical  y one of C classes, p(c | x) = softmax_c( eta_c' x + tau_c ), with eta_C = 0 and tau_C = 0

Experts are what stands at the leaves of a tree of gates (`hmoe_stats.tree`), which is the same for all families.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """A family of experts.

    Attributes
    ----------
    name : str
    arrays : tuple of str
        The parameters of experts, in the order of vectors: slopes, intercepts, and what else there is.
    logged : tuple of str
        Those that are positive: vectors have their logarithms, by the name of ``log_nu``.
    classed : bool
        Whether slopes and intercepts are those of classes: their second axis runs along all classes but the last.
    """

    name: str
    arrays: tuple
    logged: tuple = ()
    classed: bool = False

    def shapes(self, K, d, n_classes=0):
        """Name -> shape of each array, of K experts that see d columns; d = -1 for any number of them."""
        rows = (K, n_classes - 1) if self.classed else (K,)
        return {name: (*rows, d) if name == "eta" else rows for name in self.arrays}

    def entry(self, name):
        """What an array is called in vectors."""
        return f"log_{name}" if name in self.logged else name


GAUSSIAN = Family("Gaussian", ("eta", "tau", "nu"), logged=("nu",))
CATEGORICAL = Family("categorical", ("eta", "tau"), classed=True)
