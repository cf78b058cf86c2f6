"""Numba kernels: gates, experts, log-likelihood, score, observed information, sums of the EM algorithm; and of classes.

Everything compiled lives in this one file, because Numba's disk cache is keyed by the file of a function and does not
see a change in another file. Kernels check nothing; `hmoe_stats.likelihood` does.

Data is worked through in blocks of `BLOCK` rows, one row of workspace an expert, so that inner loops run along
samples, vectorise, and stay in the first-level cache. For one sample write

    u_i = s1(x, a_i) + b_i,   v_j = s2(x, omega_j) + beta_j,   mu_j = eta_j' x + tau_j,   lam_j = log nu_j,
    g_i = softmax(u)_i,       h_j = softmax(v within the group)_j,
    r_j = responsibility of expert j,   R_i = sum of r_j over group i,
    z_j = (y - mu_j) / nu_j,  w_j = ((y - mu_j)^2 / nu_j - 1) / 2.

The score in these scalars is  u_i: R_i - g_i,  v_j: r_j - R_i h_j,  mu_j: r_j z_j,  lam_j: r_j w_j.  With S the score
of the level-2 scalars, the Hessian is minus the outer product of the vector (R, S) with itself plus

    u_i u_k     delta_ik (R_i - g_i) + g_i g_k
    u_i th_j    S_th              for th in {v, mu, lam} of an expert in group i, else 0
    v_j v_l     delta_jl (r_j - R_i h_j) - r_j h_l - h_j r_l + 2 R_i h_j h_l        (same group)
    v_l mu_j    r_j z_j (delta_jl - h_l),   v_l lam_j  likewise with w              (same group)
    mu_j mu_j   r_j (z_j^2 - 1/nu_j),  mu_j lam_j  r_j z_j (w_j - 1),  lam_j lam_j  r_j (w_j^2 - w_j - 1/2)

(differentiate log p = log sum_i exp(u_i + l_i) - log sum_i exp(u_i), with l_i the log-density of group i). Scalars are
linear in the parameters except under Laplace gates, whose curvature is added. Laplace distances are those of c (x - a),
entry by entry, with a scale c for each covariate. They may be smoothed, sqrt(||c (x - a)||^2 + eps^2); eps = 0 is the
model itself, with gradient 0 at x = a.

Gate codes (`hmoe_stats.gates`): 0 softmax, 1 Laplace, 2 quadratic monomial. They are asked in `_logit`, in `_features`
and its two companions, and in `_add_curvature`.

Arguments common to most functions: X (n, d) and y (n,) C-contiguous float64; then `parameters`, the tuple that
`MixingMeasure.kernel_args()` returns: kind1, kind2, off (k1 + 1,), a (k1, d), b (k1,), omega (K, d), beta (K,),
eta (K, d), tau (K,), nu (K,), scale (d,), that of Laplace distances; then eps. Inside kernels they are a `Model`: to
call a kernel with a tuple takes 1.2 us, with a tuple that has names 2.3.

Sums over rows may be weighted, row s counting w_s times. With weights all that is linear in the responsibilities is so
once these are multiplied by w; of the rest each term is. Values are not summed under weights: sums that may be large
need care, and are taken of `log_density`. `weights` are (n,) positive numbers or None, and for None kernels are
compiled without a trace of them: rows that count once pay nothing, and weighted ones are compiled at first use.

A first fit waits for all this to be compiled, which goes with the number of loops. Helpers are inlined: each call of
one is a copy, each type of an argument another. So arrays of parameters are read-only wherever kernels are called (see
`fitting.problem.read_only`), integers are no literals, and what needs the same run through gates and experts shares a
kernel. One call for several arrays, chosen at run time, would be less to compile still, and was 10 % slower for gates.
"""

import math
from collections import namedtuple

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic

from .compiling import Compiler, kernel

BLOCK = 256
SOFTMAX, QUADRATIC = 0, 2  # codes of gates; 1 is Laplace
ZERO = np.int64(0)  # where a helper takes an integer: for a literal 0 it would be compiled once more
WEIGHINGS = 2  # Newton steps on the weight of an expert that may be inserted
NEAR = 30.0  # eight sums of such exponentials can be multiplied, see `_sum_logs`
TOTAL, DENSITY, RESPONSIBILITIES, INSERTION, GATES = range(5)  # what `_evaluate` is asked for
LOG_2PI = math.log(2.0 * math.pi)

Model = namedtuple("Model", "kind1 kind2 off a b omega beta eta tau nu scale eps2")  # eps2 is eps squared
Gate = namedtuple("Gate", "kind slopes intercepts scale eps2")  # all of one level
Expert = namedtuple("Expert", "kind omega t eta tau nu scale eps2")  # one that may be inserted, t its intercept
Workspace = namedtuple("Workspace", "x y U G S1 V H S2 E top mass part")  # what `_forward` fills; part is to work in
Scores = namedtuple("Scores", "R Z W")  # what `_posteriors` fills
Totals = namedtuple("Totals", "score information F toward A B")  # of `_differentiate`, and what it takes them of
Places = namedtuple("Places", "v mu nu end")  # where scalars of experts begin in the inner order, see `_places`

# Reassociation lets sums vectorise. "nnan" and "ninf" are left out on purpose: NaN must stay NaN.
_OPTIONS = dict(
    nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"}, no_cfunc_wrapper=True,
    pipeline_class=Compiler,
)  # fmt: skip
# Helpers are inlined into the kernels that use them: shared as symbols, which of several equal but differently
# optimised copies runs would depend on what was compiled and what was loaded from the cache, and show in the last bit.
_INNER = _OPTIONS | dict(forceinline=True, no_cpython_wrapper=True)
# The exponential adds and subtracts a large constant to round; reassociation would cancel it.
_EXACT = _INNER | dict(fastmath={"contract", "nsz"})


@intrinsic
def _as_float(typingctx, bits):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def _as_bits(typingctx, x):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@njit(**_EXACT)
def _exp(x):
    """exp(x) for x <= 0, vectorisable: Cody-Waite reduction, polynomial of degree 12, exponent by bit pattern.

    Relative error 3e-16; 0 below -708; NaN stays NaN. Arguments up to 700 are right too.
    """
    z = -708.0 if x < -708.0 else x
    shifted = z * 1.4426950408889634 + 6755399441055744.0  # 1.5 * 2^52: the low bits now hold the nearest integer
    k = shifted - 6755399441055744.0
    r = z - k * 6.93147180369123816490e-01
    r = r - k * 1.90821492927058770002e-10
    p = 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    power = _as_float((_as_bits(shifted) + 1023) << 52)
    return 0.0 if x < -708.0 else p * power


if config.DISABLE_JIT:  # intrinsics exist in compiled code only
    _exp = math.exp


# Sums over samples stand in loops of their own, which write to no array: whether a loop that does may be vectorised is
# decided at run time, by where its arrays lie, and a sum would show that in its last bit.


# -- small pieces, each along one block of samples ---------------------------------------------------------------------


@njit(**_INNER)
def _dot(f, g, nb):
    total = 0.0
    for s in range(nb):
        total += f[s] * g[s]
    return total


@njit(**_INNER)
def _sum(f, nb):
    total = 0.0
    for s in range(nb):
        total += f[s]
    return total


@njit(**_INNER)
def _load(X, start, nb, x):
    """Copy rows start : start + nb of X into x (d, BLOCK), one covariate a row."""
    for c in range(X.shape[1]):
        row = x[c]
        for s in range(nb):
            row[s] = X[start + s, c]


@njit(**_EXACT)
def _gap(x, slope, c):
    """c (x - slope), rounded as it stands: c = 1 is no factor, not even in the last bit."""
    return c * (x - slope)


@njit(**_INNER)
def _logit(kind, x, nb, slope, intercept, scale, eps2, out):
    """Gate score of one component: out = s(x, slope) + intercept."""
    d = x.shape[0]
    if kind == SOFTMAX:
        row, w = x[0], slope[0]
        for s in range(nb):
            out[s] = intercept + w * row[s]
        for c in range(1, d):
            row, w = x[c], slope[c]
            for s in range(nb):
                out[s] += w * row[s]
    elif kind == QUADRATIC:
        for s in range(nb):
            out[s] = intercept
        for c in range(d):
            row, w = x[c], slope[c]
            for s in range(nb):
                out[s] += w * (row[s] * row[s])
    else:
        row, w, k = x[0], slope[0], scale[0]
        for s in range(nb):
            out[s] = eps2 + _gap(row[s], w, k) * _gap(row[s], w, k)
        for c in range(1, d):
            row, w, k = x[c], slope[c], scale[c]
            for s in range(nb):
                out[s] += _gap(row[s], w, k) * _gap(row[s], w, k)
        for s in range(nb):
            out[s] = intercept - math.sqrt(out[s])


@njit(**_INNER)
def _features(kind, x, nb, slope, scale, eps2, out):
    """Derivative of the score in the slope, (d, nb), unless it is x, into out; its last row holds Laplace distances."""
    d = x.shape[0]
    if kind == SOFTMAX:
        return
    if kind == QUADRATIC:
        for c in range(d):
            row, o = x[c], out[c]
            for s in range(nb):
                o[s] = row[s] * row[s]
        return
    length = out[d]
    for s in range(nb):
        length[s] = eps2
    for c in range(d):
        row, w, k = x[c], slope[c], scale[c]
        for s in range(nb):
            length[s] += _gap(row[s], w, k) * _gap(row[s], w, k)
    for s in range(nb):
        length[s] = math.sqrt(length[s])
    for c in range(d):
        row, w, k, o = x[c], slope[c], scale[c], out[c]
        for s in range(nb):
            # at the kink itself the numerator is 0: any positive length gives the subgradient 0
            o[s] = k * (_gap(row[s], w, k) / (length[s] if length[s] > 0.0 else 1.0))


@njit(**_INNER)
def _room(kind, m):
    """How many arrays `_features` fills for a gate of m components."""
    return 0 if kind == SOFTMAX else m


@njit(**_INNER)
def _seen(kind, x, filled, i):
    """What the slopes of a gate multiply, to first order: x itself, or what `_features` filled, filled[i]."""
    return x if kind == SOFTMAX else filled[i]


@njit(**_INNER)
def _gate(gate, x, nb, lo, hi, logits, weights, total, top):
    """Logits of components lo : hi less a common number, exponentials `weights` of these, and their sum `total`.

    The number is the logit of the first component, which saves its exponential; where a row of the block has logits
    further than `NEAR` apart it is the largest one, so that nothing overflows.
    """
    one, g = logits[lo], weights[lo]
    if hi - lo > 1:
        for j in range(lo, hi):
            _logit(gate.kind, x, nb, gate.slopes[j], gate.intercepts[j], gate.scale, gate.eps2, logits[j])
        for s in range(nb):
            top[s] = 0.0
        for j in range(lo + 1, hi):
            row = logits[j]
            for s in range(nb):
                row[s] -= one[s]
                top[s] = max(top[s], abs(row[s]))
    for s in range(nb):
        one[s] = 0.0
        g[s] = 1.0
        total[s] = 1.0
    if hi - lo == 1:
        return
    far = 0.0
    for s in range(nb):
        far += 0.0 if top[s] <= NEAR else 1.0
    if far > 0.0:
        for s in range(nb):
            top[s] = 0.0
        for j in range(lo + 1, hi):
            row = logits[j]
            for s in range(nb):
                top[s] = max(top[s], row[s])
        for s in range(nb):
            one[s] = -top[s]
            total[s] = 0.0
        for j in range(lo + 1, hi):
            row = logits[j]
            for s in range(nb):
                row[s] -= top[s]
    for j in range(lo if far > 0.0 else lo + 1, hi):
        row, g = logits[j], weights[j]
        for s in range(nb):
            g[s] = _exp(row[s])
            total[s] += g[s]


@njit(**_INNER)
def _mean(x, nb, slope, intercept, out):
    row, w = x[0], slope[0]
    for s in range(nb):
        out[s] = intercept + w * row[s]
    for c in range(1, x.shape[0]):
        row, w = x[c], slope[c]
        for s in range(nb):
            out[s] += w * row[s]


@njit(**_INNER)
def _forward(X, y, start, model, work, wanted):
    """Load rows start : start + BLOCK and run them through gates and experts; return how many rows there were.

    On return, with M = top: weights G (k1, nb) over S1 and H (K, nb) over S2 (k1, nb) are the gates, E_j = exp(t_j - M)
    with t_j the log of expert j's term before the gates' normalisation, mass = sum_i sum_j E_j / S2_i, and
    log p = M + log(mass / S1) - log(2 pi) / 2,  r_j = E_j / (S2_i mass).
    """
    off, eta, tau, nu = model.off, model.eta, model.tau, model.nu
    x, yb, U, G, S1, V, H, S2, E, top, mass, part = work
    k1 = off.size - 1
    nb = min(BLOCK, X.shape[0] - start)
    _load(X, start, nb, x)
    _gate(Gate(model.kind1, model.a, model.b, model.scale, model.eps2), x, nb, ZERO, k1, U, G, S1, top)
    for i in range(k1):
        gate = Gate(model.kind2, model.omega, model.beta, model.scale, model.eps2)
        _gate(gate, x, nb, off[i], off[i + 1], V, H, S2[i], top)
    if wanted == GATES:
        return nb
    for s in range(nb):
        yb[s] = y[start + s]
    for i in range(k1):
        u = U[i]
        for j in range(off[i], off[i + 1]):
            e, v = E[j], V[j]
            _mean(x, nb, eta[j], tau[j], e)
            precision, constant = 0.5 / nu[j], -0.5 * math.log(nu[j])
            for s in range(nb):
                q = (yb[s] - e[s]) * (yb[s] - e[s]) * precision
                q = 1e300 if q > 1e300 else q  # so that no two terms are both infinite
                e[s] = constant - q + v[s] + u[s]
            if j == 0:
                for s in range(nb):
                    top[s] = e[s]
            else:
                for s in range(nb):
                    top[s] = max(top[s], e[s])
    for s in range(nb):
        mass[s] = 0.0
    for i in range(k1):
        for s in range(nb):
            part[s] = 0.0
        for j in range(off[i], off[i + 1]):
            e = E[j]
            for s in range(nb):
                e[s] = _exp(e[s] - top[s])
                part[s] += e[s]
        total = S2[i]
        for s in range(nb):
            mass[s] += part[s] / total[s]
    return nb


@njit(**_INNER)
def _sum_logs(f, nb):
    """sum_s log f: one logarithm for every eight samples, of their product."""
    total = 0.0
    step = nb // 8
    for s in range(step):
        product = f[s] * f[s + step] * f[s + 2 * step] * f[s + 3 * step]
        product *= f[s + 4 * step] * f[s + 5 * step] * f[s + 6 * step] * f[s + 7 * step]
        total += math.log(product)
    for s in range(8 * step, nb):
        total += math.log(f[s])
    return total


@njit(**_INNER)
def _dot_logs(f, weights, start, nb):
    """sum_s w_s log f_s."""
    total = 0.0
    for s in range(nb):
        total += weights[start + s] * math.log(f[s])
    return total


@njit(**_INNER)
def _sum_log(nb, work):
    """sum_s top + log(mass / S1)."""
    top, mass, S1, part = work.top, work.mass, work.S1, work.part
    for s in range(nb):
        part[s] = mass[s] / S1[s]
    return _sum(top, nb) + _sum_logs(part, nb)


@njit(**_INNER)
def _workspace(model, d):
    """Of one array, the rows for x (d of them), y and the rest, as `_forward` fills them."""
    k1, K = model.off.size - 1, model.tau.size
    rows = np.empty((d + 3 * k1 + 3 * K + 5, BLOCK))
    y = d
    U = y + 1
    G = U + k1
    S2 = G + k1
    S1 = S2 + k1
    V = S1 + 1
    H = V + K
    E = H + K
    top = E + K
    return Workspace(
        rows[:y],
        rows[y],
        rows[U:G],
        rows[G:S2],
        rows[S1],
        rows[V:H],
        rows[H:E],
        rows[S2:S1],
        rows[E:top],
        rows[top],
        rows[top + 1],
        rows[top + 2],
    )


# -- what the library calls -------------------------------------------------------------------------------------------


@kernel(**_OPTIONS)
def _evaluate(X, y, parameters, eps, wanted, i):
    """Log-likelihood, if asked for alone or with responsibilities, and what is wanted of each row, one row a column.

    One function for all that needs one run through gates and experts, as that is most of what there is to compile.
    """
    n, d = X.shape
    model = Model(*parameters, eps * eps)
    off, k1, K = model.off, model.off.size - 1, model.tau.size
    work = _workspace(model, d)
    x, _, _, G, S1, V, H, S2, E, top, mass, part = work
    height, width = 0, n
    if wanted == GATES:
        height, width = n, K
    elif wanted != TOTAL:
        height = 1 if wanted == DENSITY else K if wanted == RESPONSIBILITIES else 4
    out = np.empty((height, width))
    total = 0.0
    for start in range(0, n, BLOCK):
        nb = _forward(X, y, start, model, work, wanted)
        if wanted == TOTAL or wanted == RESPONSIBILITIES:
            total += _sum_log(nb, work)
        if wanted == DENSITY:
            o = out[0]
            for s in range(nb):
                o[start + s] = top[s] + math.log(mass[s] / S1[s]) - 0.5 * LOG_2PI
        elif wanted == RESPONSIBILITIES:
            for g in range(k1):
                share = S2[g]
                for j in range(off[g], off[g + 1]):
                    e, o = E[j], out[j]
                    for s in range(nb):
                        o[start + s] = e[s] / (share[s] * mass[s])
        elif wanted == GATES:
            for g in range(k1):
                u, sums = G[g], S2[g]
                for j in range(off[g], off[g + 1]):
                    h = H[j]
                    for s in range(nb):
                        part[s] = u[s] / S1[s] * (h[s] / sums[s])
                    for s in range(nb):
                        out[start + s, j] = part[s]
        elif wanted == INSERTION:
            log_sum, log_p, gate, rest = out[0], out[1], out[2], out[3]
            # V holds logits less a common number, which one logit gives back
            _logit(model.kind2, x, nb, model.omega[off[i]], model.beta[off[i]], model.scale, model.eps2, part)
            for s in range(nb):
                log_sum[start + s] = part[s] + math.log(S2[i, s]) - V[off[i], s]
                log_p[start + s] = top[s] + math.log(mass[s] / S1[s])
                gate[start + s] = G[i, s] / S1[s]
                rest[start + s] = 1.0
            for j in range(off[i], off[i + 1]):
                for s in range(nb):
                    rest[start + s] -= E[j, s] / (S2[i, s] * mass[s])
            for s in range(nb):
                rest[start + s] = max(rest[start + s], 0.0)
    return total - 0.5 * n * LOG_2PI, out


def log_likelihood(X, y, parameters, eps, weights=None):
    """Sum over rows of log p_G(y | x)."""
    if weights is None:
        return _evaluate(X, y, parameters, eps, TOTAL, 0)[0]
    return float(np.sum(weights * log_density(X, y, parameters, eps)))  # pairwise


def log_density(X, y, parameters, eps):
    """log p_G(y | x) of each row, (n,)."""
    return _evaluate(X, y, parameters, eps, DENSITY, 0)[1][0]


def responsibilities(X, y, parameters, eps):
    """The E-step: log-likelihood, and r_j of each expert and row as (K, n), one expert a row."""
    return _evaluate(X, y, parameters, eps, RESPONSIBILITIES, 0)


def insertion_base(X, y, parameters, eps, i):
    """What adding an expert to group i takes of each row (4, n): log sum_l exp(v_l) of the group, log p, g_i, 1 - R_i.

    An expert with gate score t and density N turns p into p_new, all else held:

        p_new / p = (1 + A) / (1 + B),   B = exp(t) / sum_l exp(v_l),   A = B (g_i N / p + 1 - R_i).
    """
    return _evaluate(X, y, parameters, eps, INSERTION, i)[1]


def gate_weights(X, parameters, eps=0.0):
    """g_i(x) h_j(x) of each row and expert, (n, K)."""
    return _evaluate(X, X.reshape(-1), parameters, eps, GATES, 0)[1]


@njit(**_INNER)
def _weigh(f, weights, start, nb):
    """Multiply f by the weights of rows start : start + nb, where there are weights."""
    if weights is not None:
        for s in range(nb):
            f[s] *= weights[start + s]


@njit(**_INNER)
def _posterior_gates(start, nb, off, weights, work, R):
    """Turn E into r, G and H into gates, and fill R (k1, nb), the groups' sums of r; all but H times the weights."""
    G, S1, H, S2, E, mass = work.G, work.S1, work.H, work.S2, work.E, work.mass
    for i in range(off.size - 1):
        g, total, sums = G[i], R[i], S2[i]
        for s in range(nb):
            g[s] /= S1[s]
            total[s] = 0.0
        _weigh(g, weights, start, nb)
        for j in range(off[i], off[i + 1]):
            r, h = E[j], H[j]
            _weigh(r, weights, start, nb)
            for s in range(nb):
                r[s] /= sums[s] * mass[s]
                h[s] /= sums[s]
                total[s] += r[s]


@njit(**_INNER)
def _posteriors(start, nb, model, weights, work, scores):
    """Turn E into r, G and H into gates; fill R (k1, nb), Z = r z and W = r w (K, nb).

    All but H times the weights.
    """
    E, Z, W, y = work.E, scores.Z, scores.W, work.y
    _posterior_gates(start, nb, model.off, weights, work, scores.R)
    for j in range(model.tau.size):
        r, z, w = E[j], Z[j], W[j]
        _mean(work.x, nb, model.eta[j], model.tau[j], z)
        precision = 1.0 / model.nu[j]
        for s in range(nb):
            res = y[s] - z[s]
            z[s] = r[s] * res * precision
            w[s] = 0.5 * (z[s] * res - r[s])


@njit(**_INNER)
def _add_score(w, phi, nb, first, d, out):
    """out[first : first + d + 1] += sum over samples of w times (features, 1)."""
    for c in range(d):
        out[first + c] += _dot(w, phi[c], nb)
    out[first + d] += _sum(w, nb)


@njit(**_INNER)
def _add_gate_scores(nb, model, work, R, toward, out):
    """Add the score of all gates to the first entries of `out`, a gate's (slopes, constant) together."""
    off, x, G, E, H, part, d = model.off, work.x, work.G, work.E, work.H, work.part, work.x.shape[0]
    k1 = off.size - 1
    for i in range(k1):
        g, sums = G[i], R[i]
        if k1 > 1:
            for s in range(nb):
                part[s] = sums[s] - g[s]
            _features(model.kind1, x, nb, model.a[i], model.scale, model.eps2, toward[0])
            _add_score(part, _seen(model.kind1, x, toward, ZERO), nb, i * (d + 1), d, out)
        for j in range(off[i], off[i + 1]):
            r, h = E[j], H[j]
            if off[i + 1] - off[i] > 1:
                for s in range(nb):
                    part[s] = r[s] - sums[s] * h[s]
                _features(model.kind2, x, nb, model.omega[j], model.scale, model.eps2, toward[0])
                _add_score(part, _seen(model.kind2, x, toward, ZERO), nb, (k1 + j) * (d + 1), d, out)


@njit(**_INNER)
def _scores(model):
    k1, K = model.off.size - 1, model.tau.size
    return Scores(np.empty((k1, BLOCK)), np.empty((K, BLOCK)), np.empty((K, BLOCK)))


@njit(**_INNER)
def _places(model, d):
    """Where v, mu, log nu of the first expert stand in the inner order, scalar by scalar, and the number of entries."""
    k1, K = model.off.size - 1, model.tau.size
    v = k1 * (d + 1)
    mu = v + K * (d + 1)
    nu = mu + K * (d + 1)
    return Places(v, mu, nu, nu + K)


@njit(**_INNER)
def _public_order(k1, K, lines, rest, d):
    """Where entry k of the inner order, scalar by scalar with (slopes, constant) together, sits in `to_vector`.

    Scalars are those of the gates, then so many lines of experts, and the rest, which have no slopes.
    """
    order = np.empty((k1 + K + lines) * (d + 1) + rest, np.int64)
    k = base = ZERO
    for block in range(3):
        count = k1 if block == 0 else K if block == 1 else lines
        for i in range(count):
            for c in range(d):
                order[k + c] = base + i * d + c
            order[k + d] = base + count * d + i
            k += d + 1
        base += count * (d + 1)
    for j in range(rest):
        order[k + j] = base + j
    return order


@kernel(**_OPTIONS)
def _score(X, y, parameters, eps, weights):
    n, d = X.shape
    model = Model(*parameters, eps * eps)
    k1, K = model.off.size - 1, model.tau.size
    work, scores, at = _workspace(model, d), _scores(model), _places(model, d)
    x, R, Z, W = work.x, scores.R, scores.Z, scores.W
    toward = np.empty((1, d + 1, BLOCK))
    inner = np.zeros(at.end)
    total = 0.0
    for start in range(0, n, BLOCK):
        nb = _forward(X, y, start, model, work, ZERO)
        total += _sum_log(nb, work)
        _posteriors(start, nb, model, weights, work, scores)
        _add_gate_scores(nb, model, work, R, toward, inner)
        for j in range(K):
            _add_score(Z[j], x, nb, at.mu + j * (d + 1), d, inner)
            inner[at.nu + j] += _sum(W[j], nb)
    out = np.empty(inner.size)
    out[_public_order(k1, K, K, K, d)] = inner
    return total - 0.5 * n * LOG_2PI, out


def score(X, y, parameters, eps, weights=None):
    """Log-likelihood, of unweighted rows only, and its gradient in `to_vector` order, (p,)."""
    value, gradient = _score(X, y, parameters, eps, weights)
    return value if weights is None else np.nan, gradient


# -- observed information ---------------------------------------------------------------------------------------------


@njit(**_INNER)
def _fill(w, phi, nb, first, d, F):
    """Rows first : first + d + 1 of F are w times (features, 1)."""
    for c in range(d):
        f, o = phi[c], F[first + c]
        for s in range(nb):
            o[s] = w[s] * f[s]
    o = F[first + d]
    for s in range(nb):
        o[s] = w[s]


@njit(**_INNER)
def _add_outer(F, p, nb, H):
    """H += F F' on the lower triangle, in tiles of 4 x 4; F has its rows padded to a multiple of 4."""
    for i in range(0, p, 4):
        f0, f1, f2, f3 = F[i], F[i + 1], F[i + 2], F[i + 3]
        for j in range(0, i + 1, 4):
            e0, e1, e2, e3 = F[j], F[j + 1], F[j + 2], F[j + 3]
            h00 = h01 = h02 = h03 = h10 = h11 = h12 = h13 = 0.0
            h20 = h21 = h22 = h23 = h30 = h31 = h32 = h33 = 0.0
            for s in range(nb):
                h00 += f0[s] * e0[s]
                h01 += f0[s] * e1[s]
                h02 += f0[s] * e2[s]
                h03 += f0[s] * e3[s]
                h10 += f1[s] * e0[s]
                h11 += f1[s] * e1[s]
                h12 += f1[s] * e2[s]
                h13 += f1[s] * e3[s]
                h20 += f2[s] * e0[s]
                h21 += f2[s] * e1[s]
                h22 += f2[s] * e2[s]
                h23 += f2[s] * e3[s]
                h30 += f3[s] * e0[s]
                h31 += f3[s] * e1[s]
                h32 += f3[s] * e2[s]
                h33 += f3[s] * e3[s]
            H[i, j] += h00
            H[i, j + 1] += h01
            H[i, j + 2] += h02
            H[i, j + 3] += h03
            H[i + 1, j] += h10
            H[i + 1, j + 1] += h11
            H[i + 1, j + 2] += h12
            H[i + 1, j + 3] += h13
            H[i + 2, j] += h20
            H[i + 2, j + 1] += h21
            H[i + 2, j + 2] += h22
            H[i + 2, j + 3] += h23
            H[i + 3, j] += h30
            H[i + 3, j + 1] += h31
            H[i + 3, j + 2] += h32
            H[i + 3, j + 3] += h33


@njit(**_INNER)
def _add_pair(w, phi, psi, nb, d, row, col, H, tmp):
    """H[row.., col..] -= sum of w (phi, 1)(psi, 1)'; entries above the diagonal are never read."""
    for c in range(d + 1):
        left = w
        if c < d:
            f = phi[c]
            for s in range(nb):
                tmp[s] = w[s] * f[s]
            left = tmp
        last = min(d, row + c - col)
        for e in range(last + 1):
            H[row + c, col + e] -= _dot(left, psi[e], nb) if e < d else _sum(left, nb)


@njit(**_INNER)
def _add_row(w, psi, nb, d, row, col, H):
    """As `_add_pair`, for a row scalar without features (log nu)."""
    for e in range(d):
        H[row, col + e] -= _dot(w, psi[e], nb)
    H[row, col + d] -= _sum(w, nb)


@njit(**_INNER)
def _add_curvature(kind, w, toward, nb, d, row, scale, H, tmp):
    """H -= sum of w times the second derivative of the score in the slope: (u u' - c^2 I) / length of Laplace ones."""
    if kind == SOFTMAX or kind == QUADRATIC:
        return
    length = toward[d]
    for c in range(d):
        u = toward[c]
        for s in range(nb):
            tmp[s] = w[s] / length[s] if length[s] > 0.0 else 0.0
        H[row + c, row + c] += scale[c] * scale[c] * _sum(tmp, nb)
        for s in range(nb):
            tmp[s] *= u[s]
        for e in range(c + 1):
            H[row + c, row + e] -= _dot(tmp, toward[e], nb)


@njit(**_INNER)
def _expert_terms(x, y, nb, eta, tau, nu, r, mu_mu, lam_mu, lam_lam):
    """Second derivatives of one expert's log-density, sample by sample and weighted by r."""
    res = mu_mu
    _mean(x, nb, eta, tau, res)
    precision = 1.0 / nu
    for s in range(nb):
        res[s] = y[s] - res[s]
        q = res[s] * res[s] * precision
        w = 0.5 * (q - 1.0)
        lam_lam[s] = r[s] * (w * w - w - 0.5)
    for s in range(nb):
        q = res[s] * res[s] * precision
        lam_mu[s] = r[s] * res[s] * precision * (0.5 * q - 1.5)
    for s in range(nb):
        mu_mu[s] = r[s] * precision * (res[s] * res[s] * precision - 1.0)


@njit(**_INNER)
def _fill_scores(nb, model, work, scores, at, totals, by_row):
    """Rows of F, one an entry of the inner order: by row the score (R - g, S), else (R, S), and R - g is summed."""
    off, x, G, H, E, part, R, Z, W = model.off, work.x, work.G, work.H, work.E, work.part, scores.R, scores.Z, scores.W
    F, toward = totals.F, totals.toward
    d, k1 = x.shape[0], off.size - 1
    shift = _room(model.kind1, k1)
    for i in range(k1):
        g, sums = G[i], R[i]
        if k1 > 1:
            phi = _seen(model.kind1, x, toward, i)
            for s in range(nb):
                part[s] = sums[s] - g[s]
            _fill(part if by_row else sums, phi, nb, i * (d + 1), d, F)
            if not by_row:
                _add_score(part, phi, nb, i * (d + 1), d, totals.score)
        for j in range(off[i], off[i + 1]):
            if off[i + 1] - off[i] > 1:
                r, h = E[j], H[j]
                for s in range(nb):
                    part[s] = r[s] - sums[s] * h[s]
                _fill(part, _seen(model.kind2, x, toward, shift + j), nb, at.v + j * (d + 1), d, F)
            _fill(Z[j], x, nb, at.mu + j * (d + 1), d, F)
            w, row = W[j], F[at.nu + j]
            for s in range(nb):
                row[s] = w[s]


@njit(**_INNER)
def _add_squares(start, nb, weights, p, totals):
    """The outer product of (R, S) with itself, weighted: of the p rows of F, which are weighted already, F F' / w."""
    F, root = totals.F, totals.A
    if weights is not None:
        for s in range(nb):
            root[s] = math.sqrt(weights[start + s])
        for k in range(p):
            f = F[k]
            for s in range(nb):
                f[s] /= root[s]
    _add_outer(F, len(F), nb, totals.information)
    if weights is not None:
        for k in range(p):
            f = F[k]
            for s in range(nb):
                f[s] *= root[s]


@njit(**_INNER)
def _add_first_gate(nb, model, work, at, totals):
    """u_i th: each score of level 1 with everything of its own group, which S in F is the term of."""
    off, x, F, toward, I = model.off, work.x, totals.F, totals.toward, totals.information  # noqa: E741
    d, k1 = x.shape[0], off.size - 1
    for i in range(k1 if k1 > 1 else 0):
        phi = _seen(model.kind1, x, toward, i)
        for j in range(off[i], off[i + 1]):
            for block in range(2):
                k0 = (at.v if block == 0 else at.mu) + j * (d + 1)
                if block == 1 or off[i + 1] - off[i] > 1:
                    for k in range(k0, k0 + d + 1):
                        _add_row(F[k], phi, nb, d, k, i * (d + 1), I)
            _add_row(F[at.nu + j], phi, nb, d, at.nu + j, i * (d + 1), I)


@njit(**_INNER)
def _add_experts(nb, model, work, scores, at, totals):
    """Mean and variance of each expert, with the gate of its group and, last, with each other."""
    off, eta, tau, nu, x = model.off, model.eta, model.tau, model.nu, work.x
    H, E, part, Z, W, A, B = work.H, work.E, work.part, scores.Z, scores.W, totals.A, totals.B
    toward, I = totals.toward, totals.information  # noqa: E741
    d, k1 = x.shape[0], off.size - 1
    shift = _room(model.kind1, k1)
    for i in range(k1):
        lo, hi = off[i], off[i + 1]
        for j in range(lo, hi):
            z, w = Z[j], W[j]
            for k in range(lo, hi if hi - lo > 1 else lo):
                psi, col = _seen(model.kind2, x, toward, shift + k), at.v + k * (d + 1)
                hk = H[k]
                own = 1.0 if k == j else 0.0
                for s in range(nb):
                    part[s] = z[s] * (own - hk[s])
                    B[s] = w[s] * (own - hk[s])
                _add_pair(part, x, psi, nb, d, at.mu + j * (d + 1), col, I, A)
                _add_row(B, psi, nb, d, at.nu + j, col, I)
            _expert_terms(x, work.y, nb, eta[j], tau[j], nu[j], E[j], part, B, A)
            I[at.nu + j, at.nu + j] -= _sum(A, nb)
            col = at.mu + j * (d + 1)
            _add_pair(part, x, x, nb, d, col, col, I, A)
            _add_row(B, x, nb, d, at.nu + j, col, I)


@kernel(**_OPTIONS)
def _differentiate(X, y, parameters, eps, weights, by_row):
    """Log-likelihood, score, observed information; or 0, and log p and weighted score of each row.

    With weights the log-likelihood is left to the caller, who gets log p of each row, too.
    """
    n, d = X.shape
    model = Model(*parameters, eps * eps)
    k1, K = model.off.size - 1, model.tau.size
    work, scores, at = _workspace(model, d), _scores(model), _places(model, d)
    n_toward1, n_toward2 = _room(model.kind1, k1), _room(model.kind2, K)
    toward = np.empty((n_toward1 + n_toward2, d + 1, BLOCK))
    p = at.end
    padded = (p + 3) // 4 * 4
    F, A, B = np.zeros((padded, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    inner, I = np.zeros(p), np.zeros((padded, padded))  # noqa: E741 - of the information, the lower triangle
    totals = Totals(inner, I, F, toward, A, B)
    order = _public_order(k1, K, K, K, d)
    off, (x, _, _, G, S1, _, H, _, E, top, mass, part), R = model.off, work, scores.R
    each = by_row or weights is not None
    log_p, grad, out = np.empty(n if each else 0), np.empty(p), np.empty((p, n if by_row else p))
    total = 0.0
    for start in range(0, n, BLOCK):
        nb = _forward(X, y, start, model, work, ZERO)
        if each:
            for s in range(nb):
                log_p[start + s] = top[s] + math.log(mass[s] / S1[s]) - 0.5 * LOG_2PI
        else:
            total += _sum_log(nb, work)
        _posteriors(start, nb, model, weights, work, scores)
        for i in range(n_toward1 + n_toward2):
            kind, slope = (model.kind1, model.a[i]) if i < n_toward1 else (model.kind2, model.omega[i - n_toward1])
            _features(kind, x, nb, slope, model.scale, model.eps2, toward[i])
        _fill_scores(nb, model, work, scores, at, totals, by_row)
        if by_row:
            for k in range(p):
                f, o = F[k], out[order[k]]
                for s in range(nb):
                    o[start + s] = f[s]
            continue
        for k in range(at.v, p):
            inner[k] += _sum(F[k], nb)
        _add_squares(start, nb, weights, p, totals)
        _add_first_gate(nb, model, work, at, totals)
        # scores of each gate with each other: gate 0 is that of level 1, gate i + 1 that of group i; in a helper, sums
        # that go into part are compiled in another order, which shows in the last bit
        for gate in range(k1 + 1):
            lo, hi, kind, first, shift = 0, k1, model.kind1, 0, 0
            if gate > 0:
                lo, hi, kind, first, shift = off[gate - 1], off[gate], model.kind2, at.v, n_toward1
            for j in range(lo, hi if hi - lo > 1 else lo):
                phi = _seen(kind, x, toward, shift + j)
                for k in range(lo, j + 1):
                    if gate == 0:
                        g, other = G[j], G[k]
                        for s in range(nb):
                            part[s] = g[s] * other[s]
                        if weights is not None:
                            for s in range(nb):
                                part[s] /= weights[start + s]
                    else:
                        sums, r, h, rk, hk = R[gate - 1], E[j], H[j], E[k], H[k]
                        for s in range(nb):
                            part[s] = 2.0 * sums[s] * h[s] * hk[s] - r[s] * hk[s] - h[s] * rk[s]
                    if k == j:
                        if gate == 0:
                            sums, g = R[j], G[j]
                            for s in range(nb):
                                part[s] += sums[s] - g[s]
                                B[s] = sums[s] - g[s]
                        else:
                            sums, r, h = R[gate - 1], E[j], H[j]
                            for s in range(nb):
                                part[s] += r[s] - sums[s] * h[s]
                                B[s] = r[s] - sums[s] * h[s]
                    psi = _seen(kind, x, toward, shift + k)
                    _add_pair(part, phi, psi, nb, d, first + j * (d + 1), first + k * (d + 1), I, A)
                _add_curvature(kind, B, phi, nb, d, first + j * (d + 1), model.scale, I, A)
        _add_experts(nb, model, work, scores, at, totals)
    if by_row:
        return 0.0, grad, out, log_p
    for k in range(p):
        grad[order[k]] = inner[k]
        for e in range(k + 1):
            out[order[k], order[e]] = I[k, e]
            out[order[e], order[k]] = I[k, e]
    return total - 0.5 * n * LOG_2PI, grad, out, log_p


def information(X, y, parameters, eps, weights=None):
    """Log-likelihood, score (p,) and observed information, minus the Hessian, (p, p), both in `to_vector` order.

    Under weights log p of each row, (n,), stands in the place of the log-likelihood: its sum may need a reference.
    """
    value, gradient, out, log_p = _differentiate(X, y, parameters, eps, weights, False)
    return value if weights is None else log_p, gradient, out


def row_scores(X, y, parameters, eps, weights=None):
    """log p_G(y | x) of each row, (n,), and w times its gradient, one parameter of `to_vector` a row, (p, n)."""
    _, _, out, log_p = _differentiate(X, y, parameters, eps, weights, True)
    return log_p, out


# -- the M-step of EM -------------------------------------------------------------------------------------------------


@kernel(**_OPTIONS)
def expert_sums(X, y, r):
    """Weighted moments of each expert, weights r (K, n): of (x, 1)(x, 1)' (K, d+1, d+1) and of (x, 1) y (K, d+1)."""
    n, d = X.shape
    K = r.shape[0]
    xx, xy = np.zeros((K, d + 1, d + 1)), np.zeros((K, d + 1))
    x, yb, tmp = np.ones((d + 1, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, n, BLOCK):
        nb = min(BLOCK, n - start)
        _load(X, start, nb, x)
        for s in range(nb):
            yb[s] = y[start + s]
        for j in range(K):
            weight = r[j]
            for c in range(d + 1):
                f = x[c]
                for s in range(nb):
                    tmp[s] = weight[start + s] * f[s]
                xy[j, c] += _dot(tmp, yb, nb)
                for e in range(c + 1):
                    xx[j, c, e] += _dot(tmp, x[e], nb)
    for j in range(K):
        for c in range(d + 1):
            for e in range(c):
                xx[j, e, c] = xx[j, c, e]
    return xx, xy


@kernel(**_OPTIONS)
def residual_sums(X, y, r, eta, tau):
    """sum over rows of r_j (y - eta_j' x - tau_j)^2, (K,)."""
    n, d = X.shape
    K = r.shape[0]
    x, mean, out = np.empty((d, BLOCK)), np.empty(BLOCK), np.zeros(K)
    for start in range(0, n, BLOCK):
        nb = min(BLOCK, n - start)
        _load(X, start, nb, x)
        for j in range(K):
            weight = r[j]
            _mean(x, nb, eta[j], tau[j], mean)
            total = 0.0
            for s in range(nb):
                total += weight[start + s] * (y[start + s] - mean[s]) * (y[start + s] - mean[s])
            out[j] += total
    return out


@kernel(**_OPTIONS)
def gate_information(X, r, kind, slopes, intercepts, scale, eps):
    """Weighted log-likelihood of one gate, sum_rows sum_i r_i log g_i(x), for weights r (m, n).

    Returns the value, its gradient (m (d + 1),) and minus its Hessian, slopes first, then intercepts.
    """
    n, d = X.shape
    m = r.shape[0]
    x, U, G = np.empty((d, BLOCK)), np.empty((m, BLOCK)), np.empty((m, BLOCK))
    toward = np.empty((_room(kind, m), d + 1, BLOCK))
    total, top, sums = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    part, tmp = np.empty(BLOCK), np.empty(BLOCK)
    p = m * (d + 1)
    I, inner = np.zeros((p, p)), np.zeros(p)  # noqa: E741
    value = 0.0
    for start in range(0, n, BLOCK):
        nb = min(BLOCK, n - start)
        _load(X, start, nb, x)
        _gate(Gate(kind, slopes, intercepts, scale, eps * eps), x, nb, ZERO, m, U, G, total, top)
        for s in range(nb):
            sums[s] = 0.0
        for i in range(m):
            u, g, weight = U[i], G[i], r[i]
            for s in range(nb):
                sums[s] += weight[start + s]
                part[s] = weight[start + s] * u[s]
                g[s] /= total[s]
            value += _sum(part, nb)
            if i < len(toward):
                _features(kind, x, nb, slopes[i], scale, eps * eps, toward[i])
        for s in range(nb):
            part[s] = sums[s] * math.log(total[s])
        value -= _sum(part, nb)
        for i in range(m):
            g, weight = G[i], r[i]
            phi = _seen(kind, x, toward, i)
            for s in range(nb):
                part[s] = weight[start + s] - sums[s] * g[s]
            _add_score(part, phi, nb, i * (d + 1), d, inner)
            _add_curvature(kind, part, phi, nb, d, i * (d + 1), scale, I, tmp)
            for k in range(i + 1):
                other = G[k]
                for s in range(nb):
                    part[s] = sums[s] * g[s] * (other[s] - 1.0 if k == i else other[s])
                _add_pair(part, phi, _seen(kind, x, toward, k), nb, d, i * (d + 1), k * (d + 1), I, tmp)
    order = _public_order(m, ZERO, ZERO, ZERO, d)
    out, grad = np.empty((p, p)), np.empty(p)
    for k in range(p):
        grad[order[k]] = inner[k]
        for e in range(k + 1):
            out[order[k], order[e]] = I[k, e]
            out[order[e], order[k]] = I[k, e]
    return value, grad, out


# -- where another expert would help ----------------------------------------------------------------------------------


@njit(**_INNER)
def _insert(X, y, start, nb, base, expert, x, residual, share, ratio):
    """One block of an expert to be added: y - mu, B as share, and g_i N / p as ratio."""
    log_sum, log_p, gate = base[0], base[1], base[2]
    _load(X, start, nb, x)
    _logit(expert.kind, x, nb, expert.omega, expert.t, expert.scale, expert.eps2, share)
    _mean(x, nb, expert.eta, expert.tau, residual)
    precision, constant = 0.5 / expert.nu, -0.5 * math.log(expert.nu)
    for s in range(nb):
        residual[s] = y[start + s] - residual[s]
        share[s] = _exp(min(share[s] - log_sum[start + s], 50.0))
        q = residual[s] * residual[s] * precision
        ratio[s] = gate[start + s] * _exp(min(constant - q - log_p[start + s], 50.0))


@kernel(**_OPTIONS)
def _insert_each(X, y, kind2, scale, base, experts, limits, eps, weights, by_row):
    """What `insertion_gains` returns, and no rows; or, by row, what `insertion_changes` returns, last."""
    n, d = X.shape
    omega, pivot, eta, tau, nu = experts
    low, high = limits
    C = tau.size
    rest = base[3]
    x, residual, share, ratio = np.empty((d, BLOCK)), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    A, B = np.empty(n), np.empty(n)
    chosen, gain, out = np.empty(C), np.empty(C), np.empty((C if by_row else 0, n))
    for c in range(C):
        expert = Expert(kind2, omega[c], pivot[c], eta[c], tau[c], nu[c], scale, eps * eps)
        for start in range(0, n, BLOCK):
            nb = min(BLOCK, n - start)
            _insert(X, y, start, nb, base, expert, x, residual, share, ratio)
            if by_row:
                change = out[c]
                for s in range(nb):
                    change[start + s] = share[s] * (ratio[s] + (rest[start + s] - 1.0))
            else:
                for s in range(nb):
                    A[start + s] = share[s] * (ratio[s] + rest[start + s])
                    B[start + s] = share[s]
        if by_row:
            continue
        first, second = 0.0, 0.0
        if weights is not None:
            for s in range(n):
                first += weights[s] * (A[s] - B[s])
                second += weights[s] * (A[s] - B[s]) * (A[s] + B[s])
        else:
            first, second = _sum(A, n) - _sum(B, n), _dot(A, A, n) - _dot(B, B, n)
        t = math.log(first / second) if first > 0.0 and second > 0.0 else low[c]
        t = min(max(t, low[c]), high[c])
        for _ in range(WEIGHINGS):
            w = math.exp(t)
            rise = curve = 0.0
            if weights is not None:
                for s in range(n):
                    f, h = A[s] / (1.0 + w * A[s]), B[s] / (1.0 + w * B[s])
                    rise += weights[s] * (f - h)
                    curve += weights[s] * (f - h) * (f + h)
            else:
                for s in range(n):
                    f, h = A[s] / (1.0 + w * A[s]), B[s] / (1.0 + w * B[s])
                    rise += f - h
                    curve += (f - h) * (f + h)
            rise *= w
            bend = w * w * curve - rise
            step = rise / bend if bend > abs(rise) else (1.0 if rise > 0.0 else -1.0)
            t = min(max(t + step, low[c]), high[c])
        w, total = math.exp(t), 0.0
        for start in range(0, n, BLOCK):
            nb = min(BLOCK, n - start)
            for s in range(nb):
                ratio[s] = (1.0 + w * A[start + s]) / (1.0 + w * B[start + s])
            total += _sum_logs(ratio, nb) if weights is None else _dot_logs(ratio, weights, start, nb)
        chosen[c], gain[c] = t, total
    return chosen, gain, out


def insertion_gains(X, y, kind2, scale, base, experts, limits, eps, weights=None):
    """What each of C experts would add to the log-likelihood at its best weight, all else held.

    With `experts` (omega, pivot, eta, tau, nu) and `limits` (low, high), expert c has gate score
    s(x, omega[c]) + pivot[c] + t with t in [low[c], high[c]] to be chosen, and density N(eta[c]' x + tau[c], nu[c]);
    omega, eta (C, d), the others (C,); scale (d,) is that of the measure, base is of `insertion_base`. Returns t (C,),
    after `WEIGHINGS` Newton steps, and the gain at it (C,).
    """
    return _insert_each(X, y, kind2, scale, base, experts, limits, eps, weights, False)[:2]


def insertion_changes(X, y, kind2, scale, base, experts, eps):
    """Change of log p per unit weight of each of C experts, to first order: A - B at t = pivot, row by row, (C, n).

    Arguments are those of `insertion_gains`.
    """
    _, pivot, *_ = experts
    return _insert_each(X, y, kind2, scale, base, experts, (pivot, pivot), eps, None, True)[2]


@kernel(**_OPTIONS)
def _insertion_information(X, y, kind2, scale, base, expert, eps, weights):
    n, d = X.shape
    new = Expert(kind2, *expert, scale, eps * eps)
    rest = base[3]
    x, residual, h, part = np.empty((d, BLOCK)), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    f, e, ez, ew = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    toward, tmp, last = np.empty((1, d + 1, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    first_mu, p = d + 1, 2 * d + 3
    grad, out = np.zeros(p), np.zeros((p, p))
    precision, total = 1.0 / new.nu, 0.0
    for start in range(0, n, BLOCK):
        nb = min(BLOCK, n - start)
        _insert(X, y, start, nb, base, new, x, residual, h, e)
        for s in range(nb):
            e[s] *= h[s]
            A = e[s] + h[s] * rest[start + s]
            part[s] = (1.0 + A) / (1.0 + h[s])
            e[s] /= 1.0 + A
            f[s] = A / (1.0 + A)
            h[s] /= 1.0 + h[s]
            ez[s] = e[s] * residual[s] * precision  # e comes first: where it is 0, squares of residuals may overflow
            ew[s] = 0.5 * (ez[s] * residual[s] - e[s])
        total += _sum_logs(part, nb) if weights is None else _dot_logs(part, weights, start, nb)
        _features(kind2, x, nb, new.omega, new.scale, new.eps2, toward[0])
        phi = _seen(kind2, x, toward, ZERO)
        for s in range(nb):
            part[s] = f[s] - h[s]
        _weigh(part, weights, start, nb)
        _add_score(part, phi, nb, ZERO, d, grad)
        _add_curvature(kind2, part, phi, nb, d, ZERO, new.scale, out, tmp)
        for block in range(3):
            left, right, row, col = x, x, first_mu, first_mu
            if block == 0:
                left, right, row, col = phi, phi, ZERO, ZERO
                for s in range(nb):
                    part[s] = f[s] * (1.0 - f[s]) - h[s] * (1.0 - h[s])
            elif block == 1:
                right, col = phi, ZERO
                for s in range(nb):
                    part[s] = (1.0 - f[s]) * ez[s]
                    last[s] = (1.0 - f[s]) * ew[s]
            else:
                for s in range(nb):
                    part[s] = ((1.0 - e[s]) * ez[s] * residual[s] - e[s]) * precision
                    last[s] = (1.0 - e[s]) * ew[s] * residual[s] * precision - ez[s]
            _weigh(part, weights, start, nb)
            _add_pair(part, left, right, nb, d, row, col, out, tmp)
            if block == 1:
                _weigh(last, weights, start, nb)
                _add_row(last, phi, nb, d, p - 1, ZERO, out)
            elif block == 2:
                _weigh(last, weights, start, nb)
                _add_row(last, x, nb, d, p - 1, first_mu, out)
        for s in range(nb):
            part[s] = 0.5 * (1.0 - e[s]) * (ew[s] * residual[s] * residual[s] * precision - ew[s]) - ew[s] - 0.5 * e[s]
        _weigh(part, weights, start, nb)
        out[p - 1, p - 1] -= _sum(part, nb)
        _weigh(ez, weights, start, nb)
        _add_score(ez, x, nb, first_mu, d, grad)
        _weigh(ew, weights, start, nb)
        grad[p - 1] += _sum(ew, nb)
    for k in range(p):
        for c in range(k):
            out[c, k] = out[k, c]
    return total, grad, out


def insertion_information(X, y, kind2, scale, base, expert, eps, weights=None):
    """Gain of one expert, its gradient and minus its Hessian in (omega, beta, eta, tau, log nu), all else held.

    `expert` (omega, beta, eta, tau, nu) has gate score s(x, omega) + beta and density N(eta' x + tau, nu); omega, eta
    and scale (d,); base is of `insertion_base`. With A and B as there, f = A / (1 + A), h = B / (1 + B), the expert's
    responsibility e = B g_i N / p / (1 + A), and z, w as at the head of this file, its score is  t: f - h,  mu: e z,
    lam: e w,  and its Hessian

        t t    f (1 - f) - h (1 - h),   t mu  e (1 - f) z,   t lam  e (1 - f) w,
        mu mu  e ((1 - e) z^2 - 1/nu),  mu lam  e z ((1 - e) w - 1),  lam lam  e ((1 - e) w^2 - w - 1/2).
    """
    return _insertion_information(X, y, kind2, scale, base, expert, eps, weights)


# -- categorical experts ----------------------------------------------------------------------------------------------
#
# Expert j gives class c the probability P_jc = softmax_c(eta_jc' x + tau_jc); its scalars are these C logits l_jc, and
# the score in them is  r_j (1{y = c} - P_jc);  in the gates it is that of all families, see the head of this file.
# Parameters are kind1, kind2, off, a, b, omega, beta, eta (K, C, d), tau (K, C), scale; a reference class has zeros.
# y are `codes` (n,) int64, numbers of classes.

VALUE, ROWWISE, GRADIENT = range(3)  # what `_class_scores` is asked for

ClassModel = namedtuple("ClassModel", "kind1 kind2 off a b omega beta eta tau scale eps2")
ClassWork = namedtuple("ClassWork", "x U G S1 V H S2 E P R top mass part")  # P (K, C, BLOCK), the rest as elsewhere


@njit(**_INNER)
def _class_workspace(model, d):
    k1, (K, C) = model.off.size - 1, model.tau.shape
    rows = np.empty((d + 4 * k1 + 3 * K + 4, BLOCK))
    U = d
    G = U + k1
    S2 = G + k1
    R = S2 + k1
    V = R + k1
    H = V + K
    E = H + K
    rest = E + K
    P = np.empty((K, C, BLOCK))
    return ClassWork(
        rows[:U],
        rows[U:G],
        rows[G:S2],
        rows[rest],
        rows[V:H],
        rows[H:E],
        rows[S2:R],
        rows[E:rest],
        P,
        rows[R:V],
        rows[rest + 1],
        rows[rest + 2],
        rows[rest + 3],
    )


@njit(**_INNER)
def _class_expert(codes, start, x, nb, eta, tau, P, log_p, top, total):
    """Probabilities P (C, nb) of the classes under one expert, and the logarithm of that of the class observed."""
    C = tau.size
    for c in range(C):
        row = P[c]
        _mean(x, nb, eta[c], tau[c], row)
        if c == 0:
            for s in range(nb):
                top[s] = row[s]
        else:
            for s in range(nb):
                top[s] = max(top[s], row[s])
    for s in range(nb):
        log_p[s] = P[codes[start + s], s] - top[s]
        total[s] = 0.0
    for c in range(C):
        row = P[c]
        for s in range(nb):
            row[s] = _exp(row[s] - top[s])
            total[s] += row[s]
    for s in range(nb):
        log_p[s] -= math.log(total[s])
        total[s] = 1.0 / total[s]
    for c in range(C):
        row = P[c]
        for s in range(nb):
            row[s] *= total[s]


@njit(**_INNER)
def _class_forward(X, codes, start, model, work):
    """As `_forward`, for categorical experts, whose constant is none: log p = top + log(mass / S1).

    It goes through the gates and adds up by itself: one function for both would cost `_forward` a tenth of its time.
    """
    off, (x, U, G, S1, V, H, S2, E, P, _, top, mass, part) = model.off, work
    k1 = off.size - 1
    nb = min(BLOCK, X.shape[0] - start)
    _load(X, start, nb, x)
    _gate(Gate(model.kind1, model.a, model.b, model.scale, model.eps2), x, nb, ZERO, k1, U, G, S1, top)
    for i in range(k1):
        gate = Gate(model.kind2, model.omega, model.beta, model.scale, model.eps2)
        _gate(gate, x, nb, off[i], off[i + 1], V, H, S2[i], top)
    for i in range(k1):
        u = U[i]
        for j in range(off[i], off[i + 1]):
            e, v = E[j], V[j]
            _class_expert(codes, start, x, nb, model.eta[j], model.tau[j], P[j], e, mass, part)
            for s in range(nb):
                e[s] += v[s] + u[s]
            if j == 0:
                for s in range(nb):
                    top[s] = e[s]
            else:
                for s in range(nb):
                    top[s] = max(top[s], e[s])
    for s in range(nb):
        mass[s] = 0.0
    for i in range(k1):
        for s in range(nb):
            part[s] = 0.0
        for j in range(off[i], off[i + 1]):
            e = E[j]
            for s in range(nb):
                e[s] = _exp(e[s] - top[s])
                part[s] += e[s]
        total = S2[i]
        for s in range(nb):
            mass[s] += part[s] / total[s]
    return nb


@kernel(**_OPTIONS)
def _class_scores(X, codes, parameters, eps, weights, wanted):
    """Log-likelihood and gradient; log p and responsibilities (K, n) of each row where these are `wanted`."""
    n, d = X.shape
    model = ClassModel(*parameters, eps * eps)
    off, k1, (K, C) = model.off, model.off.size - 1, model.tau.shape
    work = _class_workspace(model, d)
    x, S1, E, P, R = work.x, work.S1, work.E, work.P, work.R
    top, mass, part = work.top, work.mass, work.part
    toward = np.empty((1, d + 1, BLOCK))
    order = _public_order(k1, K, K * C, 0, d)
    first_class, inner = (k1 + K) * (d + 1), np.zeros(order.size)
    log_p, out = np.empty(n if wanted == ROWWISE else 0), np.empty((K if wanted == ROWWISE else 0, n))
    total = 0.0
    for start in range(0, n, BLOCK):
        nb = _class_forward(X, codes, start, model, work)
        if weights is None:
            total += _sum_log(nb, work)
        else:
            for s in range(nb):
                part[s] = mass[s] / S1[s]
            for s in range(nb):
                total += weights[start + s] * top[s]
            total += _dot_logs(part, weights, start, nb)
        if wanted == VALUE:
            continue
        _posterior_gates(start, nb, off, weights, work, R)
        if wanted == ROWWISE:
            for s in range(nb):
                log_p[start + s] = top[s] + math.log(mass[s] / S1[s])
            for j in range(K):
                r, o = E[j], out[j]
                for s in range(nb):
                    o[start + s] = r[s]
            continue
        _add_gate_scores(nb, model, work, R, toward, inner)
        for j in range(K):
            r = E[j]
            for c in range(C):
                q = P[j, c]
                for s in range(nb):
                    part[s] = (r[s] if codes[start + s] == c else 0.0) - r[s] * q[s]
                _add_score(part, x, nb, first_class + (j * C + c) * (d + 1), d, inner)
    gradient = np.empty(order.size)
    gradient[order] = inner
    return total, gradient, log_p, out


def class_log_likelihood(X, codes, parameters, eps, weights=None):
    """Sum over rows of w log p_G(y | x)."""
    return _class_scores(X, codes, parameters, eps, weights, VALUE)[0]


def class_score(X, codes, parameters, eps, weights=None):
    """Log-likelihood and its gradient (p,), in the order a, b, omega, beta, eta, tau, with C classes each."""
    return _class_scores(X, codes, parameters, eps, weights, GRADIENT)[:2]


def class_responsibilities(X, codes, parameters, eps):
    """log p_G(y | x) of each row (n,), and r_j of each expert and row, (K, n)."""
    return _class_scores(X, codes, parameters, eps, None, ROWWISE)[2:]
