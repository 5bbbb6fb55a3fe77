"""Every engine that can run here: what one does, all must do."""

from matcher.engine import COMPILED
from matcher.engine.fast.engine import Engine as FastEngine
from matcher.engine.reference import Engine as ReferenceEngine

EngineClass = type[ReferenceEngine] | type[FastEngine]
ENGINES: list[EngineClass] = [ReferenceEngine, FastEngine] if COMPILED else [ReferenceEngine]
