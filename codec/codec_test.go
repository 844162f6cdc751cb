package codec_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/ledgerline/ledgerline/codec"
)

func random() []byte {
	b := make([]byte, codec.KeySize)
	_, _ = rand.Read(b)
	return b
}

func keys(t *testing.T, current string, byID map[string][]byte) *codec.Keys {
	t.Helper()
	k, err := codec.New(current, byID)
	require.NoError(t, err)
	return k
}

func payload(t *testing.T, v any) *common.Payload {
	t.Helper()
	p, err := converter.GetDefaultDataConverter().ToPayload(v)
	require.NoError(t, err)
	return p
}

func one(t *testing.T, list []*common.Payload, err error) *common.Payload {
	t.Helper()
	require.NoError(t, err)
	require.Len(t, list, 1)
	return list[0]
}

// What is encrypted comes back as it was, whatever it is, under each key that is still there;
// nothing of it shows; and no two are alike.
func TestRoundTrip(t *testing.T) {
	first, second := random(), random()
	before := keys(t, "2026-10", map[string][]byte{"2026-10": first})
	after := keys(t, "2026-11", map[string][]byte{"2026-10": first, "2026-11": second})
	for name, p := range map[string]*common.Payload{
		"text": payload(t, "canary"), "nothing": payload(t, nil), "bytes": payload(t, []byte("canary")), "empty": {}, "large": payload(t, strings.Repeat("canary", 1<<18)),
		"metadata": {Metadata: map[string][]byte{"encoding": []byte("json/plain"), "canary": []byte("canary")}, Data: []byte(`"canary"`)},
	} {
		t.Run(name, func(t *testing.T) {
			is := proto.Clone(p).(*common.Payload)
			list, err := before.Encode([]*common.Payload{p})
			old := one(t, list, err)
			require.True(t, proto.Equal(is, p), "what is given stays as it is")
			require.Equal(t, map[string][]byte{"encoding": []byte("binary/encrypted"), "encryption-key-id": []byte("2026-10")}, old.Metadata)
			require.NotContains(t, old.String(), "canary")
			list, err = before.Encode([]*common.Payload{p})
			require.NotEqual(t, old.Data, one(t, list, err).Data)
			list, err = after.Encode([]*common.Payload{p})
			young := one(t, list, err)
			require.Equal(t, "2026-11", string(young.Metadata[codec.MetadataKeyID]))

			list, err = after.Decode([]*common.Payload{old, p, young})
			require.NoError(t, err)
			for _, got := range list {
				require.True(t, proto.Equal(is, got))
			}
			list, err = after.Encode([]*common.Payload{old})
			require.True(t, proto.Equal(old, one(t, list, err)), "what is encrypted is not encrypted twice")
			_, err = before.Decode([]*common.Payload{young})
			var unknown *codec.UnknownKeyError
			require.ErrorAs(t, err, &unknown)
			require.Equal(t, "2026-11", unknown.ID)
		})
	}
}

// Without a key that encrypts nothing is, and what is encrypted is an error that names its key.
func TestNoKeys(t *testing.T) {
	p := payload(t, "x")
	list, err := keys(t, "a", map[string][]byte{"a": random()}).Encode([]*common.Payload{p})
	sealed := one(t, list, err)
	for name, k := range map[string]*codec.Keys{"nil": nil, "zero": {}, "another": keys(t, "", map[string][]byte{"b": random()})} {
		list, err := k.Encode([]*common.Payload{p})
		require.Same(t, p, one(t, list, err), name)
		list, err = k.Decode([]*common.Payload{p})
		require.Same(t, p, one(t, list, err), name)
		_, err = k.Decode([]*common.Payload{sealed})
		require.ErrorContains(t, err, `key "a"`, name)
		require.Empty(t, k.Current(), name)
	}
}

// Each bit of a payload counts: the nonce, the text, the tag and the ID of the key.
func TestTampered(t *testing.T) {
	secret := random()
	k := keys(t, "a", map[string][]byte{"a": secret, "b": secret})
	list, err := k.Encode([]*common.Payload{payload(t, "canary")})
	sealed := one(t, list, err)
	refused := func(p *common.Payload, what string) {
		t.Helper()
		_, err := k.Decode([]*common.Payload{p})
		require.ErrorIs(t, err, codec.ErrTampered, what)
		require.NotContains(t, err.Error(), "canary")
	}
	for i := range len(sealed.Data) * 8 {
		p := proto.Clone(sealed).(*common.Payload)
		p.Data[i/8] ^= 1 << (i % 8)
		refused(p, fmt.Sprintf("bit %d", i))
	}
	for n := range len(sealed.Data) {
		refused(&common.Payload{Metadata: sealed.Metadata, Data: sealed.Data[:n]}, fmt.Sprintf("%d bytes", n))
	}
	p := proto.Clone(sealed).(*common.Payload)
	p.Metadata[codec.MetadataKeyID] = []byte("b") // the same key under another name
	refused(p, "another ID")
	other := keys(t, "a", map[string][]byte{"a": random()})
	_, err = other.Decode([]*common.Payload{sealed})
	require.ErrorIs(t, err, codec.ErrTampered, "another key of that ID")
	require.NotEqual(t, k.Names(), other.Names())
}

// folder writes files and returns the environment that names them.
func folder(t *testing.T, current string, files map[string]string) func(string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return func(name string) string {
		return map[string]string{codec.FolderVariable: dir, codec.CurrentVariable: current}[name]
	}
}

func TestFromEnv(t *testing.T) {
	secret := random()
	std, hexed := base64.StdEncoding.EncodeToString(secret), hex.EncodeToString(secret)
	files := map[string]string{
		"std": std, "line": std + "\n", "url": base64.URLEncoding.EncodeToString(secret), "raw": strings.TrimRight(std, "="), "hex": hexed, "HEX": strings.ToUpper(hexed) + "\r\n",
		"..data": "of a volume", ".swp": "of an editor",
	}
	k, err := codec.FromEnv(folder(t, "hex", files))
	require.NoError(t, err)
	require.Equal(t, []string{"HEX", "hex", "line", "raw", "std", "url"}, k.IDs())
	var checks []string
	for _, name := range k.Names() {
		_, check, _ := strings.Cut(name, "/")
		checks = append(checks, check)
	}
	require.Len(t, slices.Compact(checks), 1, "all are the same key")
	require.Equal(t, "hex/"+checks[0], k.Current())
	require.NotContains(t, hexed, checks[0])

	k, err = codec.FromEnv(func(string) string { return "" })
	require.NoError(t, err)
	require.Empty(t, k.IDs())

	for name, c := range map[string]struct {
		current string
		files   map[string]string
		says    string
	}{
		"no such key":    {"b", map[string]string{"a": std}, "the folder of LEDGERLINE_PAYLOAD_KEYS has no file of that name; it has a"},
		"the key itself": {std, map[string]string{"a": std}, "want the ID of a key, that is, the name of its file"},
		"no key":         {"", nil, "the folder has no key"},
		"short":          {"a", map[string]string{"a": base64.StdEncoding.EncodeToString(secret[:31])}, "key a: has 31 bytes; want 32: make one with openssl rand -base64 32"},
		"long":           {"a", map[string]string{"a": base64.StdEncoding.EncodeToString(append(secret, 7))}, "key a: has 33 bytes"},
		"short hex":      {"a", map[string]string{"a": hexed[:62]}, "key a: "},
		"words":          {"a", map[string]string{"a": "correct horse battery staple"}, "key a: is neither base64 nor 64 hexadecimal digits"},
		"bytes":          {"a", map[string]string{"a": string([]byte{1, 2, 3, 0xff})}, `"a": is not UTF-8`},
		"empty":          {"a", map[string]string{"a": "\n"}, `"a": the secret is missing or empty`},
		"two lines":      {"a", map[string]string{"a": std + "\n" + std}, `"a": has a line break`},
		"zero":           {"a", map[string]string{"a": strings.Repeat("0", 64)}, "is the same byte throughout"},
		"name":           {"a", map[string]string{"a": std, "b c": std}, "is no key ID"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := codec.FromEnv(folder(t, c.current, c.files))
			require.ErrorContains(t, err, c.says)
			for _, text := range append(slices.Collect(mapsValues(c.files)), std, hexed) {
				if len(text) > 8 {
					require.NotContains(t, err.Error(), strings.TrimSpace(text))
				}
			}
		})
	}
	for name, c := range map[string]struct{ dir, current, says string }{
		"no folder":  {"", "a", "set both"},
		"relative":   {"keys", "a", "want the absolute path"},
		"not there":  {"/nowhere/at/all", "a", "no such file or directory"},
		"not a path": {"/a/../b", "a", "want the absolute path"},
	} {
		_, err := codec.FromEnv(func(v string) string {
			return map[string]string{codec.FolderVariable: c.dir, codec.CurrentVariable: c.current}[v]
		})
		require.ErrorContains(t, err, c.says, name)
	}
}

func mapsValues(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// The files of keys are secrets like any: nobody else can read them, and they are files.
func TestFilesOfKeys(t *testing.T) {
	text := hex.EncodeToString(random())
	for name, c := range map[string]struct {
		make func(path string) error
		says string
	}{
		"readable": {func(path string) error { _ = os.WriteFile(path, []byte(text), 0o600); return os.Chmod(path, 0o644) }, "run chmod o="},
		"pipe":     {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "a named pipe and not a regular file"},
		"folder":   {func(path string) error { return os.Mkdir(path, 0o700) }, "a folder and not a regular file"},
		"link out": {func(path string) error { return os.Symlink("/etc/hostname", path) }, "a link leads out of the folder"},
	} {
		t.Run(name, func(t *testing.T) {
			env := folder(t, "a", map[string]string{"a": text})
			require.NoError(t, c.make(filepath.Join(env(codec.FolderVariable), "b")))
			_, err := codec.FromEnv(env)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), text)
			require.NotContains(t, err.Error(), env(codec.FolderVariable))
		})
	}
	// As Kubernetes mounts a secret.
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "..2026"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "..2026", "a"), []byte(text), 0o440))
	require.NoError(t, os.Symlink("..2026", filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink("..data/a", filepath.Join(dir, "a")))
	k, err := codec.FromEnv(func(v string) string {
		return map[string]string{codec.FolderVariable: dir, codec.CurrentVariable: "a"}[v]
	})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, k.IDs())
}

// Nothing that is printed of keys is a key.
func TestKeysAreNotPrinted(t *testing.T) {
	secret := bytes.Repeat([]byte{0x41, 0x42}, 16)
	k := keys(t, "a", map[string][]byte{"a": secret})
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		out := fmt.Sprintf(format, k)
		require.NotContains(t, out, "ABAB")
		require.NotContains(t, out, "0x41, 0x42, 0x41")
		require.NotContains(t, out, "65 66 65 66")
		require.NotContains(t, out, "4142414")
	}
}

func FuzzDecode(f *testing.F) {
	k, err := codec.New("a", map[string][]byte{"a": bytes.Repeat([]byte{1, 2}, 16)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(codec.Encoding), []byte("a"), []byte("data"))
	f.Add([]byte("json/plain"), []byte(""), []byte("1"))
	f.Fuzz(func(t *testing.T, encoding, id, data []byte) {
		in := &common.Payload{Metadata: map[string][]byte{"encoding": encoding, codec.MetadataKeyID: id}, Data: data}
		out, err := k.Decode([]*common.Payload{in})
		if string(encoding) != codec.Encoding && (err != nil || out[0] != in) {
			t.Fatalf("a payload that is not encrypted was changed: %v", err)
		}
	})
}
