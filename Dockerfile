# The images of the service, one target each:
#
#   docker build --target api    --tag rightfit-api:0.1.0 .       no torch
#   docker build --target worker --tag rightfit-worker:0.1.0 .    with CUDA; the host provides the driver
#
# All packages come from hash-locked requirements, without a compiler. The bytecode is compiled here. The images run as
# an unprivileged user on a read-only root file system. They write only to /tmp, /dev/shm and RIGHTFIT_HOME.

# The Python version of the tests. A digest may follow the tag: 3.11-slim-trixie@sha256:…
ARG PYTHON=3.11-slim-trixie

FROM python:${PYTHON} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /build
COPY deploy/locks/setup.txt locks/
RUN pip install --no-cache-dir --require-hashes --requirement locks/setup.txt && uv venv /opt/rightfit
ENV VIRTUAL_ENV=/opt/rightfit

# Rightfit itself: one wheel for both images. The build requirements are locked too, and stay in this stage.
FROM builder AS wheel
COPY deploy/locks/dev.txt locks/
COPY LICENSE README.md pyproject.toml ./
COPY service service
COPY workers workers
RUN uv build --wheel --require-hashes --build-constraints locks/dev.txt --out-dir dist

# Requirements come first, so that a change of the code does not rebuild their layer of some gigabytes.
FROM builder AS api-packages
COPY deploy/locks/api.txt locks/
RUN uv pip sync --require-hashes --only-binary :all: locks/api.txt
COPY --from=wheel /build/dist dist
RUN uv pip install --no-deps --no-index --find-links dist rightfit

FROM builder AS worker-packages
COPY deploy/locks/worker.txt locks/
RUN uv pip sync --require-hashes --only-binary :all: locks/worker.txt
COPY --from=wheel /build/dist dist
RUN uv pip install --no-deps --no-index --find-links dist rightfit

FROM python:${PYTHON} AS runtime
LABEL org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="Rightfit"
RUN groupadd --gid 10001 rightfit \
    && useradd --uid 10001 --gid 10001 --no-log-init --home-dir /var/lib/rightfit --no-create-home rightfit \
    && install --directory --owner 10001 --group 10001 --mode 750 /var/lib/rightfit
# HOME holds torch's downloads and compiled code. The cache of matplotlib may be lost.
ENV PATH=/opt/rightfit/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/rightfit \
    MPLCONFIGDIR=/tmp/matplotlib \
    TORCHINDUCTOR_CACHE_DIR=/var/lib/rightfit/torchinductor \
    RIGHTFIT_HOME=/var/lib/rightfit
VOLUME /var/lib/rightfit
# Python imports modules from the working directory, so it must not be a writable folder.
WORKDIR /opt/rightfit
# A number, because Kubernetes cannot verify from a name that the user is not root.
USER 10001:10001
STOPSIGNAL SIGTERM

# There is no compiler. For jobs with `compile: on`, build your own image FROM this one with g++.
FROM runtime AS worker
LABEL org.opencontainers.image.title="Rightfit worker" \
      org.opencontainers.image.description="Trains Rightfit jobs, one at a time"
COPY --from=worker-packages /opt/rightfit /opt/rightfit
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    RIGHTFIT_METRICS_PORT=9100
EXPOSE 9100
# The start period is long, because reading torch from a cold disk takes minutes.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5m --retries=3 CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['RIGHTFIT_METRICS_PORT']), timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
CMD ["python", "-m", "workers"]

FROM runtime AS api
LABEL org.opencontainers.image.title="Rightfit API" \
      org.opencontainers.image.description="The API, the pages and the rightfit command"
COPY deploy/gunicorn.conf.py /etc/rightfit/gunicorn.conf.py
COPY --from=api-packages /opt/rightfit /opt/rightfit
# The image listens on all addresses, so it requires keys.
ENV RIGHTFIT_AUTH=keys \
    RIGHTFIT_HOST=0.0.0.0 \
    RIGHTFIT_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=1m --retries=3 CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['RIGHTFIT_PORT']), timeout=4); c.request('GET', '/livez'); sys.exit(c.getresponse().status != 200)"]
# The heartbeat files of gunicorn are in /dev/shm, so they never wait for a disk.
CMD ["gunicorn", "--config", "/etc/rightfit/gunicorn.conf.py", "--worker-tmp-dir", "/dev/shm", "service.wsgi:app"]
