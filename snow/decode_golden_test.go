package snow_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snowbot/snow"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is decoded into testdata")

// A goldenRow is one file of testdata/decode: an element of a post in ServiceNow's own dialect and in that of the other
// specification, and what is to come of each.
type goldenRow struct {
	Real json.RawMessage `json:"real"`
	Spec json.RawMessage `json:"spec"`
	Want struct {
		Real any `json:"real"`
		Spec any `json:"spec"`
	} `json:"want"`
}

func goldenRows(tb testing.TB) map[string]goldenRow {
	tb.Helper()
	files, err := filepath.Glob("testdata/decode/*.json")
	if err != nil || len(files) == 0 {
		tb.Fatalf("no golden rows: %v", err)
	}
	rows := make(map[string]goldenRow)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		var row goldenRow
		if err := json.Unmarshal(raw, &row); err != nil {
			tb.Fatalf("%s: %v", f, err)
		}
		rows[f] = row
	}
	return rows
}

func TestDecodeEventGolden(t *testing.T) {
	t.Parallel()
	for file, row := range goldenRows(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			gotReal, gotSpec := decoded(t, row.Real), decoded(t, row.Spec)
			if *update {
				row.Want.Real, row.Want.Spec = gotReal, gotSpec
				var b bytes.Buffer
				e := json.NewEncoder(&b)
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				if err := e.Encode(row); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(row.Want.Real, gotReal); diff != "" {
				t.Errorf("real dialect (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(row.Want.Spec, gotSpec); diff != "" {
				t.Errorf("spec dialect (-want +got):\n%s", diff)
			}
		})
	}
}

// decoded is the event in raw as plain JSON values without what is empty, and each item with its readable form.
func decoded(t *testing.T, raw []byte) any {
	t.Helper()
	e, err := snow.DecodeEvent(raw)
	if err != nil {
		t.Fatalf("DecodeEvent: %v", err)
	}
	if !bytes.Equal(e.Raw, raw) {
		t.Errorf("Raw = %q, want the post", e.Raw)
	}
	shown := *e
	shown.Raw, shown.Items = nil, nil
	v := plain(t, shown).(map[string]any)
	var items []any
	for _, it := range e.Items {
		m := plain(t, it).(map[string]any)
		if r := it.Readable(); r != it.Text {
			m["Readable"] = r
		}
		items = append(items, m)
	}
	if items != nil {
		v["Items"] = items
	}
	return v
}

func plain(t *testing.T, v any) any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var p any
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	return withoutEmpty(p)
}

func withoutEmpty(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e = withoutEmpty(e); e == nil || e == "" || e == false {
				delete(v, k)
			} else if m, ok := e.(map[string]any); ok && len(m) == 0 {
				delete(v, k)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutEmpty(v[i])
		}
	}
	return v
}
