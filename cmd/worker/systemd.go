package main

import (
	"log/slog"
	"net"
)

// What a service of Type=notify says to systemd, as sd_notify(3) has it.
const (
	notifyReady    = "READY=1"
	notifyStopping = "STOPPING=1"
)

// notifySystemd sends a state to the socket that systemd names in NOTIFY_SOCKET. Without
// the variable, nobody is waiting for one. If it cannot be sent, the worker works all the
// same and the log says why; systemd shows it as activating, since the unit sets no time
// to start, and ends it at a stop.
func notifySystemd(getenv func(string) string, state string, logger *slog.Logger) {
	socket := getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"}) // "@…" is an abstract one
	if err == nil {
		_, err = conn.Write([]byte(state))
		conn.Close()
	}
	if err != nil {
		logger.Error("systemd could not be notified", "state", state, "error", err)
	}
}
