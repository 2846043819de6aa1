# An image with broken policies does not build: check and test run here.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ENV CGO_ENABLED=0
RUN go build -trimpath -ldflags="-s -w" -o /out/gateway ./cmd/gateway
RUN /out/gateway check --policies policies && /out/gateway test --policies policies
# Owned by the non-root user of the last stage, so that a fresh volume is writable for it.
RUN mkdir -p -m 0700 /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/gateway /gateway
COPY --from=build /src/policies /policies
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV GATEWAY_DATA=/data GATEWAY_POLICIES=/policies
VOLUME /data
EXPOSE 1587 1465
ENTRYPOINT ["/gateway"]
CMD ["serve"]
