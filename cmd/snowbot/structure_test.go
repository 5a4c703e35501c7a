package main

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A listed package, as go list prints it.
type listed struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json", "snowbot/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestArrows keeps dependencies pointing inward: the three sides know nothing of each other, and only bot knows two.
func TestArrows(t *testing.T) {
	t.Parallel()
	may := map[string][]string{
		"snowbot/adapter":                     {},
		"snowbot/adapter/adaptertest":         {"snowbot/adapter"},
		"snowbot/snow":                        {},
		"snowbot/snow/snowtest":               {"snowbot/snow"},
		"snowbot/store":                       {},
		"snowbot/store/bolt":                  {"snowbot/store"},
		"snowbot/store/postgres":              {"snowbot/store"},
		"snowbot/store/postgres/postgrestest": {},
		"snowbot/store/storetest":             {"snowbot/store", "snowbot/cmd/leaktest"},
		"snowbot/bot":                         {"snowbot/adapter", "snowbot/snow", "snowbot/store"},
		"snowbot/bot/history":                 {"snowbot/adapter", "snowbot/adapter/adaptertest", "snowbot/snow", "snowbot/snow/snowtest", "snowbot/store", "snowbot/store/bolt", "snowbot/bot"},
		"snowbot/manifest":                    {},
		"snowbot/cmd/leaktest":                {},
		"snowbot/cmd/leaktest/tally":          {"snowbot/cmd/leaktest"},
		"snowbot/cmd/snowbot":                 nil, // wires everything
	}
	for _, p := range packages(t) {
		allowed, known := may[p.ImportPath]
		if !known {
			t.Errorf("package %s has no place in the picture; give it one in ARCHITECTURE.md and here", p.ImportPath)
			continue
		}
		if allowed == nil {
			continue
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "snowbot/") && !slices.Contains(allowed, i) {
				t.Errorf("%s must not import %s", p.ImportPath, i)
			}
		}
	}
}

// TestPackagesSayWhatTheyAre demands one package comment each.
func TestPackagesSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		docs := 0
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				docs++
			}
		}
		if docs != 1 {
			t.Errorf("package %s has %d package comments, want 1", p.ImportPath, docs)
		}
	}
}
