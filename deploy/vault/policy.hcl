# The rotator needs this policy and Vault's `default` policy, and nothing else. If your config has another `vault.mount`,
# another `vault.state_path` or other paths for keys, change them here too.
#
# `default` lets a token manage itself: sys/capabilities-self, and auth/token/lookup-self, renew-self and
# revoke-self. Nothing here can list, delete or destroy: the rotator never does.

# the managed keys, and the bearer if it is in Vault
path "secret/data/apimall/*" { capabilities = ["create", "read", "update"] }

# the claims: a record for each managed key of what this installation has asked the gateway for
path "secret/data/rotator/claims/*" { capabilities = ["create", "read", "update"] }

# what consumers have confirmed; you can leave this line out if the config names no consumers
path "secret/data/rotator/acks/*" { capabilities = ["read"] }

# this installation's identity: it is made once, and never written again
path "secret/data/rotator/installation" { capabilities = ["create", "read"] }
