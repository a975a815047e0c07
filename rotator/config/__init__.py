"""The config: a YAML file and the environment. `load` is all that the rest of the program calls."""

from rotator.config.assemble import Config, Every, PassSchedule
from rotator.config.load import load
from rotator.config.model import BearerSources, Gateway, TokenAuth, Vault

__all__ = ["BearerSources", "Config", "Every", "Gateway", "PassSchedule", "TokenAuth", "Vault", "load"]
