"""A Kubernetes API on loopback, as far as kubectl needs it for one Secret, one Deployment and its pods.

A new pod is ready at once. An old one is being stopped until somebody watches it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import count
from threading import Lock
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

from tests.serving import serving

Resource: TypeAlias = dict[str, Any]
NAME, SECRET = "production-backend", "production-backend-api-key"
SELECTED = {"app.kubernetes.io/name": NAME}
DISCOVERY: dict[str, Resource] = {
    "api": {"kind": "APIVersions", "versions": ["v1"]},
    "apis": {
        "kind": "APIGroupList",
        "groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}],
    },
    "api/v1": {"kind": "APIResourceList", "groupVersion": "v1"},
    "apis/apps/v1": {"kind": "APIResourceList", "groupVersion": "apps/v1"},
}
KINDS = {"secrets": ("v1", "Secret"), "pods": ("v1", "Pod"), "deployments": ("apps/v1", "Deployment")}


class Cluster:
    """What is in it is changed by a test, before a request or by `on_patch` and `on_stop` in the midst of one."""

    def __init__(self) -> None:
        self.url = ""
        self.data: dict[str, str] = {}
        """The Secret's, in base64."""
        self.starts = True
        """Whether new pods get ready in time."""
        self.on_patch: Callable[[], None] = lambda: None
        self.on_stop: Callable[[], None] = lambda: None
        """Called before a pod that is being stopped ends."""
        self.asked: list[tuple[str, str]] = []
        """The verb and the resource of each request, as a Role names them."""
        self._lock, self._numbers = Lock(), count(1)
        self._labels, self._generation = dict(SELECTED), 1
        self.pods = [self._new_pod(), self._new_pod()]

    def restarts(self) -> int:
        return self._generation - 1

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        path = url.path.strip("/")
        with self._lock:
            known = DISCOVERY.get(path)
            found = self._discovered(known) if known else self._asked(handler, path, query)
        raw = json.dumps(found).encode() if found else b""  # a watch without an event
        handler.send_response(found.get("code", 200))
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    def _discovered(self, known: Resource) -> Resource:
        version = known.get("groupVersion")
        resources = [
            {"name": name, "singularName": name[:-1], "kind": kind, "namespaced": True}
            | {"verbs": ["get", "list", "watch", "patch"]}
            for name, (of, kind) in KINDS.items()
            if of == version
        ]
        return {"apiVersion": "v1", **known, **({"resources": resources} if version else {})}

    def _asked(self, handler: BaseHTTPRequestHandler, path: str, query: dict[str, str]) -> Resource:
        if path == f"api/v1/namespaces/{NAME}":
            return _refusal(403, "Forbidden")  # which kubectl asks for where it found nothing
        resource, *names = path.partition("/namespaces/")[2].split("/")[1:]
        watches = "watch" in query
        verb = "patch" if handler.command == "PATCH" else "get" if names else "watch" if watches else "list"
        self.asked.append((verb, resource))
        if "sendInitialEvents" in query:
            return _refusal(422, "Invalid")  # an older server: the client lists first
        if verb == "patch":
            self._patch(json.loads(handler.rfile.read()))
        found = [one for one in self._all(resource) if _selected(one, query) and names in ([], [_name(one)])]
        if watches:
            return self._stop(found[0]) if resource == "pods" and found else {}
        if names:
            return found[0] if found else _refusal(404, "NotFound", name=names[0], kind=resource)
        version, kind = KINDS[resource]
        return _resource(version, f"{kind}List", "") | {"items": found}

    def _all(self, resource: str) -> list[Resource]:
        if resource == "secrets":
            return [_resource("v1", "Secret", SECRET) | {"data": self.data}]
        return self.pods if resource == "pods" else [self._deployment()]

    def _patch(self, patch: Resource) -> None:
        labels = self._labels | patch["spec"]["template"]["metadata"]["labels"]
        if labels != self._labels:
            self._labels, self._generation = labels, self._generation + 1
            for pod in self.pods:
                pod["metadata"]["deletionTimestamp"] = "2026-11-21T09:50:00Z"
            self.pods += [self._new_pod(), self._new_pod()]
        self.on_patch()

    def _new_pod(self) -> Resource:
        pod = _resource("v1", "Pod", f"{NAME}-{next(self._numbers)}") | {"status": {"phase": "Running"}}
        pod["metadata"]["labels"] = dict(self._labels)
        return pod

    def _stop(self, pod: Resource) -> Resource:
        """The event for who watches one pod. One that is not being stopped goes on."""
        if "deletionTimestamp" not in pod["metadata"]:
            return {}
        self.on_stop()
        self.pods.remove(pod)
        return {"type": "DELETED", "object": pod}

    def _deployment(self) -> Resource:
        ready = 2 if self.starts else 1
        reason = "NewReplicaSetAvailable" if self.starts else "ProgressDeadlineExceeded"
        deployment = _resource("apps/v1", "Deployment", NAME)
        deployment["metadata"]["generation"] = self._generation
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), ready)
        status: Resource = {"observedGeneration": self._generation, **counts}
        status["conditions"] = [{"type": "Progressing", "status": str(self.starts), "reason": reason}]
        template = {"metadata": {"labels": self._labels}}
        spec = {"replicas": 2, "selector": {"matchLabels": SELECTED}, "template": template}
        return deployment | {"spec": spec, "status": status}


def _resource(version: str, kind: str, name: str) -> Resource:
    metadata = {"name": name, "namespace": NAME, "resourceVersion": "1", "uid": name} if name else {}
    return {"apiVersion": version, "kind": kind, "metadata": metadata or {"resourceVersion": "1"}}


def _name(one: Resource) -> str:
    return str(one["metadata"]["name"])


def _refusal(code: int, reason: str, **details: str) -> Resource:
    status = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason}
    return status | {"message": reason, "details": details}


def _selected(one: Resource, query: dict[str, str]) -> bool:
    """Whether the labels and the fields are those of the selectors."""
    fields = {"metadata.name": _name(one), "status.phase": one.get("status", {}).get("phase")}
    return _matches(one["metadata"].get("labels", {}), query.get("labelSelector", "")) and _matches(
        fields, query.get("fieldSelector", "")
    )


def _matches(values: Resource, selector: str) -> bool:
    terms = [term.replace("!=", "!").replace("==", "=") for term in selector.split(",") if term]
    return all(
        values.get(term.split("!")[0]) != term.split("!")[1]
        if "!" in term
        else values.get(term.split("=")[0]) == term.split("=")[1]
        for term in terms
    )


@contextmanager
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    with serving(made.answer) as url:
        made.url = url
        yield made
