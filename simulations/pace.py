"""The time that is left: what each model (gating, k2) took for a unit of `Study.cost`, times the cost that is to do.

Cells weigh by their cost, since the dearest of a replicate come first; seconds are those of the cells themselves, so
that neither compiling nor the number of processes spoils them, and models are kept apart, since cost compares them
badly.
"""


class Pace:
    """Seconds of the finished cells of a study, model by model, and the cost of those to do."""

    def __init__(self, study, progress, retry_failed=False):
        """From the grid of a study and what `Store.progress` counted of it; failed cells may be to do again."""
        self.cost = study.cost
        self.total = self.finished = self.failed = 0
        self.models = {}  # (gating, k2) -> [cost that was timed, its seconds, cost to do]
        for cell in study.corners():
            done, failed, seconds = progress.get(cell.key[:3], (0, 0, 0.0))
            cost, timed, done = self.cost(cell), done - failed, done - failed * retry_failed
            model = self.models.setdefault(cell.key[:2], [0, 0.0, 0])
            model[0] += timed * cost
            model[1] += seconds
            model[2] += (study.replicates - done) * cost
            self.total += study.replicates
            self.finished += done
            self.failed += failed

    def add(self, cell, seconds):
        """Count a cell that was to do; `seconds` is None if it failed, which says nothing of the others."""
        model = self.models[cell.key[:2]]
        model[2] -= self.cost(cell)
        self.finished += 1
        if seconds is not None:
            model[0] += self.cost(cell)
            model[1] += seconds

    def left(self, jobs):
        """Seconds that the cells to do will take `jobs` processes; None before anything was timed."""
        timed, seconds, _ = map(sum, zip(*self.models.values(), strict=True))
        if not timed:
            return None
        rates = ((s / cost if cost else seconds / timed, to_do) for cost, s, to_do in self.models.values())
        return sum(rate * to_do for rate, to_do in rates) / max(1, min(jobs, self.total - self.finished))
