#!/bin/sh
# Prepares Vault or OpenBao for the rotator: the mount, the policy and a role for it to log in by. Run it as often as
# you like: it makes what is missing, and sets the policy and the role anew.
#
#   VAULT_ADDR=https://vault.example.com:8200 VAULT_TOKEN=… ./setup.sh kubernetes   # or approle, or both
#
# The token is an administrator's: the rotator never needs it. With `approle` the role id is printed, which is no
# secret; issue the secret id where the rotator runs.
#
# Of `kubernetes`: NAMESPACE is the rotator's, by default `rotator`. A Vault outside the cluster needs KUBERNETES_HOST,
# KUBERNETES_CA_CERT (a file) and KUBERNETES_REVIEWER_JWT (a file: the token of a service account that has
# system:auth-delegator). Without them a config that auth/kubernetes has is kept.
set -eu
vault=$(command -v vault || command -v bao) || { echo "setup.sh: there is no vault and no bao" >&2; exit 1; }
mount=secret # as in policy.hcl

enabled() { "$vault" read "$1/tune" >/dev/null 2>&1; }

kubernetes() {
  enabled sys/auth/kubernetes || "$vault" auth enable kubernetes
  if [ -n "${KUBERNETES_CA_CERT:-}" ]; then
    "$vault" write auth/kubernetes/config kubernetes_host="$KUBERNETES_HOST" disable_local_ca_jwt=true \
      kubernetes_ca_cert=@"$KUBERNETES_CA_CERT" token_reviewer_jwt=@"$KUBERNETES_REVIEWER_JWT"
  elif ! "$vault" read auth/kubernetes/config >/dev/null 2>&1; then # others may log in by one that is there
    "$vault" write auth/kubernetes/config kubernetes_host=https://kubernetes.default.svc
  fi
  "$vault" write auth/kubernetes/role/rotator audience=vault bound_service_account_names=rotator \
    bound_service_account_namespaces="${NAMESPACE:-rotator}" token_policies=rotator token_ttl=1h
}

approle() {
  enabled sys/auth/approle || "$vault" auth enable approle
  "$vault" write auth/approle/role/rotator token_policies=rotator token_ttl=1h
  echo "role_id: $("$vault" read -field=role_id auth/approle/role/rotator/role-id)"
  echo "for a secret id: vault write -f auth/approle/role/rotator/secret-id"
}

for method in "$@"; do
  case $method in kubernetes | approle) ;; *) echo "setup.sh: there is no method $method" >&2; exit 2 ;; esac
done
enabled "sys/mounts/$mount" || "$vault" secrets enable -path="$mount" -version=2 kv
"$vault" read "sys/mounts/$mount/tune" | grep -q version:2 || {
  echo "setup.sh: $mount/ is no KV version 2 engine; run \`vault kv enable-versioning $mount/\`, or take another" >&2
  exit 1
}
"$vault" policy write rotator "$(dirname "$0")/policy.hcl"
for method in "$@"; do "$method"; done
