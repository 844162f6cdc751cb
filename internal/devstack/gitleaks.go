package devstack

import (
	"context"
	"io"
	"path/filepath"
)

// Gitleaks returns the scanner for secrets that tools/scan pins, and the settings
// with which it judges what a run leaves behind. The first time it is built.
func Gitleaks(ctx context.Context, log io.Writer) (bin, config string, err error) {
	root, err := moduleRoot()
	if err != nil {
		return "", "", err
	}
	dir := filepath.Join(root, "tools", "scan")
	bin, err = buildOnce(ctx, dir, "github.com/zricethezav/gitleaks/v8", filepath.Join(root, ".bin", "gitleaks"), logTo(log))
	return bin, filepath.Join(dir, "gitleaks.toml"), err
}
