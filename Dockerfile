# Two images. The worker's is what runs in production: one binary, and nothing that plays Call Kit. The tools' is the
# same with publisher and voipctl beside it, for jobs, for looking around and for a bridge to try things with.
#   docker build --target worker .
#   docker build .
# Base images come by ARG, so that a build behind a mirror, or with no registry at all, can bring its own, as .ci/image
# does:
#   docker build --build-arg FINAL_IMAGE=scratch .
# The tags below are fixed ones. To pin the bytes as well, append the digest that your registry shows for the tag:
#   --build-arg BUILD_IMAGE=docker.io/library/golang:1.26.8@sha256:…
ARG BUILD_IMAGE=docker.io/library/golang:1.26.8
ARG FINAL_IMAGE=gcr.io/distroless/static-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
# Settings of the build are ARGs of this stage and never ENV: an ENV would follow the binaries into the image that runs.
ARG GOPROXY=https://proxy.golang.org,direct
# Modules are a layer of their own, which only a change of go.mod makes anew.
COPY go.mod go.sum ./
RUN GOPROXY="${GOPROXY}" go mod download
COPY cmd cmd
COPY internal internal
# `production` leaves the embedded broker and the in-process Call Kit out of the worker; the other two binaries are the
# same with and without it. An empty TAGS builds the worker that can run by itself.
ARG TAGS=production
ARG VERSION=devel
ARG COMMIT=unknown
# -buildvcs=false: the history is not in the build context; version and commit come as arguments.
RUN CGO_ENABLED=0 GOPROXY="${GOPROXY}" go build -trimpath -buildvcs=false -tags "${TAGS}" \
      -ldflags "-s -w \
        -X github.com/voip-push/worker/internal/telemetry.Version=${VERSION} \
        -X github.com/voip-push/worker/internal/telemetry.Commit=${COMMIT}" \
      -o /out/ ./cmd/worker ./cmd/publisher ./cmd/voipctl
# What distroless has and scratch has not: the authorities that https avatars and bridges are checked against, and a
# name for the user.
RUN mkdir -p /root-of-image/etc/ssl/certs \
 && cp /etc/ssl/certs/ca-certificates.crt /root-of-image/etc/ssl/certs/ \
 && echo 'nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >/root-of-image/etc/passwd \
 && echo 'nonroot:x:65532:' >/root-of-image/etc/group

FROM ${FINAL_IMAGE} AS worker
ARG VERSION=devel
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="voip-push worker" \
      org.opencontainers.image.description="Consumes VoIP pushes from NATS JetStream and reports them to Call Kit" \
      org.opencontainers.image.source="https://github.com/voip-push/worker" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
COPY --from=build /root-of-image/ /
COPY LICENSE /usr/share/doc/voip-push/LICENSE
COPY --from=build /out/worker /usr/local/bin/
# By number: a kubelet that must see that it is not root cannot look a name up.
USER 65532:65532
# Loopback, the worker's own default, cannot be probed from outside the container.
ENV HTTP_ADDR=:8080
EXPOSE 8080
# Nothing is written to disk: run it with a read-only root.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/usr/local/bin/worker", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/worker"]

FROM worker AS tools
LABEL org.opencontainers.image.title="voip-push tools" \
      org.opencontainers.image.description="worker, publisher and voipctl"
COPY --from=build /out/publisher /out/voipctl /usr/local/bin/
