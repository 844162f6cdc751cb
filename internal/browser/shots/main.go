// Command shots takes pictures of pages of a console: shots FOLDER URL NAME=PATH…
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(folder, url string, pages []string) error {
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU)...)
	defer cancel()
	for _, look := range []struct {
		name, lang    string
		width, height int64
		dark          bool
	}{{"en", "en", 1280, 860, false}, {"nb", "nb", 1280, 860, false}, {"nb-narrow", "nb", 390, 800, false}, {"nb-dark", "nb", 1280, 860, true}} {
		tab, done := chromedp.NewContext(ctx)
		scheme := "light"
		if look.dark {
			scheme = "dark"
		}
		for _, p := range pages {
			name, path, _ := strings.Cut(p, "=")
			var b []byte
			err := chromedp.Run(tab, network.Enable(), network.SetExtraHTTPHeaders(network.Headers{"Accept-Language": look.lang}), chromedp.EmulateViewport(look.width, look.height),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
				chromedp.Navigate(url+path), chromedp.Sleep(150*time.Millisecond), chromedp.CaptureScreenshot(&b))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(folder, name+"-"+look.name+".png"), b, 0o644); err != nil {
				return err
			}
		}
		done()
	}
	return nil
}
