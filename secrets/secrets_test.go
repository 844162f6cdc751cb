package secrets_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/secrets"
)

var (
	acme  = uuid.MustParse("0a0a0a0a-0000-4000-8000-000000000001")
	bravo = uuid.MustParse("0b0b0b0b-0000-4000-8000-000000000002")
)

// home is a folder of secrets in which acme has some.
type home struct {
	*secrets.Store
	acme string // its folder
}

func newHome(t *testing.T) home {
	t.Helper()
	h := home{Store: &secrets.Store{Dir: t.TempDir(), Prefixes: map[uuid.UUID]string{acme: "ACME_", bravo: "BRAVO_"}}}
	h.acme = filepath.Join(h.Dir, acme.String())
	h.write(t, filepath.Join(h.acme, "token"), "acme's token")
	h.write(t, filepath.Join(h.acme, "vendors", "x.key"), "acme's key\r\n")
	h.write(t, filepath.Join(h.Dir, bravo.String(), "token"), "bravo's token\n")
	h.write(t, filepath.Join(h.Dir, "token"), "nobody's token")
	return h
}

func (h home) write(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

func (h home) link(t *testing.T, target, name string) {
	t.Helper()
	require.NoError(t, os.Symlink(target, filepath.Join(h.acme, name)))
}

// refused requires that an organization does not get a secret, and that the error says
// why and shows nothing of the secret.
func (h home) refused(t *testing.T, organization uuid.UUID, ref integrations.Ref, says string) {
	t.Helper()
	got, err := h.Resolve(t.Context(), organization, ref)
	require.Empty(t, got, ref)
	require.ErrorContains(t, err, says, ref)
	for _, text := range []string{"token\n", "'s token", "'s key", "canary"} {
		require.NotContains(t, err.Error(), text, ref)
	}
}

// An organization names what is in its own space, and nothing else.
func TestOwnSpace(t *testing.T) {
	h := newHome(t)
	for name, value := range map[string]string{
		"ACME_TOKEN": "acme's variable", "BRAVO_TOKEN": "bravo's variable", "ACMETOKEN": "canary", "XLEDGER_TOKEN": "canary",
		"DATABASE_URL": "canary", "LEDGERLINE_SMTP_URL": "canary", "ACME_EMPTY": "", "ACME_LINES": "canary\ncanary",
	} {
		t.Setenv(name, value)
	}
	for _, c := range []struct {
		organization uuid.UUID
		ref          integrations.Ref
		want         string
	}{
		{acme, "file:token", "acme's token"}, {acme, "file:vendors/x.key", "acme's key"}, {acme, "env:ACME_TOKEN", "acme's variable"},
		{bravo, "file:token", "bravo's token"}, {bravo, "env:BRAVO_TOKEN", "bravo's variable"},
	} {
		got, err := h.Resolve(t.Context(), c.organization, c.ref)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	carol := uuid.New()
	for _, c := range []struct {
		organization uuid.UUID
		ref          integrations.Ref
		says         string
	}{
		{bravo, "env:ACME_TOKEN", "does not begin with BRAVO_"}, {acme, "env:BRAVO_TOKEN", "does not begin with ACME_"},
		{acme, "env:ACMETOKEN", "does not begin with"}, {acme, "env:acme_token", "does not begin with"}, {acme, "env:XLEDGER_TOKEN", "does not begin with"},
		{acme, "env:DATABASE_URL", "does not begin with"}, {acme, "env:LEDGERLINE_SMTP_URL", "does not begin with"},
		{acme, "env:ACME_EMPTY", "missing or empty"}, {acme, "env:ACME_NONE", "missing or empty"}, {acme, "env:ACME_LINES", "line break"},
		{carol, "env:ACME_TOKEN", "has no prefix"}, {carol, "file:token", "there is no file"}, {uuid.Nil, "file:token", "no such file"},
		{bravo, integrations.Ref("file:../" + acme.String() + "/token"), "name of a file"},
		{bravo, integrations.Ref("file:" + h.acme + "/token"), "absolute path"}, {bravo, "file:/etc/hostname", "absolute path"},
		{bravo, "file:vendors/x.key", "there is no file"}, {acme, "file:vendors", "is a folder"}, {acme, "file:token/x", "not a directory"},
		{acme, "whatever canary", "must not stand in the file"},
	} {
		h.refused(t, c.organization, c.ref, c.says)
	}
	none := home{Store: new(secrets.Store)}
	none.refused(t, acme, "file:token", "LEDGERLINE_SECRETS")
	none.refused(t, acme, "env:ACME_TOKEN", "has no prefix")
}

// A secret is what stands there and nothing else: blanks around it, and the mark that
// some editors put before it, would be sent.
func TestNothingAroundASecret(t *testing.T) {
	h := newHome(t)
	for _, text := range []string{" canary", "canary ", "canary\t\n", "\u00a0canary", "\ufeffcanary\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(h.acme, "blank"), []byte(text), 0o600))
		h.refused(t, acme, "file:blank", "begins or ends with a blank")
	}
	require.NoError(t, os.WriteFile(filepath.Join(h.acme, "latin1"), []byte("p\xe6ssord-canary"), 0o600))
	h.refused(t, acme, "file:latin1", "is not UTF-8")
}

// The development switch keeps the way of before: any variable, and files by
// their path, whoever can read them. What is laid out in earnest works too.
func TestDevShared(t *testing.T) {
	h := newHome(t)
	h.DevShared = true
	t.Setenv("XLEDGER_TOKEN", "a variable")
	open := filepath.Join(h.Dir, "token")
	require.NoError(t, os.Chmod(open, 0o644))
	require.NoError(t, os.Chmod(h.acme+"/token", 0o644))
	for ref, want := range map[integrations.Ref]string{
		"env:XLEDGER_TOKEN": "a variable", integrations.Ref("file:" + open): "nobody's token", "file:token": "acme's token",
	} {
		got, err := h.Resolve(t.Context(), acme, ref)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	h.refused(t, acme, "file:../token", "name of a file")
	h.refused(t, acme, "file:/dev/ptmx", "is a device")
	h.refused(t, acme, "file:/dev/../dev/zero", "absolute path")
}

// A Kubernetes volume is links inside its folder, which change as one when the
// secret is renewed.
func TestKubernetesVolume(t *testing.T) {
	h := newHome(t)
	volume := filepath.Join(t.TempDir(), "volume")
	for n, value := range []string{"first", "second"} {
		h.write(t, fmt.Sprintf("%s/..2026_11_2%d/api-token", volume, n), value)
	}
	require.NoError(t, os.Symlink("..2026_11_20", volume+"/..data"))
	require.NoError(t, os.Symlink("..data/api-token", volume+"/api-token"))
	carol := uuid.New() // whose folder is a mount that the operator links to
	require.NoError(t, os.Symlink(volume, filepath.Join(h.Dir, carol.String())))
	got, err := h.Resolve(t.Context(), carol, "file:api-token")
	require.NoError(t, err)
	require.Equal(t, "first", got)
	require.NoError(t, os.Symlink("..2026_11_21", volume+"/..data_tmp"))
	require.NoError(t, os.Rename(volume+"/..data_tmp", volume+"/..data"))
	got, err = h.Resolve(t.Context(), carol, "file:api-token")
	require.NoError(t, err)
	require.Equal(t, "second", got)
}

// A link leads nowhere outside an organization's own folder.
func TestLinksStayInside(t *testing.T) {
	h := newHome(t)
	h.link(t, "token", "inside")
	h.link(t, "vendors/../token", "around")
	for _, ref := range []integrations.Ref{"file:inside", "file:around"} {
		got, err := h.Resolve(t.Context(), acme, ref)
		require.NoError(t, err)
		require.Equal(t, "acme's token", got)
	}
	h.link(t, "../token", "up")
	h.link(t, "../"+bravo.String()+"/token", "other")
	h.link(t, "../"+bravo.String(), "folder")
	h.link(t, "folder/token", "through")
	h.link(t, "../"+acme.String()+"/token", "out-and-in")
	h.link(t, "/etc/hostname", "absolute")
	h.link(t, h.acme+"/token", "absolute-inside")
	h.link(t, "/proc/self/environ", "environment")
	h.link(t, "/dev/ptmx", "device")
	for _, name := range []string{"up", "other", "folder/token", "through", "out-and-in", "absolute", "absolute-inside", "environment", "device"} {
		h.refused(t, acme, integrations.Ref("file:"+name), "a link leads out")
	}
	h.link(t, "loop", "loop")
	h.refused(t, acme, "file:loop", "file:loop")
}

// Only a regular file is read, which others have no access to and which is not
// too long.
func TestOnlyRegularFiles(t *testing.T) {
	h := newHome(t)
	require.NoError(t, syscall.Mkfifo(h.acme+"/pipe", 0o600))
	l, err := net.Listen("unix", h.acme+"/socket")
	require.NoError(t, err)
	defer l.Close()
	for name, says := range map[string]string{"pipe": "is a named pipe", "socket": "is a socket", "vendors": "is a folder"} {
		h.refused(t, acme, integrations.Ref("file:"+name), says)
	}
	for name, c := range map[string]struct{ content, says string }{
		"empty": {"", "missing or empty"}, "newline": {"\n", "missing or empty"}, "lines": {"canary\ncanary", "line break"}, "nul": {"canary\x00", "NUL"},
		"long": {strings.Repeat("x", secrets.MaxSecret+1), "longer than"}, "endless": {strings.Repeat("canary", 1<<20), "longer than"},
	} {
		h.write(t, filepath.Join(h.acme, name), c.content)
		h.refused(t, acme, integrations.Ref("file:"+name), c.says)
	}
	h.write(t, h.acme+"/longest", strings.Repeat("x", secrets.MaxSecret)+"\r\n")
	got, err := h.Resolve(t.Context(), acme, "file:longest")
	require.NoError(t, err)
	require.Len(t, got, secrets.MaxSecret)

	for mode, fine := range map[os.FileMode]bool{0o400: true, 0o440: true, 0o600: true, 0o660: true, 0o644: false, 0o604: false, 0o602: false, 0o666: false} {
		require.NoError(t, os.Chmod(h.acme+"/token", mode))
		if fine {
			_, err := h.Resolve(t.Context(), acme, "file:token")
			require.NoError(t, err, "%o", mode)
			continue
		}
		h.refused(t, acme, "file:token", "run chmod o=")
	}
}

// A file that became a pipe after it was looked at is not waited for.
func TestSwappedFile(t *testing.T) {
	h := newHome(t)
	require.NoError(t, syscall.Mkfifo(h.acme+"/pipe", 0o600))
	for _, is := range []string{h.acme + "/pipe", "/dev/zero", h.acme} {
		_, err := secrets.ReadSwapped(h.acme+"/token", is)
		require.ErrorContains(t, err, "not a regular file")
	}
}

// The operator's own secrets are where the operator says, and nobody else can
// name them.
func TestOperator(t *testing.T) {
	h := newHome(t)
	t.Setenv("MAIL_PASSWORD", "a variable")
	require.NoError(t, os.Chmod(h.Dir+"/token", 0o444)) // as a container's secrets are
	for ref, want := range map[string]string{"env:MAIL_PASSWORD": "a variable", "file:" + h.Dir + "/token": "nobody's token"} {
		read, err := h.Operator(ref)
		require.NoError(t, err)
		got, err := read(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for ref, says := range map[string]string{
		"env:ACME_MAIL": "organization " + acme.String(), "env:": "want env:NAME", "file:token": "want file:/path", "file:/a/../canary": "want file:/path", "canary": "must not stand here", "": "must not stand here",
	} {
		_, err := h.Operator(ref)
		require.ErrorContains(t, err, says)
		require.NotContains(t, err.Error(), "canary")
	}
	require.NoError(t, syscall.Mkfifo(h.Dir+"/pipe", 0o600))
	for path, says := range map[string]string{h.Dir + "/pipe": "a named pipe", "/dev/ptmx": "a device", h.Dir: "a folder", h.Dir + "/none": "no such file"} {
		read, err := h.Operator("file:" + path)
		require.NoError(t, err)
		_, err = read(context.Background())
		require.ErrorContains(t, err, says)
	}
}
