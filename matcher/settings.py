"""What the container is told by its environment."""

from exchange.aws.settings import EnvironmentSettings


class Settings(EnvironmentSettings):
    """One field a variable.

    health_port        where /health is served; 0 takes any free port
    lease_seconds      how long a lease that nobody renews keeps others out
    poll_milliseconds  the pause after a read: 250 and a standby's 1000 keep to the 5 reads a second of a shard
    follow_seconds     the pause after a read of a standby; 0 stands by cold, reading nothing until it leads
    tick_seconds       how often each product is told the time; 0 never
    snapshot_seconds, snapshot_commands    whichever comes first makes the next snapshot
    enhanced_fan_out_consumer_arn          subscribe as this consumer instead of polling
    engine_required    refuse to start where the engine was not compiled, instead of running the plain one
    """

    orders_stream: str
    executions_stream: str
    leases_table: str
    instruments_table: str
    snapshots_bucket: str
    quarantine_bucket: str
    health_port: int = 8081
    lease_seconds: float = 3.0
    poll_milliseconds: int = 250
    follow_seconds: float = 1.0
    tick_seconds: float = 1.0
    snapshot_seconds: float = 10.0
    snapshot_commands: int = 20_000
    enhanced_fan_out_consumer_arn: str = ""
    engine_required: bool = False
