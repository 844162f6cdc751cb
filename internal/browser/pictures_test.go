package browser

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/browser/stage"
)

// largest is how many bytes a picture may have, since the repository keeps them.
const largest = 60_000

// TestPictures takes a picture of every page, in both languages, and of some in the dark and on a
// telephone. PICTURES is the folder that keeps them; make console-pictures sets it.
func TestPictures(t *testing.T) {
	folder := os.Getenv("PICTURES")
	if folder == "" {
		t.Skip("nobody wants pictures: make console-pictures does, and the other tests open the same pages")
	}
	require.NoError(t, os.MkdirAll(folder, 0o755))
	c, pages := closed(t, "Eksempel Idrettslag", "eksempel")
	last, _ := months()
	start, err := time.Parse("2006-01", last)
	require.NoError(t, err)
	for n, wrong := range map[int]int{1: 29, 2: 0} {
		month := start.AddDate(0, -n, 0).Format("2006-01")
		require.NoError(t, theatre.Import(t.Context(), c.short, stage.Month(month, 88, wrong)))
		require.NoError(t, theatre.Export(t.Context(), c.short, month))
	}
	for _, lang := range []string{"en", "nb"} {
		p := meet(t, lang, look{})
		for _, name := range slices.Sorted(maps.Keys(pages)) {
			p.open(pages[name])
			p.keep(filepath.Join(folder, name+"-"+lang+".png"))
		}
		p.look(look{dark: true})
		p.open(pages["overview"])
		p.keep(filepath.Join(folder, "overview-dark-"+lang+".png"))
		p.look(look{width: 390, height: 844})
		p.open(pages["period"])
		p.keep(filepath.Join(folder, "period-narrow-"+lang+".png"))
	}
}

// keep writes a small picture of what the person sees.
func (p *person) keep(path string) {
	p.t.Helper()
	var b []byte
	p.do(chromedp.CaptureScreenshot(&b))
	is, err := png.Decode(bytes.NewReader(b))
	require.NoError(p.t, err)
	var small bytes.Buffer
	for _, colors := range []int{48, 16, 8} {
		small.Reset()
		require.NoError(p.t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, fewer(cut(is), colors)))
		if small.Len() <= largest {
			break
		}
	}
	require.LessOrEqual(p.t, small.Len(), largest, path)
	require.NoError(p.t, os.WriteFile(path, small.Bytes(), 0o644))
}

// cut takes off what is empty below the page, but for a margin.
func cut(is image.Image) image.Image {
	b := is.Bounds()
	ground := is.At(b.Min.X, b.Max.Y-1)
	last := b.Max.Y - 1
	for ; last > b.Min.Y; last-- {
		for x := b.Min.X; x < b.Max.X; x++ {
			if is.At(x, last) != ground {
				return is.(interface {
					SubImage(image.Rectangle) image.Image
				}).SubImage(image.Rect(b.Min.X, b.Min.Y, b.Max.X, min(b.Max.Y, last+24)))
			}
		}
	}
	return is
}

// fewer is a picture with its most frequent colours only, which is enough for a page.
func fewer(is image.Image, n int) image.Image {
	count := make(map[color.Color]int)
	b := is.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			count[is.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(count), func(a, b color.Color) int { return count[b] - count[a] })
	out := image.NewPaletted(b, color.Palette(colors[:min(n, len(colors))]))
	draw.Draw(out, b, is, b.Min, draw.Src)
	return out
}
