# Gateway, worker and tools in one image: the first word of a container's command says which (`gateway`, `worker`, …).
# tests/containers runs the steps below in a folder of its own; what needs a container engine is not run there.

FROM python:3.11.14-slim-trixie AS build
WORKDIR /build
RUN python -m venv --without-pip /opt/firmhold
COPY requirements-image.lock ./
RUN python -m pip --python /opt/firmhold/bin/python install --disable-pip-version-check --no-input \
    --no-deps --require-hashes --only-binary :all: -r requirements-image.lock
COPY pyproject.toml LICENSE ./
COPY topics topics
COPY schema schema
COPY workers workers
COPY gateway gateway
COPY firmhold firmhold
RUN python -m pip --python /opt/firmhold/bin/python install --disable-pip-version-check --no-input \
    --no-deps --no-index --no-build-isolation .

FROM python:3.11.14-slim-trixie
RUN groupadd --gid 10001 firmhold && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin firmhold
COPY --from=build /opt/firmhold /opt/firmhold
ENV PATH=/opt/firmhold/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8080 9100
ENTRYPOINT ["firmhold"]
CMD ["--help"]
