package secrets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/google/uuid"

	"github.com/ledgerline/ledgerline/integrations"
	"github.com/ledgerline/ledgerline/redact"
)

// openFlags open a named pipe at once, whoever has the other end.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

// maxSecret is the longest secret that is read, in bytes: a longer one would not be
// masked wherever it stands.
const maxSecret = redact.MaxSecret

// escapes ends what os.Root says of a link that it does not follow.
const escapes = "path escapes from parent"

// file reads a file's secret, bounded.
func (s *Store) file(ctx context.Context, organization uuid.UUID, ref integrations.Ref, read func() ([]byte, error)) (string, error) {
	b, err := s.bounded(ctx, organization, ref, read)
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist) && organization != uuid.Nil && !strings.HasPrefix(string(ref), "file:/"):
		return "", fmt.Errorf("%s: there is no file $LEDGERLINE_SECRETS/%s/%s", ref, organization, strings.TrimPrefix(string(ref), "file:"))
	case err != nil && strings.HasSuffix(err.Error(), escapes):
		return "", fmt.Errorf("%s: a link leads out of the organization's folder, or its target is an absolute path; want a relative one that stays inside", ref)
	case errors.As(err, &path): // the reference names it already
		return "", fmt.Errorf("%s: %w", ref, path.Err)
	case err != nil:
		return "", fmt.Errorf("%s: %w", ref, err)
	}
	return text(ref, string(b))
}

// readInRoot reads a file below dir. Symbolic links are followed as long as they
// stay below it, as those of a Kubernetes volume do; dir itself may be one.
func readInRoot(dir, name string, shared bool) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return read(
		func() (fs.FileInfo, error) { return root.Stat(name) },
		func() (*os.File, error) { return root.OpenFile(name, openFlags, 0) },
		func(m fs.FileMode) error {
			if shared {
				return nil
			}
			return closed(m)
		})
}

// closed refuses a file that everybody on its machine can read or change.
func closed(m fs.FileMode) error {
	if open(m) {
		return fmt.Errorf("everybody on its machine has access to it (mode %#o); run chmod o= on it, or mount it with mode 0440", m.Perm())
	}
	return nil
}

// open reports whether everybody on the machine can read or change a file.
func open(m fs.FileMode) bool { return m.Perm()&0o006 != 0 }

// readPath reads a file that the operator named.
func readPath(path string, check func(fs.FileMode) error) ([]byte, error) {
	return read(
		func() (fs.FileInfo, error) { return os.Stat(path) },
		func() (*os.File, error) { return os.OpenFile(path, openFlags, 0) },
		check)
}

// read reads a regular file. It looks before it opens, because opening a device
// can have an effect, and again afterwards, because it may be another file then.
func read(stat func() (fs.FileInfo, error), opened func() (*os.File, error), check func(fs.FileMode) error) ([]byte, error) {
	fit := func(info fs.FileInfo, err error) error {
		switch {
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return fmt.Errorf("is %s and not a regular file", typeOf(info.Mode()))
		}
		return check(info.Mode())
	}
	if err := fit(stat()); err != nil {
		return nil, err
	}
	f, err := opened()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := fit(f.Stat()); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, maxSecret+3)) // a line break, and one byte that shows that it is longer
}

func typeOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "a folder"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "something else"
}
