"""The model written slowly and plainly, straight from its definition: the oracle of the tests.

    p_G(y | x) = sum_i g_i(x) sum_{j in group i} g_{j|i}(x) N(y | eta_j' x + tau_j, nu_j),

softmax gates over the logits  a' x + b  (letter S),  -sqrt(||c (x - a)||^2 + eps^2) + b  (letter L; eps = 0 is the
model, eps > 0 smooths the kink at x = a)  or  sum_c a_c x_c^2 + b  (letter Q), where x are in gates the columns that
gates see, in means those that experts see. Nothing here shares code with the package.

Every function but the decimal one also works for complex parameters. Derivatives are therefore taken by the complex
step, f'(t) = Im f(t + ih) / h, which has no cancellation and, with h = 1e-30, no truncation error: they hold to
machine precision without a formula to get wrong. Second derivatives are complex steps of a score written expert by
expert, itself checked against the complex step of the log-likelihood in `test_likelihood`.
"""

import decimal
from types import SimpleNamespace

import numpy as np

from hmoe_stats import CategoricalMeasure, MixingMeasure

STEP = 1e-30
FIELDS = ("a", "b", "omega", "beta", "eta", "tau", "nu")


# -- the model --------------------------------------------------------------------------------------------------------
def groups(P):
    """The indices of the experts of each group."""
    ends = np.cumsum(P.k2)
    return [range(end - size, end) for size, end in zip(P.k2, ends, strict=True)]


def seen_by(P, X, which):
    """The columns of X that "gate"s or "expert"s see."""
    columns = getattr(P, f"{which}_columns", None)
    return X if columns is None else X[:, list(columns)]


def scale_of(P):
    """The Laplace scale on the columns that gates see."""
    scale = getattr(P, "laplace_scale", 1.0)
    return scale if np.ndim(scale) == 0 else seen_by(P, np.array(scale)[None], "gate")[0]


def logits(letter, X, slopes, intercepts, eps=0.0, scale=1.0):
    """(n, m) gate logits."""
    columns = []
    for slope, intercept in zip(slopes, intercepts, strict=True):
        if letter == "S":
            columns.append((X * slope).sum(axis=1) + intercept)
        elif letter == "Q":
            columns.append((X * X * slope).sum(axis=1) + intercept)
        else:
            columns.append(-np.sqrt(((scale * (X - slope)) ** 2).sum(axis=1) + eps**2) + intercept)
    return np.stack(columns, axis=1)


def log_sum_exp(terms):
    """log of the sum over axis 1 of exp(terms), shifted by the largest real part; (n,)"""
    top = terms.real.max(axis=1)
    return np.log(np.exp(terms - top[:, None]).sum(axis=1)) + top


def log_softmax(terms):
    """Terms minus their `log_sum_exp`, shifted first so that large terms keep their differences; (n, m)"""
    shifted = terms - terms.real.max(axis=1)[:, None]
    return shifted - log_sum_exp(shifted)[:, None]


def log_gates(P, X, eps=0.0):
    """Log gate probabilities of the groups (n, k1), and of the experts within their groups (n, K)."""
    X, scale = seen_by(P, X, "gate"), scale_of(P)
    first = log_softmax(logits(P.gating[0], X, P.a, P.b, eps, scale))
    second = []
    for leaves in groups(P):
        inside = logits(P.gating[1], X, [P.omega[j] for j in leaves], [P.beta[j] for j in leaves], eps, scale)
        second.append(log_softmax(inside))
    return first, np.concatenate(second, axis=1)


def log_gate_weights(P, X, eps=0.0):
    """(n, K) log of the product of the two gates of each expert."""
    first, second = log_gates(P, X, eps)
    return np.stack([first[:, i] + second[:, j] for i, leaves in enumerate(groups(P)) for j in leaves], axis=1)


def gate_weights(P, X, eps=0.0):
    """(n, K)"""
    return np.exp(log_gate_weights(P, X, eps))


def means(P, X):
    """(n, K) expert means."""
    X = seen_by(P, X, "expert")
    return np.stack([(X * eta).sum(axis=1) + tau for eta, tau in zip(P.eta, P.tau, strict=True)], axis=1)


def log_joint(P, X, y, eps=0.0):
    """(n, K) log of gate weight times expert density."""
    residual = y[:, None] - means(P, X)
    return log_gate_weights(P, X, eps) - 0.5 * np.log(2.0 * np.pi * P.nu) - residual**2 / (2.0 * P.nu)


def log_density(P, X, y, eps=0.0):
    """(n,)"""
    return log_sum_exp(log_joint(P, X, y, eps))


def log_likelihood(P, X, y, eps=0.0):
    """Scalar."""
    return log_density(P, X, y, eps).sum()


def responsibilities(P, X, y, eps=0.0):
    """(n, K)"""
    joint = log_joint(P, X, y, eps)
    return np.exp(joint - log_sum_exp(joint)[:, None])


def predict(P, X):
    """(n,) conditional mean."""
    return (gate_weights(P, X) * means(P, X)).sum(axis=1)


def conditional_variance(P, X):
    """(n,) conditional variance of y."""
    weights, mean = gate_weights(P, X), means(P, X)
    return (weights * (P.nu + mean**2)).sum(axis=1) - (weights * mean).sum(axis=1) ** 2


# -- derivatives in the unconstrained vector (a, b, omega, beta, eta, tau, log nu) ------------------------------------
def vector(P):
    """(p,)"""
    return np.concatenate([np.ravel(getattr(P, name)) for name in FIELDS[:-1]] + [np.log(P.nu)])


def at(P, v):
    """The parameters of the shape of `P` at the (possibly complex) vector `v`."""
    parts, here = {}, 0
    for name in FIELDS:
        shape = np.shape(getattr(P, name))
        size = int(np.prod(shape))
        parts[name] = v[here : here + size].reshape(shape)
        here += size
    parts["nu"] = np.exp(parts["nu"])
    view = {name: getattr(P, name) for name in ("laplace_scale", "gate_columns", "expert_columns") if hasattr(P, name)}
    return SimpleNamespace(gating=P.gating, k2=P.k2, **parts, **view)


def complex_step(function, v):
    """Derivatives of `function` in each entry of `v`, stacked along the first axis."""
    rows = []
    for k in range(v.size):
        w = v.astype(complex)
        w[k] += 1j * STEP
        rows.append(np.imag(function(w)) / STEP)
    return np.array(rows)


def score(P, X, y, eps=0.0):
    """(p,) gradient of the log-likelihood, by the complex step."""
    return complex_step(lambda v: log_likelihood(at(P, v), X, y, eps), vector(P))


def slope_derivative(letter, X, slope, eps=0.0, scale=1.0):
    """(n, d) derivative of a logit in its slope or centre; 0 at a centre that meets a data point."""
    if letter == "S":
        return X
    if letter == "Q":
        return X * X
    distance = np.sqrt(((scale * (X - slope)) ** 2).sum(axis=1) + eps**2)
    return scale**2 * (X - slope) / np.where(distance == 0, 1.0, distance)[:, None]


def score_by_sums(P, X, y, eps=0.0):
    """(p,) the score as posterior-weighted sums, expert by expert; complex parameters allowed."""
    first, second = (np.exp(part) for part in log_gates(P, X, eps))
    r, mean = responsibilities(P, X, y, eps), means(P, X)
    of_gates, of_experts, scale = seen_by(P, X, "gate"), seen_by(P, X, "expert"), scale_of(P)
    blocks = {name: np.zeros(np.shape(getattr(P, name)), dtype=r.dtype) for name in FIELDS}
    for i, leaves in enumerate(groups(P)):
        inside = r[:, leaves].sum(axis=1)
        surprise = inside - first[:, i]
        blocks["b"][i] = surprise.sum()
        blocks["a"][i] = surprise @ slope_derivative(P.gating[0], of_gates, P.a[i], eps, scale)
        for j in leaves:
            surprise = r[:, j] - inside * second[:, j]
            blocks["beta"][j] = surprise.sum()
            blocks["omega"][j] = surprise @ slope_derivative(P.gating[1], of_gates, P.omega[j], eps, scale)
            residual = y - mean[:, j]
            blocks["tau"][j] = (r[:, j] * residual / P.nu[j]).sum()
            blocks["eta"][j] = (r[:, j] * residual / P.nu[j]) @ of_experts
            blocks["nu"][j] = (r[:, j] * (residual**2 / P.nu[j] - 1.0) / 2.0).sum()
    return np.concatenate([blocks[name].ravel() for name in FIELDS])


def information(P, X, y, eps=0.0):
    """(p, p) minus the Hessian of the log-likelihood: minus the complex step of `score_by_sums`."""
    return -complex_step(lambda v: score_by_sums(at(P, v), X, y, eps), vector(P))


def central(function, v, step=1e-5):
    """Fourth-order central differences of `function` in each entry of `v`, stacked along the first axis."""
    rows = []
    for k in range(v.size):
        unit = np.zeros(v.size)
        unit[k] = step
        near = function(v + unit) - function(v - unit)
        rows.append((8.0 * near - (function(v + 2 * unit) - function(v - 2 * unit))) / (12.0 * step))
    return np.array(rows)


# -- errors of functions, on a grid of x and of y ---------------------------------------------------------------------
def functional_errors(P, P0, X, cell, weight=0.01, y=None):
    """{(level, cell, parameter): error} as means over the rows of `X`; fitted expert e is in the cell of cell[e].

    Routing is a sum over the grid `y`, and left out without one.
    """
    W, W0, mean, mean0 = gate_weights(P, X), gate_weights(P0, X), means(P, X), means(P0, X)
    out = {}
    for i, leaves in enumerate(groups(P0)):
        mine = [e for e in range(len(cell)) if cell[e] in leaves]
        out[1, str(i), "gate"] = np.abs(W[:, mine].sum(axis=1) - W0[:, leaves].sum(axis=1)).mean()
        for place, leaf in enumerate(leaves):
            name, mine = f"{i},{place}", [e for e in range(len(cell)) if cell[e] == leaf]
            out[2, name, "gate"] = np.abs(W[:, mine].sum(axis=1) - W0[:, leaf]).mean()
            if not mine:
                continue
            square = [(W[:, e] * (mean[:, e] - mean0[:, leaf]) ** 2).mean() for e in mine]
            mass = [W[:, e].mean() for e in mine]
            out[2, name, "expert"] = np.sqrt(sum(square) / sum(mass))
            worst = [np.sqrt(s / m) for s, m in zip(square, mass, strict=True) if m >= weight]
            out |= {(2, name, "expert_worst"): max(worst)} if worst else {}
            shift = (W[:, mine] * mean[:, mine]).sum(axis=1) / W[:, mine].sum(axis=1) - mean0[:, leaf]
            out[2, name, "cell_mean"] = np.sqrt((W0[:, leaf] * shift**2).mean())
    if y is not None:
        total = 0.0
        for x in X:
            row = np.tile(x, (len(y), 1))
            r, r0 = responsibilities(P, row, y), responsibilities(P0, row, y)
            gap = sum(np.abs(r[:, np.array(cell) == leaf].sum(axis=1) - r0[:, leaf]) for leaf in range(r0.shape[1]))
            total += (np.exp(log_density(P0, row, y)) * gap).sum() * (y[1] - y[0])
        out[0, "", "routing"] = total / len(X) / 2
    return out


# -- fifty digits, for logits and residuals whose exponentials no double can hold -------------------------------------
def log_density_decimal(P, X, y):
    """(n,) log-density in 50-digit decimal arithmetic with no shift before the exponentials."""
    D = decimal.Decimal
    with decimal.localcontext(decimal.Context(prec=50, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)):
        pi = D("3.14159265358979323846264338327950288419716939937510582")

        def dot(u, v):
            return sum((D(float(s)) * D(float(t)) for s, t in zip(u, v, strict=True)), D(0))

        def weight(letter, x, slope, intercept):
            distance = sum((D(float(s)) - D(float(t))) ** 2 for s, t in zip(x, slope, strict=True)).sqrt()
            squares = sum((D(float(s)) ** 2 * D(float(t)) for s, t in zip(x, slope, strict=True)), D(0))
            score = {"S": dot(x, slope), "L": -distance, "Q": squares}[letter]
            return (score + D(float(intercept))).exp()

        out = []
        for x, response in zip(X, y, strict=True):
            first = [weight(P.gating[0], x, slope, b) for slope, b in zip(P.a, P.b, strict=True)]
            total = D(0)
            for i, leaves in enumerate(groups(P)):
                second = [weight(P.gating[1], x, P.omega[j], P.beta[j]) for j in leaves]
                for j, gate in zip(leaves, second, strict=True):
                    nu, residual = D(float(P.nu[j])), D(float(response)) - dot(P.eta[j], x) - D(float(P.tau[j]))
                    normal = (-(residual**2) / (2 * nu)).exp() / (2 * pi * nu).sqrt()
                    total += first[i] / sum(first) * gate / sum(second) * normal
            out.append(float(total.ln()))
    return np.array(out)


# -- random measures, random data, and other writings of the same density ---------------------------------------------
def random_measure(rng, gating="SS", k2=(2, 3), d=1, **view):
    """A measure with overlapping experts and gates of moderate slope, centres inside [-2, 2]^d; with a `view` of x."""
    k1, K = len(k2), sum(k2)
    d_gate, d_expert = (len(view[name]) if name in view else d for name in ("gate_columns", "expert_columns"))

    def place(letter, m):
        spread, shape = {"S": 0.8, "Q": 0.4}, (m, d_gate)
        return rng.normal(0.0, spread[letter], shape) if letter in spread else rng.uniform(-2.0, 2.0, shape)

    return MixingMeasure(
        gating=gating, k2=k2,
        a=place(gating[0], k1), b=rng.normal(0.0, 0.5, k1),
        omega=place(gating[1], K), beta=rng.normal(0.0, 0.5, K),
        eta=rng.normal(0.0, 0.7, (K, d_expert)), tau=rng.normal(0.0, 2.0, K), nu=rng.uniform(0.2, 1.5, K),
        d=d, **view,
    )  # fmt: skip


def random_data(rng, G, n, low=-3.0, high=3.0):
    """X (n, d) uniform on [low, high]^d and y (n,) drawn from the measure, one row at a time."""
    X = rng.uniform(low, high, (n, G.d))
    weights, mean = gate_weights(G, X), means(G, X)
    leaf = [rng.choice(G.n_experts, p=row / row.sum()) for row in weights]
    return X, mean[np.arange(n), leaf] + np.sqrt(G.nu[leaf]) * rng.standard_normal(n)


def permuted(rng, G):
    """The same measure with its groups, and the experts inside each, written in another random order."""
    order = rng.permutation(G.k1)
    leaves = [rng.permutation(list(groups(G)[i])) for i in order]
    flat = np.concatenate(leaves)
    inside = {name: getattr(G, name)[flat] for name in FIELDS[2:]}
    return G.replace(k2=tuple(len(leaf) for leaf in leaves), a=G.a[order], b=G.b[order], **inside)


def rewritten(rng, G, support=None):
    """The same density in other gate parameters, labels kept.

    Every gate gets a random intercept shift, every other than a Laplace one a random translation of its slopes, and,
    where d = 1 and `support` = (low, high) is given, every Laplace centre on or beyond an edge is pushed further out
    at random, its intercept raised by as much: -|x - a| = -|x - a - t| + t for x <= high <= a.
    """

    def gate(letter, slopes, intercepts):
        intercepts = intercepts + rng.normal(0.0, 2.0)
        if letter in "SQ":
            return slopes + rng.normal(0.0, 2.0, slopes.shape[1]), intercepts
        slopes = slopes.copy()
        if support is not None and slopes.shape[1] == 1:
            push = rng.uniform(0.0, 3.0, len(slopes))
            push = np.where(slopes[:, 0] >= support[1], push, np.where(slopes[:, 0] <= support[0], -push, 0.0))
            slopes, intercepts = slopes + push[:, None], intercepts + np.abs(push)
        return slopes, intercepts

    a, b = gate(G.gating[0], G.a, G.b)
    second = [gate(G.gating[1], G.omega[list(leaves)], G.beta[list(leaves)]) for leaves in groups(G)]
    omega, beta = (np.concatenate(parts) for parts in zip(*second, strict=True))
    return G.replace(a=a, b=b, omega=omega, beta=beta)


# -- categorical experts ----------------------------------------------------------------------------------------------
CLASS_FIELDS = ("a", "b", "omega", "beta", "eta", "tau")


def class_log_probabilities(P, X):
    """(n, K, C) log-probabilities of the classes under each expert; the last class has logit 0."""
    X, out = seen_by(P, X, "expert"), []
    for eta, tau in zip(P.eta, P.tau, strict=True):
        logits = [(X * slope).sum(axis=1) + constant for slope, constant in zip(eta, tau, strict=True)]
        out.append(log_softmax(np.stack([*logits, 0.0 * logits[0]], axis=1)))
    return np.stack(out, axis=1)


def class_log_joint(P, X, codes, eps=0.0):
    """(n, K) log of gate weight times the probability of the class observed; codes are numbers of classes."""
    return log_gate_weights(P, X, eps) + class_log_probabilities(P, X)[np.arange(len(X)), :, codes]


def class_log_density(P, X, codes, eps=0.0):
    """(n,)"""
    return log_sum_exp(class_log_joint(P, X, codes, eps))


def class_probabilities(P, X):
    """(n, C)"""
    return (gate_weights(P, X)[:, :, None] * np.exp(class_log_probabilities(P, X))).sum(axis=1)


def class_at(P, v):
    """The parameters of the shape of `P` at the (possibly complex) vector `v`."""
    parts, here = {}, 0
    for name in CLASS_FIELDS:
        shape = np.shape(getattr(P, name))
        parts[name] = v[here : here + int(np.prod(shape))].reshape(shape)
        here += int(np.prod(shape))
    view = {name: getattr(P, name) for name in ("laplace_scale", "gate_columns", "expert_columns")}
    return SimpleNamespace(gating=P.gating, k2=P.k2, **parts, **view)


def class_score(P, X, codes, weights=1.0):
    """(p,) gradient of the weighted log-likelihood, by the complex step."""
    v = np.concatenate([np.ravel(getattr(P, name)) for name in CLASS_FIELDS])
    return complex_step(lambda v: (weights * class_log_density(class_at(P, v), X, codes)).sum(), v)


def class_information(P, X):
    """(p, p) expected information given X, sum_c dp_c dp_c' / p_c, with derivatives by the complex step."""
    v = np.concatenate([np.ravel(getattr(P, name)) for name in CLASS_FIELDS])
    slopes = complex_step(lambda v: class_probabilities(class_at(P, v), X), v)
    return np.einsum("knc,lnc->kl", slopes / class_probabilities(P, X), slopes)


def class_penalty(P, X, ridge):
    """The ridge of a fit that sees all columns, column by column and gate by gate."""
    of_gates, of_experts = ridge
    sd = X.std(axis=0)
    levels = [(P.gating[0], P.a)] + [(P.gating[1], P.omega[list(leaves)]) for leaves in groups(P)]
    total = 0.0
    for letter, slopes in levels:
        if len(slopes) > 1 and letter == "L":
            total += of_gates * (((slopes - X.mean(axis=0)) / sd) ** 2).sum()
        elif len(slopes) > 1:
            t = slopes * (X if letter == "S" else X**2).std(axis=0)
            total += of_gates * ((t - t.mean(axis=0)) ** 2).sum()
    for eta in P.eta:
        s = np.concatenate([eta, np.zeros((1, X.shape[1]))]) * sd
        total += of_experts * ((s - s.mean(axis=0)) ** 2).sum()
    return total / 2.0


def soft_regression(F, T, slopes, intercepts, rho, steps=2):
    """Newton steps on sum T log softmax(F slopes' + intercepts) less a ridge on slopes about their mean.

    F (n, d) are features, T (n, m) shares of the rows; the ridge is per standard deviation of the features.
    """
    (m, d), D = slopes.shape, np.column_stack([F, np.ones(len(F))])
    centring, unit = np.eye(m) - 1.0 / m, np.append(rho * F.var(axis=0), 0.0)
    W = np.column_stack([slopes, intercepts])
    for _ in range(steps):
        G = np.exp(log_softmax(D @ W.T))
        gradient = (T - T.sum(axis=1)[:, None] * G).T @ D - (centring @ W) * unit
        bend = T.sum(axis=1)[:, None, None] * (G[:, :, None] * np.eye(m) - G[:, :, None] * G[:, None, :])
        squares = (D[:, :, None] * D[:, None, :]).reshape(len(D), -1)
        H = np.tensordot(bend, squares, (0, 0)).reshape(m, m, d + 1, d + 1).transpose(0, 2, 1, 3)
        H = H.reshape(m * (d + 1), -1) + np.kron(centring, np.diag(unit))
        W = W + np.linalg.lstsq(H, gradient.ravel(), rcond=1e-12)[0].reshape(m, d + 1)
    return W[:, :d], W[:, d]


def class_em(P, X, codes, ridge, least=1e-10, most=3000):
    """Penalised EM of a measure without Laplace gates: (parameters, penalised log-likelihoods one a step).

    Each M-step is a few Newton steps of each gate's and each expert's own concave regression.
    """
    path, C = [], P.tau.shape[1] + 1
    features = [X if letter == "S" else X**2 for letter in P.gating]
    for _ in range(most):
        joint = class_log_joint(P, X, codes)
        path.append(log_sum_exp(joint).sum() - class_penalty(P, X, ridge))
        if len(path) > 1 and path[-1] - path[-2] < least:
            break
        r = np.exp(joint - log_sum_exp(joint)[:, None])
        new = {name: np.array(getattr(P, name)) for name in CLASS_FIELDS}
        R = np.stack([r[:, leaves].sum(axis=1) for leaves in groups(P)], axis=1)
        if len(P.k2) > 1:
            new["a"], new["b"] = soft_regression(features[0], R, P.a, P.b, ridge[0])
        for leaves in map(list, groups(P)):
            if len(leaves) > 1:
                parts = soft_regression(features[1], r[:, leaves], P.omega[leaves], P.beta[leaves], ridge[0])
                new["omega"][leaves], new["beta"][leaves] = parts
        for j in range(len(P.tau)):
            T = r[:, j, None] * np.eye(C)[codes]
            eta, tau = np.vstack([P.eta[j], 0.0 * X[:1]]), np.append(P.tau[j], 0.0)
            eta, tau = soft_regression(X, T, eta, tau, ridge[1])
            new["eta"][j], new["tau"][j] = eta[:-1] - eta[-1], tau[:-1] - tau[-1]
        P = P.replace(**new)
    return P, np.array(path)


def random_classes(rng, gating="SS", k2=(2, 3), d=1, n_classes=3, **view):
    """A `CategoricalMeasure` of moderate gates and experts, with a `view` of x."""
    G, K = random_measure(rng, gating, k2, d, **view), sum(k2)
    return CategoricalMeasure(
        gating=gating, k2=k2, a=G.a, b=G.b, omega=G.omega, beta=G.beta,
        eta=rng.normal(0.0, 1.0, (K, n_classes - 1, G.d_expert)), tau=rng.normal(0.0, 1.0, (K, n_classes - 1)),
        d=d, **view,
    )  # fmt: skip
