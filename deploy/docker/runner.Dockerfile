# The image for steps in containers: a shell, what steps commonly need, and a wrapper that sources start-up scripts.
# Its context is this directory; README.md beside it says what it takes.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS base
RUN apt-get update && \
    apt-get install -y --no-install-recommends \
        bash ca-certificates curl git gzip jq openssh-client tar unzip && \
    rm -rf /var/lib/apt/lists/*
COPY entrypoint.sh /usr/local/bin/stroem-entrypoint
ARG USER=root
RUN mkdir -p /workspace && chown "${USER}" /workspace
WORKDIR /workspace
USER ${USER}
ENTRYPOINT ["/usr/local/bin/stroem-entrypoint"]
CMD ["echo 'The Strøm runner is ready.'"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="stroem-runner" \
      org.opencontainers.image.description="Strøm: the image for steps in containers" \
      org.opencontainers.image.source="https://github.com/stroem/stroem" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM base AS tools
USER root
COPY install-tools.sh /usr/local/bin/install-tools
ARG SOPS_VERSION=3.11.0
ARG VALS_VERSION=0.43.3
ARG YQ_VERSION=4.52.4
ARG UV_VERSION=0.10.4
ARG BUN_VERSION=1.3.9
ARG RELEASES=https://github.com
RUN mkdir /tools && install-tools /tools sops vals yq uv bun

FROM base AS runner
COPY --from=tools /tools/ /usr/local/bin/
