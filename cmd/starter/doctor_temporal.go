package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/dial"
	"github.com/ledgerline/ledgerline/internal/environ"
	"github.com/ledgerline/ledgerline/workflows"
)

// leastRetention is the retention of a namespace below which people miss histories.
const leastRetention = 24 * time.Hour

func (t *temporalSide) checks(ctx context.Context) []check {
	var options client.Options
	temporal, namespace, err := dial.Temporal(ctx, dial.Options{Within: t.timeout, Configure: func(o *client.Options) {
		o.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
		options = *o
	}})
	t.namespace = options.Namespace // known also if it cannot be reached
	var away *dial.Error
	switch {
	case errors.As(err, &away):
		return []check{{checkTemporal, checkFailed, "cannot be reached: " + away.What, away.Remedy}}
	case err != nil:
		return []check{{checkTemporal, checkFailed, err.Error(), "correct the variable or the file"}}
	}
	t.client, t.namespace = temporal, namespace
	encrypted := options.ConnectionOptions.TLS != nil || options.Credentials != nil && !options.ConnectionOptions.TLSDisabled
	reached := beside(ctx, t.timeout, func(ctx context.Context) []check { return []check{t.reached(ctx, options)} })
	all := append(reached, tlsCheck(checkTemporalTLS, encrypted, loopback(cmp.Or(options.HostPort, client.DefaultHostPort)), "TEMPORAL_TLS"))
	all = append(all, beside(ctx, t.timeout, t.described)...)
	if !t.usable {
		return all
	}
	return append(all, beside(ctx, t.timeout,
		t.searchAttributes,
		func(ctx context.Context) []check { t.measureClock(ctx); return nil })...)
}

func (t *temporalSide) reached(ctx context.Context, options client.Options) check {
	version, err := engine.ServerVersion(ctx, t.client)
	if err != nil {
		return check{checkTemporal, checkFailed, environ.Cause(err), cmp.Or(dial.Refused(err), "see the message")}
	}
	how := ""
	if options.Credentials != nil {
		how = ", with an API key"
	} else if tls := options.ConnectionOptions.TLS; tls != nil && (len(tls.Certificates) > 0 || tls.GetClientCertificate != nil) {
		how = ", with a client certificate"
	}
	return check{checkTemporal, checkOK, fmt.Sprintf("server %s at %s%s", version, environ.Hide(cmp.Or(options.HostPort, client.DefaultHostPort)), how), ""}
}

// tlsCheck says whether a connection is encrypted. One that stays on this machine need
// not be.
func tlsCheck(name string, encrypted, local bool, variable string) check {
	switch {
	case encrypted:
		return check{name, checkOK, "the connection is encrypted", ""}
	case local:
		return check{name, checkOK, "the connection is not encrypted, and stays on this machine", ""}
	}
	return check{name, checkWarn, "the connection is not encrypted", "turn TLS on: " + variable + "; docs/operations.md"}
}

// loopback reports whether an address is on this machine.
func loopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = hostPort
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// described looks at the namespace, and at what it says of the server's configuration.
func (t *temporalSide) described(ctx context.Context) []check {
	n, err := engine.DescribeNamespace(ctx, t.client, t.namespace)
	shown := t.namespace
	var absent *serviceerror.NamespaceNotFound
	var denied *serviceerror.PermissionDenied
	switch {
	case errors.As(err, &absent):
		return []check{{checkNamespace, checkFailed, shown + " does not exist",
			"set TEMPORAL_NAMESPACE, or make it: temporal operator namespace create --retention 720h --namespace " + shown}}
	case errors.As(err, &denied):
		return []check{{checkNamespace, checkFailed, shown + ": Temporal refuses this caller, or it does not exist",
			dial.Refused(err)}}
	case err != nil:
		return []check{{checkNamespace, checkFailed, shown + ": " + environ.Cause(err), "see the message"}}
	}
	t.usable = true
	all := []check{{checkNamespace, checkOK, fmt.Sprintf("%s keeps histories for %v", shown, n.Retention), ""}}
	if n.Retention < leastRetention {
		all[0].State, all[0].Remedy = checkWarn, "keep them for as long as people ask about calls: temporal operator namespace update --retention 720h --namespace "+shown
	}
	if n.EagerWorkflowStart {
		all = append(all, check{checkEagerStart, checkOK, "workflows can start on the worker that asks", ""})
	} else {
		all = append(all, check{checkEagerStart, checkWarn, "off: calls take longer", "system.enableEagerWorkflowStart: true in the server's dynamic configuration"})
	}
	return append(all, check{checkFairness, checkAssumed, "Temporal does not say whether organizations take turns",
		"see that matching.enableFairness (before 1.32 matching.useNewMatcher too) is true in the server's dynamic configuration; on Temporal Cloud, that fairness is on for the namespace"})
}

func (t *temporalSide) searchAttributes(ctx context.Context) []check {
	missing, err := engine.MissingSearchAttributes(ctx, t.client, t.namespace)
	switch {
	case err != nil:
		return []check{{checkSearchAttributes, checkAssumed, "cannot be listed: " + environ.Cause(err), "temporal operator search-attribute list: all of " + strings.Join(workflows.SearchAttributes(), ", ") + ", as Keyword"}}
	case len(missing) == 0:
		return []check{{checkSearchAttributes, checkOK, "all " + count(len(workflows.SearchAttributes()), "search attribute") + " are there as Keyword", ""}}
	}
	remedy := "starter migrate"
	for _, m := range missing {
		if name, _, otherType := strings.Cut(m, " "); otherType {
			remedy = fmt.Sprintf("starter migrate cannot change a type: temporal operator search-attribute remove --namespace %s --name %s, then starter migrate", t.namespace, name)
			break
		}
	}
	return []check{{checkSearchAttributes, checkFailed, "missing: " + strings.Join(missing, ", "), remedy}}
}

func (t *temporalSide) measureClock(ctx context.Context) {
	offset, _, err := engine.ClockOffset(ctx, t.client, t.namespace)
	if t.offsetErr = err; err == nil {
		t.offset = &offset
	}
}
