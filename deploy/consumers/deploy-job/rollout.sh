#!/bin/sh
# Brings the key of a Kubernetes Secret to every pod of a Deployment, and then confirms the key. Run it every few minutes,
# or as a step of a deployment. It restarts nothing as long as the key is the same.
#
#   SECRET=production-backend-api-key DEPLOYMENT=production-backend \
#     ACK=secret/rotator/acks/apimall/production-backend/web ./rollout.sh
#
# kubectl needs the rights of the Role in job.yaml, and the namespace as its current one. For Vault, set VAULT_ADDR and
# VAULT_TOKEN; or let the script log in at auth/kubernetes as VAULT_ROLE, with the token in the file VAULT_JWT.
set -eu
vault=$(command -v vault || command -v bao) || { echo "rollout.sh: there is no vault and no bao" >&2; exit 1; }

# First the id, then the restart: each pod that starts after this has this key or a later one. Where a template fails,
# kubectl prints all that it was given, with the plaintext. So this one does not fail where there is no key_id.
id=$(kubectl get secret "$SECRET" -o go-template='{{ with .data }}{{ with .key_id }}{{ base64decode . }}{{ end }}{{ end }}')
case $id in
  '' | 0* | *[!0-9]*) echo "rollout.sh: the key_id in the Secret $SECRET is no key's id" >&2; exit 1 ;;
esac

# A label of the pods says for which key they were started. The Deployment restarts them only if it changes.
kubectl patch deployment "$DEPLOYMENT" \
  -p '{"spec": {"template": {"metadata": {"labels": {"api-key-id": "'"$id"'"}}}}}'
kubectl rollout status deployment "$DEPLOYMENT" --timeout=10m

# Pods that are being stopped still use the old key, and `rollout status` does not wait for them.
# shellcheck disable=SC2016 # the variables are the template's
labels=$(kubectl get deployment "$DEPLOYMENT" \
  -o go-template='{{ range $name, $value := .spec.selector.matchLabels }}{{ $name }}={{ $value }},{{ end }}')
kubectl wait pod --for=delete --timeout=10m -l "${labels}api-key-id!=$id" \
  --field-selector=status.phase!=Failed,status.phase!=Succeeded

[ -n "${VAULT_TOKEN:-}" ] ||
  VAULT_TOKEN=$("$vault" write -field=token auth/kubernetes/login role="$VAULT_ROLE" jwt=@"$VAULT_JWT")
export VAULT_TOKEN
"$vault" kv put "$ACK" key_id="$id"
