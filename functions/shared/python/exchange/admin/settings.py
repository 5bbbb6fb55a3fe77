"""What the operators' API has in its environment of its own: its tables, and the pool that knows operators."""

from exchange.approvals.store import ProposalItem, bind_audit_rows
from exchange.aws.dynamodb import bind
from exchange.aws.settings import ApiSettings
from exchange.breaks.store import BreakItem
from exchange.users.store import CustomerItem, ProfileItem


class AdminSettings(ApiSettings):
    """The tables of operators' acts, and who operators are."""

    users_table: str
    profiles_table: str
    proposals_table: str
    audit_rows_table: str
    breaks_table: str
    operator_pool_id: str
    operator_pool_client_id: str

    def bind_admin(self) -> None:
        """Tell its items which tables they are here."""
        bind(CustomerItem, self.users_table)
        bind(ProfileItem, self.profiles_table)
        bind(ProposalItem, self.proposals_table)
        bind_audit_rows(self.audit_rows_table)
        bind(BreakItem, self.breaks_table)
