# syntax=docker/dockerfile:1
# docker build -t reli --build-arg VERSION="$(git describe --tags --always)" .
# One image, all commands: `docker run … reli migrate`, then `docker run … reli` for the service.

FROM debian:bookworm-slim AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /src
COPY scripts/install.sh scripts/lib.sh scripts/
RUN scripts/install.sh build && rm -rf /var/lib/apt/lists/*
COPY http/ui http/ui
COPY scripts scripts
RUN scripts/vendor.sh build/vendor
COPY Makefile ./
COPY sql sql
COPY core core
COPY gateways gateways
COPY store store
COPY ws ws
COPY http http
ARG VERSION=unknown
RUN make -j"$(nproc)" VERSION="$VERSION" all && \
    make VERSION="$VERSION" install DESTDIR=/out PREFIX=/usr/local && \
    strip --strip-debug /out/usr/local/bin/reli

FROM debian:bookworm-slim
RUN apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates libcjose0 libcurl4 libhiredis0.14 libjansson4 libpq5 libsodium23 libssl3 \
        libuv1 libwslay1 && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin reli
COPY --from=build /out/usr/local/bin/reli /usr/local/bin/reli
COPY LICENSE /usr/share/doc/reli/LICENSE
COPY --from=build /src/build/vendor/static/swagger-ui-license.txt /usr/share/doc/reli/
USER 10001:10001
ENV RELI_LISTEN=0.0.0.0:8080
EXPOSE 8080
# The service drains for up to RELI_DRAIN_TIMEOUT (25 s): give `docker stop` 30.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["reli", "health"]
ENTRYPOINT ["reli"]
CMD ["serve"]
