"""What was spent of privacy, per project and data set: a ledger of rho that refuses when a policy's epsilon is spent.

A charge is durable before the words that it pays for are masked. The same sum over the same data, with the same noise,
is charged once: it is the same answer again. Which sum that is, a keyed digest says, so that a copy of the ledger
tells nothing of the words.
"""

from dataclasses import dataclass

from fedstats.ledger import Ledger
from fedstats.privacy.zcdp import epsilon_of, largest_delta, rho_of
from node_agent.policy import refused

TABLES = """
CREATE TABLE IF NOT EXISTS noise_charges (
  project TEXT NOT NULL, dataset TEXT NOT NULL, sum TEXT NOT NULL, plan TEXT NOT NULL, rho REAL NOT NULL,
  PRIMARY KEY (project, dataset, sum));
CREATE TABLE IF NOT EXISTS noise_plans (project TEXT NOT NULL, dataset TEXT NOT NULL, plan TEXT NOT NULL,
  PRIMARY KEY (project, dataset, plan));
"""

#: Sums of rho differ in the last digits with the order in which they are added.
_ROUNDING = 1 + 1e-9


@dataclass(frozen=True)
class Allowance:
    """What a policy lets a project spend on a data set.

    Attributes
    ----------
    project, dataset
        Whose budget, on what.
    epsilon
        The policy's limit.
    people
        People of the data set, from which the delta at which epsilon is told follows.
    """

    project: str
    dataset: str
    epsilon: float
    people: int

    @property
    def delta(self) -> float:
        """The delta at which what was spent is told."""
        return largest_delta(self.people)

    @property
    def rho(self) -> float:
        """The limit as rho."""
        return rho_of(self.epsilon, self.delta) if self.epsilon > 0 else 0.0


@dataclass(frozen=True)
class NoiseLedger:
    """The tables of what was spent."""

    ledger: Ledger

    def spent(self, of: Allowance) -> float:
        """Rho that a project has spent on a data set."""
        query = "SELECT coalesce(sum(rho), 0) FROM noise_charges WHERE project = ? AND dataset = ?"
        return float(self.ledger.rows(query, of.project, of.dataset)[0][0])

    def spent_by_plan(self, of: Allowance, plan: str) -> float:
        """Rho that a plan has spent, however often it was run."""
        query = "SELECT coalesce(sum(rho), 0) FROM noise_charges WHERE project = ? AND dataset = ? AND plan = ?"
        return float(self.ledger.rows(query, of.project, of.dataset, plan)[0][0])

    def admit(self, of: Allowance, plan: str, rho: float) -> None:
        """Refuse a plan that is going to spend more than is left; one that began before may always be repeated.

        Raises
        ------
        Refused
            Code POLICY_EPSILON.
        """
        if not self._has_begun(of, plan) and self.spent(of) + rho > of.rho * _ROUNDING:
            raise self._spent(of)

    def begin(self, of: Allowance, plan: str, rho: float) -> None:
        """Admit a plan and remember it; within the transaction in which its run begins."""
        self.admit(of, plan, rho)
        self.ledger.write("INSERT OR IGNORE INTO noise_plans VALUES (?, ?, ?)", of.project, of.dataset, plan)

    def _has_begun(self, of: Allowance, plan: str) -> bool:
        query = "SELECT 1 FROM noise_plans WHERE project = ? AND dataset = ? AND plan = ?"
        return bool(self.ledger.rows(query, of.project, of.dataset, plan))

    def charge(self, of: Allowance, plan: str, limit: float, name: str, rho: float) -> None:
        """Charge one sum, durably, unless it was charged before.

        Parameters
        ----------
        of
            Whose budget.
        plan, limit
            Whose sum, and what that plan may spend in all.
        name
            Keyed digest of the sum, its noise and its words.
        rho
            What the sum costs.

        Raises
        ------
        Refused
            Code POLICY_EPSILON: nothing is left of the budget, or of what the plan said it would spend.
        """
        with self.ledger.transaction():
            query = "SELECT 1 FROM noise_charges WHERE project = ? AND dataset = ? AND sum = ?"
            if self.ledger.rows(query, of.project, of.dataset, name):
                return
            if self.spent_by_plan(of, plan) + rho > limit * _ROUNDING:
                raise refused("epsilon", "the run asks more than its plan said it would spend")
            if self.spent(of) + rho > of.rho * _ROUNDING:
                raise self._spent(of)
            self.ledger.write(
                "INSERT INTO noise_charges VALUES (?, ?, ?, ?, ?)", of.project, of.dataset, name, plan, rho
            )
            self.ledger.append(
                "noise", {"project": of.project, "dataset": of.dataset, "sum": name, "plan": plan, "rho": f"{rho:.12g}"}
            )

    def _spent(self, of: Allowance) -> Exception:
        gone = epsilon_of(self.spent(of), of.delta)
        return refused(
            "epsilon",
            f"project {of.project!r} has spent {gone:.3g} of epsilon {of.epsilon:g} (delta {of.delta:.3g}) on data set "
            f"{of.dataset!r}, and the run needs more than is left",
        )

    def accounts(self) -> list[tuple[str, str]]:
        """Projects and data sets on which anything was spent."""
        query = "SELECT DISTINCT project, dataset FROM noise_charges ORDER BY project, dataset"
        return [(str(project), str(dataset)) for project, dataset in self.ledger.rows(query)]
