FROM golang:1.26.10 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git, from which the build takes what --version of the programs says.
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/ ./cmd/worker ./cmd/starter ./cmd/console && CGO_ENABLED=0 go build -trimpath -o /out/sandbox ./internal/sandbox/cmd

FROM debian:13-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/ /usr/local/bin/
USER 65532
CMD ["worker"]
