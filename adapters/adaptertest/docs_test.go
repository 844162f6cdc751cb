package adaptertest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The page lists the promises as they are.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/adding-a-vendor.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| promise | of | |\n| --- | --- | --- |\n")
	for _, p := range promises {
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", p.name, p.of, p.says)
	}
	if !strings.Contains(string(page), "\n\n"+table.String()+"\n") {
		t.Errorf("docs/adding-a-vendor.md is not what the promises say; its table should be\n\n%s", table.String())
	}
}
