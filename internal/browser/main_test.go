package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/ledgerline/ledgerline/internal/browser/stage"
)

var (
	theatre *stage.Stage
	chrome  context.Context // the browser
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	bin, err := exec.LookPath("chromium")
	if err != nil {
		fmt.Fprintln(os.Stderr, "no chromium: install Debian's package chromium:", err)
		return 1
	}
	began := time.Now()
	if theatre, err = stage.Start(ctx, stage.Options{Log: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer theatre.Close()
	fmt.Fprintf(os.Stderr, "the stage stands after %.0f s\n", time.Since(began).Seconds())
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(bin), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("font-render-hinting", "none"), chromedp.Flag("hide-scrollbars", true))
	allocator, end := chromedp.NewExecAllocator(ctx, options...) // with a new folder for its data
	defer end()
	var stop context.CancelFunc
	chrome, stop = chromedp.NewContext(allocator)
	defer stop()
	if err := chromedp.Run(chrome); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}
