# The tag moves with Python's and Debian's security fixes. To pin one build of the base image, pass its digest:
#   docker buildx imagetools inspect python:3.11-slim-bookworm
#   docker build --build-arg BASE=python:3.11-slim-bookworm@sha256:… .
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG SOURCE_DATE_EPOCH=1767225600
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN pip install --require-hashes --only-binary :all: -r requirements-build.lock \
 && python -m venv --without-pip /opt/rotator \
 && pip --python /opt/rotator/bin/python install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY config/rotator.schema.json config/
COPY docs/operations.md docs/
COPY rotator rotator
# Python cannot compile on a read-only file system, so compile here. The check is by content, not by time.
RUN pip wheel --no-deps --no-build-isolation -w dist . \
 && pip --python /opt/rotator/bin/python install --no-deps --no-index dist/*.whl \
 && PYTHONHASHSEED=0 python -m compileall -q --invalidation-mode unchecked-hash /opt/rotator/lib \
 && find /opt/rotator -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

FROM ${BASE}
ARG BASE
ARG REVISION=""
LABEL org.opencontainers.image.title="rotator" \
      org.opencontainers.image.description="Rotates API keys of the APIMall gateway and keeps their plaintexts in HashiCorp Vault" \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="docker.io/library/${BASE}"
# Without the base image's pip, nothing can be installed here.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.*/ensurepip /usr/local/lib/python3.*/site-packages/*
COPY --from=build /opt/rotator /opt/rotator
ENV PATH=/opt/rotator/bin:$PATH \
    ROTATOR_HTTP__LISTEN=0.0.0.0:9464
USER 10001:10001
EXPOSE 9464
STOPSIGNAL SIGTERM
# The image has no curl. A single pass serves no probes, so run it with --no-healthcheck.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["python", "-Ic", "from http.client import HTTPConnection as C; c = C('127.0.0.1', 9464, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["rotator"]
CMD ["run"]
