"""Models: how each is fitted to the rows of a split, and scored on rows that it has not seen.

A model of this package is a gating, fitted by `hmoe_stats.fit` or `fit_categorical`, with a word behind it on the scale
of Laplace gates, or on the block of columns that its gates see, and its experts do not. References are those of
scikit-learn, with their own defaults but for what is said here.
"""

import math
from typing import NamedTuple

from ..rows import NO_FIT, of_fit
from ..schema import GATINGS

LESS, MORE, NEITHER = -1, 1, 0  # is better
SCORES = {
    "log loss": LESS,  # minus the mean log-density of a new row, nats
    "error rate": LESS,  # of the likeliest class
    "calibration error": LESS,  # mean gap of confidence and accuracy, over ten bins of equally many rows
    "root mean square error": LESS,  # of the mean, in standard deviations of y
    "effective experts": NEITHER,  # these four as `hmoe_stats.specialization` has them, on new rows
    "routing information": NEITHER,
    "routing gain": NEITHER,
    "own-expert advantage": NEITHER,
    "adjusted Rand, posterior": MORE,  # of level 1 given x and y, and the hidden domain
    "adjusted Rand, gates": MORE,  # of level 1 given x
    "alignment": MORE,  # of the posterior of level 1 and the domain, nats
    "log loss, unseen domain": LESS,
    "log loss, without A": LESS,
    "log loss, without B": LESS,
}
SCALES = ("", "tuned", "per unit", "profile")  # 3 per standard deviation; chosen; 1 per unit of x; by likelihood
CLUSTERS = ("k-means", "Gaussian mixture")
REFERENCES = ("linear", "forest", "network", *CLUSTERS)
TREES = 200
SHRINKAGE = (0.01, 0.1, 1.0, 10.0)  # of the network's weights, from which the held-out fourth of the rows chooses
BINS = 10


VIEW = " gates on "


def check_model(name):
    """Return a name that is one of a model, else raise a `ValueError`."""
    model = model_of(name)
    if name not in REFERENCES and (
        model.gating not in GATINGS or model.scale not in SCALES or model.block not in ("", "A", "B")
    ):
        words = f"a gating, with a scale ({', '.join(SCALES[1:])}) or not, and{VIEW}A or B or not"
        raise ValueError(f"{words}; or {', '.join(REFERENCES)}")
    return name


def model_of(name):
    """The `Model` or `Reference` of a name."""
    if name in REFERENCES:
        return Reference(name)
    name, _, block = name.partition(VIEW)
    gating, _, scale = name.partition(" ")
    return Model(gating, scale, block)


def _inner(split, seed):
    """(rows to fit, rows to choose by): three fourths and a fourth."""
    import numpy as np

    order = np.random.default_rng(seed).permutation(len(split.y))
    return order[len(order) // 4 :], order[: len(order) // 4]


class Model(NamedTuple):
    """A gating, how the scale of its Laplace gates is come by, and the block that its gates see, "" for all."""

    gating: str
    scale: str
    block: str

    def row(self, split, k2, scales, n_starts, seed):
        """What the store keeps of a fit, as `applied.study.Applied.fitted` gives it."""
        fit = self._fit(split, k2, scales, n_starts, seed)
        certificate = {"converged": bool(fit.converged), "message": str(fit.message)}
        return of_fit(fit, certificate) | {"errors": written(self._scores(fit, split))}

    def _fit(self, split, k2, scales, n_starts, seed):
        from hmoe_stats import gates

        scale = None
        if gates.has_scale(self.gating[-1] if len(k2) == 1 else self.gating):
            if self.scale == "per unit":
                scale = split.X.std(axis=0)
            elif self.scale == "profile":
                scale = "profile"
            elif self.scale == "tuned":
                scale = self._tuned(split, k2, scales, seed)
        return self._one(split, k2, scale, n_starts, seed)

    def _one(self, split, k2, scale, n_starts, seed):
        import hmoe_stats as hs

        options = {"seed": seed}
        if self.block:
            others = [columns for name, columns in split.blocks.items() if name != self.block]
            options |= {"gate_columns": split.blocks[self.block], "expert_columns": sum(others, ())}
        options |= {} if scale is None else {"laplace_scale": scale}
        if split.classes:
            return hs.fit_categorical(split.X, split.y, self.gating, k2, n_starts=n_starts, tol=1e-5, **options)
        return hs.fit(split.X, split.y, self.gating, k2, n_starts=n_starts, effort="quick", **options)

    def _tuned(self, split, k2, scales, seed):
        """The scale whose fit to three fourths of the rows says most of the rest; of classes that it has seen."""
        import numpy as np

        kept, rest = _inner(split, seed)
        inner = split._replace(X=split.X[kept], y=split.y[kept])
        rest = rest[np.isin(split.y[rest], inner.y)] if split.classes else rest
        fits = {scale: self._one(inner, k2, scale, 1, seed) for scale in scales}
        return max(scales, key=lambda scale: _log_density(fits[scale], split.X[rest], split.y[rest]).mean())

    def _scores(self, fit, split):
        import numpy as np

        import hmoe_stats as hs
        from hmoe_stats.selection.agreement import adjusted_rand

        G, X, y = fit.measure, split.X_new, split.y_new
        out = {"log loss": -_log_density(fit, X, y).mean()}
        if split.classes:
            out |= of_classes(fit.predict_proba(X), np.asarray(fit.classes), y)
        else:
            out["root mean square error"] = np.sqrt(np.mean((hs.predict(G, X) - y) ** 2)) / y.std()
        found = hs.specialization(fit, X, y, labels=split.labels, n_boot=0).values
        out |= {name: found["experts", name][0] for name in SCORES if ("experts", name) in found}
        out.pop("alignment", None)  # of domains that of groups
        if split.labels is not None:
            level = "groups" if ("groups", "alignment") in found else "experts"
            out["adjusted Rand, posterior"] = found[level, "adjusted Rand index"][0]
            out["alignment"] = found[level, "alignment"][0]
            weights = G.gate_weights(X) if split.classes else hs.gate_weights(G, X)
            if G.k1 > 1:
                weights = np.stack([weights[:, G.group == i].sum(axis=1) for i in range(G.k1)], axis=1)
            codes = np.unique(split.labels, return_inverse=True)[1]
            out["adjusted Rand, gates"] = adjusted_rand(weights.argmax(axis=1), codes, np.ones(len(codes)))
        return out | {f"log loss, {name}": -_log_density(fit, *rows).mean() for name, rows in split.elsewhere.items()}


def _log_density(fit, X, y):
    import hmoe_stats as hs

    return fit.log_density(X, y) if hasattr(fit, "classes") else hs.log_density(fit.measure, X, y)


class Reference(NamedTuple):
    """A model of another kind, without a tree.

    - linear: multinomial logistic regression (C = 1) on standardised covariates; least squares with normal errors.
    - forest: 200 trees; of classes their votes, and one vote more, spread over all; of numbers, normal errors with the
      variance of rows out of the bag.
    - network: one hidden layer of relu units, as many as give it the parameters of the softmax tree (2, 2), on
      standardised covariates; the shrinkage of its weights is chosen by a held-out fourth of the rows. Classes only.
    - k-means, Gaussian mixture: as many clusters as there are domains, in standardised x, and y where it is a number;
      ten starts. They are scored on domains alone.
    """

    name: str
    gating = ""

    def row(self, split, k2, scales, n_starts, seed):
        """As `Model.row`."""
        scores = self._clusters(split, seed) if self.name in CLUSTERS else self._predictions(split, seed)
        return NO_FIT | {"status": "converged", "errors": written(scores)}

    def _predictions(self, split, seed):
        import numpy as np

        if not split.classes:
            return self._numbers(split, seed)
        made, sets = self._classifier(split, seed), {"": (split.X_new, split.y_new), **split.elsewhere}
        classes, out = made.classes_, {}
        for name, (X, y) in sets.items():
            proba = made.predict_proba(X)
            if self.name == "forest":
                proba = (TREES * proba + 1.0 / len(classes)) / (TREES + 1)
            places = np.searchsorted(classes, y)
            loss = -np.log(np.maximum(proba[np.arange(len(y)), places], 1e-300)).mean()
            out |= {f"log loss, {name}" if name else "log loss": loss}
            out |= {} if name else of_classes(proba, classes, y)
        return out

    def _classifier(self, split, seed):
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if self.name == "linear":
            return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(split.X, split.y)
        if self.name == "forest":
            return RandomForestClassifier(TREES, random_state=seed % 2**32).fit(split.X, split.y)
        kept, rest = _inner(split, seed)
        tried = {alpha: _network(split.X[kept], split.y[kept], alpha, seed) for alpha in SHRINKAGE}
        best = max(SHRINKAGE, key=lambda alpha: _fits_rest(tried[alpha], split.X[rest], split.y[rest]))
        return _network(split.X, split.y, best, seed)

    def _numbers(self, split, seed):
        import numpy as np

        X, y = split.X, split.y
        if self.name == "forest":
            from sklearn.ensemble import RandomForestRegressor

            made = RandomForestRegressor(TREES, oob_score=True, random_state=seed % 2**32).fit(X, y)
            variance, predict = np.mean((y - made.oob_prediction_) ** 2), made.predict
        else:
            line = np.linalg.lstsq(np.column_stack([np.ones(len(X)), X]), y, rcond=None)[0]
            predict = lambda new: line[0] + new @ line[1:]  # noqa: E731
            variance = np.mean((y - predict(X)) ** 2)
        out = {}
        for name, (new, y_new) in {"": (split.X_new, split.y_new), **split.elsewhere}.items():
            square = np.mean((y_new - predict(new)) ** 2)
            loss = 0.5 * (square / variance + math.log(2.0 * math.pi * variance))
            out |= {f"log loss, {name}" if name else "log loss": loss}
            out |= {} if name else {"root mean square error": math.sqrt(square) / y_new.std()}
        return out

    def _clusters(self, split, seed):
        import numpy as np
        from sklearn.cluster import KMeans
        from sklearn.mixture import GaussianMixture
        from sklearn.preprocessing import StandardScaler

        from hmoe_stats.selection.agreement import adjusted_rand

        domains, codes = np.unique(split.labels, return_inverse=True)
        both = ((split.X, split.y), (split.X_new, split.y_new))
        old, new = (X if split.classes else np.column_stack([X, y]) for X, y in both)
        scaler = StandardScaler().fit(old)
        kind = KMeans if self.name == "k-means" else GaussianMixture
        made = kind(len(domains), n_init=10, random_state=seed % 2**32).fit(scaler.transform(old))
        found = made.predict(scaler.transform(new))
        return {"adjusted Rand, posterior": adjusted_rand(found, codes, np.ones(len(codes)))}


def _network(X, y, alpha, seed):
    import numpy as np
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    d, C = X.shape[1], np.unique(y).size
    size = 4 * (C - 1) * (d + 1) + 3 * (d + 1)  # of the softmax tree (2, 2), gates up to translations
    hidden = max(1, round((size - C) / (d + 1 + C)))
    made = MLPClassifier((hidden,), alpha=alpha, solver="lbfgs", max_iter=2000, random_state=seed % 2**32)
    return make_pipeline(StandardScaler(), made).fit(X, y)


def _fits_rest(made, X, y):
    """Mean log-probability of rows whose class was seen."""
    import numpy as np

    known = np.isin(y, made.classes_)
    proba = made.predict_proba(X[known])[np.arange(known.sum()), np.searchsorted(made.classes_, y[known])]
    return np.log(np.maximum(proba, 1e-300)).mean()


def of_classes(proba, classes, y):
    """Error rate, and calibration error of the likeliest class, from probabilities (n, C) of `classes`."""
    import numpy as np

    right, sure = classes[proba.argmax(axis=1)] == y, proba.max(axis=1)
    order = np.argsort(sure, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if part.size]
    gaps = [part.size * abs(right[part].mean() - sure[part].mean()) for part in bins]
    return {"error rate": 1.0 - right.mean(), "calibration error": sum(gaps) / len(y)}


def written(scores):
    """Scores as rows of the store: level, cell, size, parameter, kind, value.

    Raises
    ------
    ArithmeticError
        If one is not finite.
    """
    for name, value in scores.items():
        if not math.isfinite(value):
            raise ArithmeticError(f"the score {name} is {value}")
    return [[0, "", 0, name, "score", float(value)] for name, value in scores.items()]
