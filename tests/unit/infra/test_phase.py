"""The operator's word on a market: one command a call, and every phase that the engine has."""

from exchange.messages import Op, Phase

from infra.cli.phase import MarketPhase, phase_command


def test_every_phase_of_the_engine_has_its_word() -> None:
    assert {word.value for word in MarketPhase} == {phase.name.lower() for phase in Phase}


def test_the_same_phase_twice_is_two_commands() -> None:
    first, second = phase_command(Phase.AUCTION), phase_command(Phase.AUCTION)
    assert (first.op, first.phase) == (Op.PHASE, Phase.AUCTION)
    assert first.command_id != second.command_id
