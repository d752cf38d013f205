# The product for Kubernetes and compose: `cartridge-warp run` by default; `docker run IMAGE dagster dev` works too.
# BASE may be any Debian with or without Python 3.11.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
RUN python3 -c 'import ensurepip, venv' 2>/dev/null || \
    { apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv; }
WORKDIR /src
RUN python3 -m venv /opt/warp
# The packages change less often than the code: a layer of their own. Without the tools of development,
# which the lock has too, it serves as a list of versions; a constraint cannot hold hashes.
COPY pyproject.toml requirements.lock README.md LICENSE ./
RUN sed -E '/^ +--hash/d; s/ \\$//' requirements.lock > constraints.txt && \
    mkdir warp_assets warp_sensors warp_resources && \
    /opt/warp/bin/pip install --no-cache-dir --disable-pip-version-check --quiet -c constraints.txt . && \
    /opt/warp/bin/pip uninstall --quiet --yes cartridge-warp
COPY warp_assets warp_assets
COPY warp_sensors warp_sensors
COPY warp_resources warp_resources
RUN rm -rf build && \
    /opt/warp/bin/pip install --no-cache-dir --disable-pip-version-check --quiet --no-deps . && \
    /opt/warp/bin/cartridge-warp --version

FROM ${BASE}
RUN command -v python3 >/dev/null || \
    { apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 && \
      rm -rf /var/lib/apt/lists/*; }
RUN useradd --uid 10001 --user-group --home-dir /var/lib/cartridge-warp --create-home --shell /usr/sbin/nologin warp
COPY --from=build /opt/warp /opt/warp
COPY --chown=warp:warp dagster.yaml workspace.yaml /var/lib/cartridge-warp/
COPY --chmod=755 deploy/entry.sh deploy/health.py /usr/local/lib/cartridge-warp/
# In a container the loopback is nobody else's: the metrics and Dagster's pages must be reachable from outside.
ENV PATH=/opt/warp/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DAGSTER_HOME=/var/lib/cartridge-warp \
    CARTRIDGE_WARP_CONFIG=/etc/cartridge-warp/warp.yaml \
    CARTRIDGE_WARP_MONITORING__PROMETHEUS__HOST=0.0.0.0 \
    DAGSTER_WEBSERVER_HOST=0.0.0.0
WORKDIR /var/lib/cartridge-warp
USER 10001:10001
EXPOSE 3000 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python3", "/usr/local/lib/cartridge-warp/health.py"]
ENTRYPOINT ["/usr/local/lib/cartridge-warp/entry.sh"]
CMD ["run"]
