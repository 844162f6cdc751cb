package e2e

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ledgerline/ledgerline/engine"
	"github.com/ledgerline/ledgerline/internal/devstack"
	"github.com/ledgerline/ledgerline/workflows"
)

// call makes a call with starter.
func (w ward) call(env []string) (out, words string, code int) {
	w.t.Helper()
	return starterEnv(w.t, append(w.Env(devstack.Operator), env...), "", "call", "--org", w.org.String(), "--integration", "xledger-main", "--operation", "ping")
}

// works requires that calls are made, from starter over Temporal to a worker and back, and
// that the doctor says how the programs come in.
func (w ward) works(env []string, how string) {
	w.t.Helper()
	process := w.worker(env...)
	out, words, code := w.call(env)
	require.Equal(w.t, 0, code, words)
	require.True(w.t, fromJSON[workflows.Outcome](w.t, out).OK)
	var seen string
	require.Eventually(w.t, func() bool {
		seen, _, code = starterEnv(w.t, append(w.Env(devstack.Operator), env...), "", "doctor")
		return code == 0
	}, 2*time.Minute, time.Second, "%s", &seen)
	require.Regexp(w.t, `(?m)^Temporal +ok +server .*`+how, seen)
	require.Regexp(w.t, `(?m)^Temporal TLS +ok +the connection is encrypted`, seen)
	require.NoError(w.t, process.Stop(30*time.Second))
}

// refuses requires that neither program gets in, and that both say why and what to do.
func (w ward) refuses(env []string, why, remedy string) {
	w.t.Helper()
	_, words, code := w.call(env)
	require.Equal(w.t, 1, code, words)
	for _, text := range []string{why, remedy} {
		require.Contains(w.t, words, text)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, workerBin, "--monitors=false")
	c.Env = append(os.Environ(), append(w.Env(devstack.Worker), env...)...)
	said, err := c.CombinedOutput()
	require.Error(w.t, err)
	require.Equal(w.t, 1, c.ProcessState.ExitCode(), "%s", said)
	for _, text := range []string{why, remedy} {
		require.Contains(w.t, string(said), text)
	}
	require.NotContains(w.t, string(said), "worker ready")
	found, _ := w.examine(env)
	require.Contains(w.t, []string{"Temporal", "namespace"}, found[0].Check)
	require.Equal(w.t, "FAIL", found[0].State)
	require.Contains(w.t, found[0].Remedy, remedy)
	for _, value := range env { // a key is not repeated
		if key, ok := strings.CutPrefix(value, "TEMPORAL_API_KEY="); ok {
			require.NotContains(w.t, words+string(said), key)
		}
	}
}

// guarded starts a stack whose Temporal server has a certificate for a host.
func guarded(t *testing.T, ca authority, server map[string]any, options client.Options) ward {
	files := map[string]any{"certFile": ca.file("server.pem"), "keyFile": ca.file("server.key")}
	for key, value := range server {
		files[key] = value
	}
	config := map[string]any{"tls": map[string]any{"frontend": map[string]any{"server": files}}}
	if issued, ok := server["authorization"]; ok {
		delete(files, "authorization")
		config["authorization"] = issued
	}
	s, err := devstack.StartStack(t.Context(), devstack.StackOptions{Log: os.Stderr, Temporal: devstack.TemporalOptions{
		Server: map[string]any{"global": config}, InternalFrontend: true, Client: options,
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	w := ward{s, t, uuid.New()}
	_, err = s.Apply(t.Context(), w.org, "")
	require.NoError(t, err)
	return w
}

// A server that wants client certificates: who has a good one works, and whoever has none
// learns why and what to do.
func TestClientCertificates(t *testing.T) {
	ca, other := newAuthority(t, "the cluster"), newAuthority(t, "somebody else")
	ca.issue("server", false, "127.0.0.1")
	ca.issue("worker", false)
	ca.issue("expired", true)
	other.issue("worker", false)
	w := guarded(t, ca, map[string]any{"requireClientAuth": true, "clientCaFiles": []string{ca.file("ca.pem")}},
		client.Options{ConnectionOptions: client.ConnectionOptions{TLS: ca.client("worker")}})

	env := func(trusted, of authority, name string, more ...string) []string {
		all := append([]string{"TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + trusted.file("ca.pem")}, more...)
		if name != "" {
			all = append(all, "TEMPORAL_TLS_CLIENT_CERT_PATH="+of.file(name+".pem"), "TEMPORAL_TLS_CLIENT_KEY_PATH="+of.file(name+".key"))
		}
		return all
	}
	const certificate = "TEMPORAL_TLS_CLIENT_CERT_PATH"
	for name, c := range map[string]struct {
		env         []string
		why, remedy string
	}{
		"no TLS":               {nil, "cannot reach Temporal", "the server speaks TLS"},
		"no certificate":       {env(ca, ca, ""), "certificate required", certificate},
		"of another authority": {env(ca, other, "worker"), "remote error: tls: ", certificate},
		"expired":              {env(ca, ca, "expired"), "remote error: tls: expired certificate", certificate},
		"another server":       {env(other, ca, "worker"), "signed by unknown authority", "TEMPORAL_TLS_SERVER_CA_CERT_PATH"},
		"another name":         {env(ca, ca, "worker", "TEMPORAL_TLS_SERVER_NAME=elsewhere.example"), "x509: certificate is not valid", "TEMPORAL_TLS_SERVER_NAME"},
	} {
		t.Run(name, func(t *testing.T) { ward{w.Stack, t, w.org}.refuses(c.env, c.why, c.remedy) })
	}
	w.works(env(ca, ca, "worker"), "with a client certificate")
}

// A server with an authorizer, as Temporal Cloud is one: an API key over TLS, a server
// that is known by the name of the namespace, and no right to create search attributes.
func TestAPIKeys(t *testing.T) {
	const namespace = "ledgerline.a1b2c"
	const host = namespace + ".tmprl.example"
	ca, issued, foreign := newAuthority(t, "the cluster"), newIssuer(t), newIssuer(t)
	ca.issue("server", false, host)
	admin := ca.client("")
	admin.ServerName = host
	options := client.Options{
		Credentials:       client.NewAPIKeyStaticCredentials(issued.sign(time.Hour, "temporal-system:admin")),
		ConnectionOptions: client.ConnectionOptions{TLS: admin},
	}
	w := guarded(t, ca, map[string]any{"authorization": map[string]any{
		"jwtKeyProvider": map[string]any{"keySourceURIs": []string{issued.keys()}, "refreshInterval": "1m"}, "permissionsClaimName": "permissions",
		"authorizer": "default", "claimMapper": "default",
	}}, options)
	c, err := client.Dial(w.Temporal.ClientOptions())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour)})
	require.NoError(t, err)

	env := func(key string) []string {
		all := []string{"TEMPORAL_NAMESPACE=" + namespace, "TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + ca.file("ca.pem"), "TEMPORAL_TLS_SERVER_NAME=" + host}
		if key != "" {
			all = append(all, "TEMPORAL_API_KEY="+key)
		}
		return all
	}
	migrate := func(key string) (words string, code int) {
		_, words, code = starterEnv(t, append(w.Env(devstack.Admin), env(key)...), "", "migrate")
		return words, code
	}
	write := issued.sign(time.Hour, namespace+":write")
	var words string
	var code int
	require.Eventually(t, func() bool { // the server learns of a namespace within seconds
		words, code = migrate(write)
		return strings.Contains(words, "create them by hand")
	}, time.Minute, time.Second, "%s", &words)
	require.Equal(t, 1, code)
	require.Contains(t, words, "OrganizationId, IntegrationId")
	require.Contains(t, words, "temporal operator search-attribute create --namespace "+namespace+" --name OrganizationId --type Keyword")
	require.Contains(t, words, "tcld namespace search-attributes add")
	words, code = migrate(issued.sign(time.Hour, namespace+":admin"))
	require.Equal(t, 0, code, words)
	require.Contains(t, words, " search attributes added, 0 there before")
	words, code = migrate(write)
	require.Equal(t, 0, code, words)

	const remedy = "TEMPORAL_API_KEY (whole, not expired)"
	for name, key := range map[string]string{
		"no key": "", "of another issuer": foreign.sign(time.Hour, namespace+":write"), "expired": issued.sign(-time.Hour, namespace+":write"),
		"cut off": write[:len(write)-20], "of another namespace": issued.sign(time.Hour, "default:write"), "without rights": issued.sign(time.Hour),
	} {
		t.Run(name, func(t *testing.T) { ward{w.Stack, t, w.org}.refuses(env(key), "nauthorized", remedy) })
	}
	_, words, code = w.call(env(issued.sign(time.Hour, namespace+":read")))
	require.Equal(t, 1, code)
	require.Contains(t, words, remedy, "to read is not to start")
	w.works(env(write), "with an API key")
}

// Where nobody may use the operator service, the namespace itself says which search
// attributes it has, and of which type.
func TestNoOperatorService(t *testing.T) {
	for name, refusal := range map[string]codes.Code{"denied": codes.PermissionDenied, "not served": codes.Unimplemented} {
		t.Run(name, func(t *testing.T) {
			options := stack.Temporal.ClientOptions()
			options.ConnectionOptions.DialOptions = append(options.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(
				func(ctx context.Context, method string, in, out any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, o ...grpc.CallOption) error {
					if strings.Contains(method, "operatorservice") {
						return status.Error(refusal, "no operator service")
					}
					return invoke(ctx, method, in, out, conn, o...)
				}))
			c, err := client.DialContext(t.Context(), options)
			require.NoError(t, err)
			defer c.Close()
			missing, err := engine.MissingSearchAttributes(t.Context(), c, stack.Temporal.Namespace)
			require.NoError(t, err)
			require.Empty(t, missing)

			namespace := "bare-" + uuid.NewString()
			_, err = temporal.WorkflowService().RegisterNamespace(t.Context(), &workflowservice.RegisterNamespaceRequest{Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(24 * time.Hour)})
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				missing, err = engine.MissingSearchAttributes(t.Context(), c, namespace)
				return err == nil
			}, time.Minute, 200*time.Millisecond, "%v", &err)
			require.Equal(t, workflows.SearchAttributes(), missing)
			_, err = engine.AddSearchAttributes(t.Context(), c, namespace)
			require.ErrorContains(t, err, "create them by hand")

			_, err = temporal.OperatorService().AddSearchAttributes(t.Context(), &operatorservice.AddSearchAttributesRequest{
				Namespace: namespace, SearchAttributes: map[string]enums.IndexedValueType{missing[0]: enums.INDEXED_VALUE_TYPE_INT, missing[1]: enums.INDEXED_VALUE_TYPE_KEYWORD},
			})
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				missing, err = engine.MissingSearchAttributes(t.Context(), c, namespace)
				return err == nil && len(missing) == len(workflows.SearchAttributes())-1
			}, time.Minute, 200*time.Millisecond, "%v", &missing)
			require.Equal(t, workflows.SearchAttributes()[0]+" (there as Int, needed as Keyword)", missing[0])
		})
	}
}
