#!/bin/sh
# Prepares Vault or OpenBao for the rotator: the mount, the policy and a role for it to log in by. Run it as often as
# you like: it makes what is missing, and sets the policy and what follows of the role anew.
#
#   VAULT_ADDR=https://vault.example.com:8200 VAULT_TOKEN=… ./setup.sh kubernetes   # or approle, or both
#
# The token is an administrator's: the rotator never needs it. With `approle` the role id is printed, which is no
# secret; issue the secret id where the rotator runs.
#
# Of `kubernetes`: NAMESPACE is the rotator's, by default `rotator`. A Vault outside the cluster needs KUBERNETES_HOST,
# KUBERNETES_CA_CERT (a file) and KUBERNETES_REVIEWER_JWT (a file: the token of a service account that has
# system:auth-delegator): all three. Without them a config that auth/kubernetes has is kept. Of old servers:
# - Vault before 1.9 checks who issued a service account's token, which is 500 `claim "iss" is invalid` where its config
#   does not say whom to expect. `disable_iss_validation`, set below, ends that since Vault 1.5.4. An older one needs
#   KUBERNETES_ISSUER: the `iss` of the pods' tokens, often https://kubernetes.default.svc.cluster.local.
# - Vault before 1.5.4 takes nothing from the pod that it runs in: it needs all three inside the cluster, too.
set -eu
vault=$(command -v vault || command -v bao) || { echo "setup.sh: there is no vault and no bao" >&2; exit 1; }
mount=secret # as in policy.hcl

enabled() { "$vault" read "$1/tune" >/dev/null 2>&1; }

field() { "$vault" read -format=table -field="$1" "$2"; } # whatever VAULT_FORMAT says

# Whoever has stolen a token can renew it, but not beyond its longest life; the rotator logs in again.
role() {
  path=$1
  shift
  "$vault" write "$path" token_policies=rotator token_ttl=1h token_max_ttl=24h token_period=0 "$@"
}

# The API server, which is asked about each token, knows its issuer: newer servers leave the check to it.
kubernetes_config() {
  "$vault" write auth/kubernetes/config disable_iss_validation=true issuer="${KUBERNETES_ISSUER:-}" "$@"
}

kubernetes() {
  enabled sys/auth/kubernetes || "$vault" auth enable kubernetes
  if [ -n "${KUBERNETES_HOST:-}${KUBERNETES_CA_CERT:-}${KUBERNETES_REVIEWER_JWT:-}" ]; then
    kubernetes_config kubernetes_host="$KUBERNETES_HOST" disable_local_ca_jwt=true \
      kubernetes_ca_cert=@"$KUBERNETES_CA_CERT" token_reviewer_jwt=@"$KUBERNETES_REVIEWER_JWT"
  elif ! "$vault" read auth/kubernetes/config >/dev/null 2>&1; then # others may log in by one that is there
    kubernetes_config kubernetes_host=https://kubernetes.default.svc
  fi
  role auth/kubernetes/role/rotator audience=vault bound_service_account_names=rotator \
    bound_service_account_namespaces="${NAMESPACE:-rotator}"
}

approle() {
  enabled sys/auth/approle || "$vault" auth enable approle
  role auth/approle/role/rotator bind_secret_id=true
  role_id=$(field role_id auth/approle/role/rotator/role-id)
  echo "role_id: $role_id"
  echo "for a secret id: vault write -f -field=secret_id auth/approle/role/rotator/secret-id > FILE"
}

for method in "$@"; do
  case $method in kubernetes | approle) ;; *) echo "setup.sh: there is no method $method" >&2; exit 2 ;; esac
done
enabled "sys/mounts/$mount" || "$vault" secrets enable -path="$mount" -version=2 kv
field options "sys/mounts/$mount/tune" | grep -q version:2 || {
  echo "setup.sh: $mount/ is no KV version 2 engine; run \`vault kv enable-versioning $mount/\`, or take another" >&2
  exit 1
}
"$vault" policy write rotator "$(dirname "$0")/policy.hcl"
for method in "$@"; do "$method"; done
