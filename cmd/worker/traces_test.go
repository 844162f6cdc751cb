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
// their values.
func TestTracesLogNoValue(t *testing.T) {
	for name, value := range map[string]string{
		"ENDPOINT": "http://cnryuser:cnrypass@cnryhost.invalid:1/cnrypath", "HEADERS": "cnry1,cnry2=%zzcnry3,authorization=cnry4",
		"CERTIFICATE": "/cnry/file", "CLIENT_CERTIFICATE": "/cnry/cert", "CLIENT_KEY": "/cnry/key",
		"TIMEOUT": "cnry5", "COMPRESSION": "cnry6", "INSECURE": "cnry7",
		"TRACES_HEADERS": "cnry8", "TRACES_TIMEOUT": "cnry9",
	} {
		t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
	}
	for _, protocol := range []string{"grpc", "http/protobuf", "cnry10"} {
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
