// Package traces tests that worker and starter export their traces, with the receiver of OpenTelemetry's own
// collector. It is in this module because of what that takes.
package traces
