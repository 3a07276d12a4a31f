"""Columns that live at few nodes open those nodes, so each node sees for itself that a plan has none (decision A5).

A plan carries what every node of the run signed of its own columns. An indicator of people who are found at one site
returns that site's sums, whatever is masked: so a column must vary, and a level must have its floor of people, at as
many nodes as a run needs. Effects of the sites themselves never leave a node, and are not looked at.
"""

from collections.abc import Iterator, Mapping

from fedstats.errors import DisclosureRefused, ProtocolRefused
from fedstats.identity.signing import Signed, open_signed
from fedstats.planning.survey import ColumnSurvey, Survey
from fedstats.study import Term, Trait
from fedstats.wire.messages import Plan, SurveyAnswer
from node_agent.node import Node


def check_lone_columns(node: Node, plan: Plan) -> None:
    """Refuse a plan with a column that varies at fewer nodes than this node's runs must have.

    Raises
    ------
    ProtocolRefused
        Code NO_SURVEY: what some node signed of its columns is not in the plan.
    DisclosureRefused
        Code COLUMN_AT_FEW_NODES, naming the column.
    """
    columns = dict.fromkeys(_columns(plan))
    if node.policy.validation or not columns:
        return
    surveys = {name: _survey(plan, name) for name in plan.study.nodes}
    for column in columns:
        if _nodes_with(column, surveys) < node.policy.min_nodes:
            raise DisclosureRefused(
                f"policy rule min_nodes: {column.name!r} varies, or has its floor of people, at fewer than "
                f"{node.policy.min_nodes} nodes, so it would open the sums of those; nothing was sent.",
                code="COLUMN_AT_FEW_NODES",
                hint="Leave it out, merge levels, or use --site-effects fixed for effects of the sites.",
            )


def _columns(plan: Plan) -> Iterator[Term | Trait]:
    """Design columns and traits; arms of a binary trait have a floor at every node, so it varies everywhere."""
    for model in plan.study.scanned:
        yield from model.terms
        yield from (trait for trait in model.traits if trait.kind == "quantitative")


def _survey(plan: Plan, name: str) -> Survey:
    """What a node of the run said of its columns, once its signature is seen to be right."""
    text = plan.surveys.get(name)
    if text is None:
        raise ProtocolRefused(
            f"the plan does not say what {name} signed of its columns; nothing was sent.", code="NO_SURVEY"
        )
    try:
        signed = Signed(text.kind, text.signer, bytes.fromhex(text.body), bytes.fromhex(text.signature))
    except ValueError:
        raise ProtocolRefused("a survey in the plan is not hexadecimal.", code="MALFORMED") from None
    found = open_signed(signed, "SurveyAnswer", SurveyAnswer, plan.nodes[name], node=name)
    if (found.node, found.dataset) != (name, plan.dataset):
        raise ProtocolRefused(
            f"what {name} signed of its columns is of another data set; nothing was sent.", code="NO_SURVEY"
        )
    return found.survey


def _nodes_with(column: Term | Trait, surveys: Mapping[str, Survey]) -> int:
    source, level = (column.column, column.level) if isinstance(column, Term) else (column.name, "")
    found = [survey.columns.get(source, ColumnSurvey(present=False)) for survey in surveys.values()]
    return sum(level in one.levels and not one.small_levels if level else one.varies for one in found)
