"""Tables of slopes, differences and evidence as text: a block for each model, a line for each quantity.

Numbers and signs are those of `simulations.words`: rates, alpha, not slopes.
"""

import math

import numpy as np
import pandas as pd

from . import words
from .summary import MODEL, QUANTITY


def slopes_text(table, together=0):
    """The rows of `Summary.slopes`: a column for each statistic, theory's rates, and a legend.

    Primary quantities, if the table has some, are marked; `together` is the number of intervals that hold together.
    """
    added = table[table["part"] == "added"] if "part" in table else table[:0]
    table = table.drop(added.index)
    blocks, primary = [], table["role"] == "primary" if "role" in table else np.zeros(len(table), dtype=bool)
    table = table.assign(primary=primary)
    for (study, gating, k2), part in table.groupby(MODEL, sort=False):
        first = part.iloc[0]
        counts = words.counts(first.failed, first.bounded, first.uncertified, first.to_do)
        lines = []
        for quantity, rows in part.groupby(QUANTITY, sort=False):
            first = rows.iloc[0]
            line = {"quantity": ("* " if rows["primary"].any() else "") + words.quantity(*quantity)}
            line |= {row.statistic: _judged(row) for row in rows.itertuples()}
            local = words.rate(first.local_slope, first.local_low, first.local_high)
            line |= {f"{first.statistic}, upper half": local, "published": words.fraction(first.alpha_published)}
            line |= {"derived": words.fraction(first.alpha_derived)} | _limits(rows)
            lines.append(line | {"sizes": first.n_sizes, "reps": first.replicates, "note": first.note})
        blocks.append(f"{study}: {words.model(gating, k2)}: {counts}\n{_aligned(lines, 'quantity', 'note')}")
    legend = [f"alpha of each error, of order n^(-alpha), and its 95 % interval; {words.signs()}"]
    legend += ["the first sign is against the published rate, the second against the derived one"]
    legend += [words.held_together(together)] if together else []
    legend += [f"{word}: {means}" for word, means in words.VERDICTS_MEAN.items()]
    if "limit" in table:
        legend += ["the third sign is against the limits, those of the statistics in this order"]
        legend += [f"{mark} {word}: {means}" for word, (mark, means) in words.AGREEMENTS.items() if word]
        legend += [f"{mark.strip(', ') or 'unmarked'}: {means}" for word, (mark, means) in words.LIMITS.items() if word]
    if _expected_at_n(table):
        legend += [f"at these n: {words.AT_THESE_N_MEANS}"]
    return "\n\n".join([*blocks, *([_added_text(added)] if len(added) else []), "\n".join(legend)])


def _expected_at_n(table):
    return "alpha_at_n" in table and table["alpha_at_n"].notna().any()


def _limits(rows):
    """Of a quantity: what its statistics are held against, if the table says so."""
    if "limit" not in rows:
        return {}
    limits = list(map(words.limit, rows["alpha_limit"], rows["limit"]))
    out = {"limits": ", ".join(limits if len(set(limits)) > 1 else limits[:1])}
    first = rows.iloc[0]
    if not math.isnan(first.alpha_at_n):
        said = words.at_these_n(first.alpha_at_n, first.error_at_n)
        out["at these n"] = f"{words.AGREEMENTS[first.verdict_at_n][0]} {said}"
    return out


def _added_text(table):
    """Rates of replicates that were added after a look: of primary quantities; of all, where none are named."""
    if "role" in table and (table["role"] == "primary").any():
        table = table[table["role"] == "primary"]
    table = table[table["statistic"] == table["statistic"].iloc[0]]
    lines = [
        {
            "model": words.model(row.gating, row.k2),
            "quantity": words.quantity(row.level, row.size, row.parameter, row.kind),
            row.statistic: _judged(row),
            "sizes": row.n_sizes,
            "reps": row.replicates,
            "note": row.note,
        }
        for row in table.itertuples()
    ]
    return f"{words.ADDED}\n{_aligned(lines, 'model', 'quantity', 'note')}"


def _judged(row):
    if np.isnan(row.slope):
        return words.rate(row.slope, row.ci_low, row.ci_high)
    signs = f"{words.MARKS[row.verdict_published]} {words.MARKS[row.verdict_derived]}"
    signs += f" {words.AGREEMENTS[row.verdict_limit][0] or ' '}" if "verdict_limit" in row._fields else ""
    return f"{words.rate(row.slope, row.ci_low, row.ci_high)} {signs}"


def differences_text(table, statistic):
    """The rows of `Summary.differences` of one statistic, between models of one fitted size."""
    part = table[(table["statistic"] == statistic) & table["difference"].notna() & ~table["k2"].str.contains(" - ")]
    lines = [
        {
            "models": " ".join(getattr(row, name) for name in MODEL),
            "quantity": words.quantity(row.level, row.size, row.parameter, row.kind),
            "difference": words.rate(row.difference, row.ci_low, row.ci_high),
            "derived": f"{words.MARKS[row.verdict]} {words.signed(-row.expected)}",
            "verdict": row.verdict,
            "pairs": row.pairs,
        }
        for row in part.itertuples()
    ]
    if not lines:
        return "no two models have a quantity in common"
    return f"paired differences of rates ({statistic})\n{_aligned(lines, 'models', 'quantity', 'verdict')}"


def ends_text(table):
    """The rows of `ends.table`, without columns in which nothing is."""
    table = table.copy()
    if "gain" in table:
        table["gain"] = list(map(words.gain, table["gain"], table.pop("gain_error")))
    table = table[[name for name in table if name in MODEL or table[name].any()]]
    heads = {name: words.STATUSES[name][0] if name in words.STATUSES else words.bound(name) for name in table}
    return f"{words.ENDED}\n{_aligned(table.rename(columns=heads).to_dict('records'), *MODEL)}"


def evidence_text(joined):
    """The rows of `evidence.table`."""
    blocks = []
    for (study, gating, k2), part in joined.groupby(["study", "gating", "k2"], sort=False):
        lines = [
            {
                "quantity": words.quantity(row.level, row.size, row.parameter, row.kind),
                "published": words.beside(row.verdict_published, row.published),
                "derived": words.beside(row.verdict_derived, row.derived),
                "certificate": words.certificate(row.certificate, row.certificate_status),
                "measured": words.rate(row.slope, row.ci_low, row.ci_high),
                "verdict": row.verdict,
            }
            for row in part.itertuples()
        ]
        blocks.append(f"{study}: {words.model(gating, k2)}\n{_aligned(lines, 'quantity', 'verdict')}")
    return "\n\n".join(blocks)


def _aligned(lines, *left):
    """Lines, dicts of one shape, as a table; the columns `left` begin at the left, all others end at the right."""
    table = pd.DataFrame(lines)
    for name in left:
        table[name] = table[name].str.ljust(table[name].str.len().max())
    return table.to_string(index=False)
