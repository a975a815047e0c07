# What the rotator needs of Vault besides Vault's `default` policy, and no more. If your config has another
# `vault.mount`, another `vault.state_path` or other paths of keys, change it here too.
#
# `default` gives a token what it needs for itself: sys/capabilities-self, and auth/token/lookup-self, renew-self and
# revoke-self. Nothing here can list, delete or destroy: the rotator never does.

# the managed keys, and the bearer if it is in Vault
path "secret/data/apimall/*" { capabilities = ["create", "read", "update"] }

# what this installation has asked the gateway for, a record for each managed key
path "secret/data/rotator/claims/*" { capabilities = ["create", "read", "update"] }

# this installation's identity: made once, and never written again
path "secret/data/rotator/installation" { capabilities = ["create", "read"] }
