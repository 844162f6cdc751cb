package main

import (
	"bytes"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/tracing"
)

// What OpenTelemetry says of its settings and of a collector that is away shows none of
// their secrets: headers, and an address with user info.
func TestTracesLogNoSecret(t *testing.T) {
	for name, value := range map[string]string{
		"ENDPOINT": "http://cnryuser:cnrypass@cnryhost.invalid:1/cnrypath", "HEADERS": "cnry1,cnry2=%zzcnry3,authorization=cnry4",
		"CERTIFICATE": "/no/file", "CLIENT_CERTIFICATE": "/no/cert", "CLIENT_KEY": "/no/key",
		"TIMEOUT": "soon", "COMPRESSION": "some", "INSECURE": "perhaps",
		"TRACES_HEADERS": "cnry5", "TRACES_TIMEOUT": "later",
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
	}
	for _, protocol := range []string{"grpc", "http/protobuf", "smoke"} {
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
		var out bytes.Buffer
		log := newLogger(config{logFormat: "json", logLevel: slog.LevelDebug}, &out)
		var failed atomic.Int64
		traces, err := tracing.Start(t.Context(), tracing.Options{Service: "test", Log: log, OneTry: true, Failed: func() { failed.Add(1) }})
		log.Warn("there are no traces", "error", err)
		_, end := traces.Begin(t.Context(), "test", nil)
		end(nil, nil)
		traces.Close()
		require.NotContains(t, out.String(), "cnry")
		require.Equal(t, traces != nil, failed.Load() > 0, "%s: %s", protocol, out.String())
		require.Contains(t, out.String(), map[bool]string{true: "traces are not exported", false: "want grpc or http/protobuf"}[traces != nil])
	}
}
