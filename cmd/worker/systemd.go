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
// the variable, nobody is waiting for one. If it cannot be sent, systemd ends the worker
// when its time to start is over; the log says why.
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
