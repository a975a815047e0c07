#!/bin/sh
# Prepares Vault or OpenBao for the rotator: the mount, the policy, and a role to log in with. You can run it again: it
# makes what is missing, and writes the policy and the settings of the role below again.
#
#   VAULT_ADDR=https://vault.example.com:8200 VAULT_TOKEN=… ./setup.sh kubernetes   # or approle, or both
#
# Use an administrator's token. The rotator never needs it. With `approle` the script prints the role id, which is not
# secret. Issue the secret id on the machine where the rotator runs.
#
# For `kubernetes`, NAMESPACE is the rotator's namespace, by default `rotator`. A Vault outside the cluster needs all three
# of KUBERNETES_HOST, KUBERNETES_CA_CERT (a file) and KUBERNETES_REVIEWER_JWT (a file with the token of a service account
# that has system:auth-delegator). Without them, the script keeps a config that auth/kubernetes has. For old servers:
# - Vault before 1.9 checks who issued a service account's token. If its config does not name the issuer, it answers 500
#   `claim "iss" is invalid`. From Vault 1.5.4 on, `disable_iss_validation`, which is set below, ends that. An older Vault
#   needs KUBERNETES_ISSUER: the `iss` of the pods' tokens, often https://kubernetes.default.svc.cluster.local.
# - Vault before 1.5.4 learns nothing from the pod that it runs in. It needs all three variables inside the cluster, too.
set -eu
vault=$(command -v vault || command -v bao) || { echo "setup.sh: there is no vault and no bao" >&2; exit 1; }
mount=secret # as in policy.hcl

enabled() { "$vault" read "$1/tune" >/dev/null 2>&1; }

field() { "$vault" read -format=table -field="$1" "$2"; } # whatever VAULT_FORMAT says

# A thief can renew a stolen token, but not beyond token_max_ttl. The rotator then logs in again.
role() {
  path=$1
  shift
  "$vault" write "$path" token_policies=rotator token_ttl=1h token_max_ttl=24h token_period=0 "$@"
}

# Vault asks the API server about each token, and the API server knows the issuer. Newer servers leave the check to it.
kubernetes_config() {
  "$vault" write auth/kubernetes/config disable_iss_validation=true issuer="${KUBERNETES_ISSUER:-}" "$@"
}

kubernetes() {
  enabled sys/auth/kubernetes || "$vault" auth enable kubernetes
  if [ -n "${KUBERNETES_HOST:-}${KUBERNETES_CA_CERT:-}${KUBERNETES_REVIEWER_JWT:-}" ]; then
    kubernetes_config kubernetes_host="$KUBERNETES_HOST" disable_local_ca_jwt=true \
      kubernetes_ca_cert=@"$KUBERNETES_CA_CERT" token_reviewer_jwt=@"$KUBERNETES_REVIEWER_JWT"
  elif ! "$vault" read auth/kubernetes/config >/dev/null 2>&1; then # others may use a config that exists
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
