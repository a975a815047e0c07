"""The config: a YAML file and the environment. `load` is all that the rest of the program calls."""

from rotator.config.assemble import Config
from rotator.config.load import load
from rotator.config.model import BearerSources, Gateway, TokenAuth, Vault
from rotator.config.webhook import Webhook, signing_secrets

__all__ = ["BearerSources", "Config", "Gateway", "TokenAuth", "Vault", "Webhook", "load", "signing_secrets"]
