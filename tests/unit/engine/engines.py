"""Every engine that is built here: what one does, all must do."""

from matcher.engine import Engine
from matcher.engine.reference import Engine as ReferenceEngine

EngineClass = type[ReferenceEngine]
ENGINES: list[EngineClass] = [ReferenceEngine] if Engine is ReferenceEngine else [ReferenceEngine, Engine]
