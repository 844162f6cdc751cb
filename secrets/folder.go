package secrets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// ReadFolder reads each secret in a folder of the operator's, by the name of its file. The
// rules are those of organizations' secrets: regular files only, of one line, that others on
// the machine have no access to; links stay inside. A name that begins with a dot, as those
// that a Kubernetes volume adds, is passed over. It is read once, at the start of a
// program, and not bounded in time. The error joins every error.
func ReadFolder(dir string) (map[string]string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, causeOf(err)
	}
	defer root.Close()
	names, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, causeOf(err)
	}
	found := make(map[string]string)
	var errs []error
	for _, entry := range names {
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		b, err := readInRoot(dir, name, false)
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", name, causeOf(err)))
			continue
		}
		secret, err := text(fmt.Sprintf("%q", name), string(b))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found[name] = secret
	}
	return found, errors.Join(errs...)
}

// causeOf is an error of a file without its path, which its caller names.
func causeOf(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		if strings.HasSuffix(path.Err.Error(), escapes) {
			return errors.New("a link leads out of the folder, or its target is an absolute path; want a relative one that stays inside")
		}
		return path.Err
	}
	return err
}

// ReadFile reads one secret of the operator's by the absolute path of its file, by the rules of
// [ReadFolder].
func ReadFile(path string) (string, error) {
	b, err := readPath(path, closed)
	if err != nil {
		return "", causeOf(err)
	}
	return text("the file", string(b))
}
