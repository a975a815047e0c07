"""The config: a YAML file and the environment.

`load` is what the rest calls. Completion asks for `managed_names`, and what signs notices is in
`signing_secrets`.
"""

from rotator.config.assemble import Config
from rotator.config.auth import (
    AppRoleAuth,
    Auth,
    JwtAuth,
    KubernetesAuth,
    TokenAuth,
    TokenFileAuth,
)
from rotator.config.fields import BearerSources, GatewayBlock
from rotator.config.load import load, loaded, managed_names, read
from rotator.config.monitoring import Webhook, signing_secrets
from rotator.config.texts import Sources
from rotator.config.vaults import VaultBlock

__all__ = [
    "AppRoleAuth",
    "Auth",
    "BearerSources",
    "Config",
    "GatewayBlock",
    "JwtAuth",
    "KubernetesAuth",
    "Sources",
    "TokenAuth",
    "TokenFileAuth",
    "VaultBlock",
    "Webhook",
    "load",
    "loaded",
    "managed_names",
    "read",
    "signing_secrets",
]
