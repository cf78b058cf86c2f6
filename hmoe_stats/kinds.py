"""What annotations say: kinds of arguments and results that functions share. Nothing here is asked at run time.

Arrays, frames and numbers of other libraries are taken wherever an `ArrayLike` is: `hmoe_stats.arguments` says which.
"""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:  # what stands below, or is heavy
    import matplotlib.axes
    import pandas as pd

    from .categorical import CategoricalMeasure
    from .fitting import CategoricalResult, FitResult
    from .fitting.progress import Progress
    from .measure import MixingMeasure
    from .sampling import Empirical, Normal, Uniform

Function = TypeVar("Function", bound=Callable[..., Any])  # what a decorator takes, and gives back

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Frame: TypeAlias = "pd.DataFrame"
Series: TypeAlias = "pd.Series"
Axes: TypeAlias = "matplotlib.axes.Axes"
File: TypeAlias = str | PathLike[str]

Shape: TypeAlias = int | Sequence[int]  # k2
Columns: TypeAlias = int | str | Sequence[int | str]
Bounds: TypeAlias = dict[str, Any]  # half-widths, and pairs (low, high)
Measure: TypeAlias = "MixingMeasure | FitResult"
Categorical: TypeAlias = "CategoricalMeasure | CategoricalResult"
AnyMeasure: TypeAlias = "MixingMeasure | FitResult | CategoricalMeasure | CategoricalResult"
Law: TypeAlias = "Uniform | Normal | Empirical | ArrayLike"
Curve: TypeAlias = "pd.DataFrame | tuple[ArrayLike, ArrayLike]"
Seed: TypeAlias = int | np.random.SeedSequence
Drawing: TypeAlias = int | np.random.SeedSequence | np.random.Generator
Rng: TypeAlias = int | np.random.SeedSequence | np.random.Generator | np.random.BitGenerator
Verbose: TypeAlias = "bool | Callable[[Progress], object]"
