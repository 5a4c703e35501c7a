package manifest_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"snowbot/manifest"
)

func TestValidateZip(t *testing.T) {
	t.Parallel()
	text, c, o := entries(t)
	extra := func(name string) []byte { return zipped(t, text, c, o, entry{name: name, data: []byte("x")}) }
	whole := zipped(t, text, c, o)
	for _, tt := range []struct {
		name        string
		packed      []byte
		field, rule string
	}{
		{"nothing", nil, "package", "zip"},
		{"no zip", []byte("hello"), "package", "zip"},
		{"cut off", whole[:len(whole)-10], "package", "zip"},
		{"damaged", func() []byte {
			b := bytes.Clone(whole)
			b[60] ^= 0xFF // in the manifest's data
			return b
		}(), "manifest.json", "zip"},
		{"large", make([]byte, 9<<20), "package", "size"},
		{"empty zip", zipped(t), "manifest.json", "missing"},
		{"in a folder", zipped(t, entry{name: "app/manifest.json", data: text.data}, c, o), "app/manifest.json", "root"},
		{"manifest in capitals", zipped(t, entry{name: "Manifest.json", data: text.data}, c, o), "manifest.json", "missing"},
		{"no icon", zipped(t, text, c), "/icons/outline", "missing"},
		{"out of the package", extra("../evil.png"), "../evil.png", "path"},
		{"out of the package, hidden", extra("a/../../evil"), "a/../../evil", "path"},
		{"absolute", extra("/etc/passwd"), "/etc/passwd", "path"},
		{"a drive", extra("C:evil"), "C:evil", "path"},
		{"backslash", extra(`..\evil`), `..\evil`, "path"},
		{"empty folder name", extra("a//b"), "a//b", "path"},
		{"no name", extra(""), `""`, "path"},
		{"control characters", extra("a\x1b[2Jb"), `"a\x1b[2Jb"`, "path"},
		{"not UTF-8", extra("a\xff"), `"a` + "\uFFFD" + `"`, "path"},
		{"twice", extra("manifest.json"), "manifest.json", "duplicate"},
		{"twice but for case", extra("COLOR.PNG"), "COLOR.PNG", "duplicate"},
		{"symbolic link", zipped(t, text, c, o, entry{"link", []byte("/etc/passwd"), func(h *zip.FileHeader) { h.SetMode(fs.ModeSymlink | 0o777) }}), "link", "zip"},
		{"encrypted", func() []byte {
			b := bytes.Clone(whole)
			at := bytes.LastIndex(b, []byte("PK\x01\x02")) // the last file of the directory: the outline icon
			b[at+8] |= 1
			return b
		}(), "outline.png", "zip"},
		{"odd compression", func() []byte {
			b := bytes.Clone(whole)
			at := bytes.LastIndex(b, []byte("PK\x01\x02"))
			binary.LittleEndian.PutUint16(b[at+10:], 99)
			return b
		}(), "outline.png", "zip"},
		{"many files", func() []byte {
			var all []entry
			for i := range 300 {
				all = append(all, entry{name: strconv.Itoa(i)})
			}
			return zipped(t, all...)
		}(), "package", "size"},
		{"bomb", zipped(t, text, c, o, entry{name: "bomb", data: make([]byte, 3<<20)}), "bomb", "size"},
		{"bomb that lies about its size", func() []byte {
			b := zipped(t, text, c, o, entry{name: "bomb", data: make([]byte, 3<<20)})
			at := bytes.LastIndex(b, []byte("PK\x01\x02"))
			binary.LittleEndian.PutUint32(b[at+24:], 10)
			return b
		}(), "bomb", "zip"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			faults := manifest.Validate(tt.packed)
			if !has(faults, tt.field, tt.rule) {
				t.Errorf("faults = %v, want %s: %s", faults, tt.field, tt.rule)
			}
			for _, f := range faults {
				if strings.ContainsAny(f.String(), "\n\r\x1b") {
					t.Errorf("fault %q cannot be shown on one line", f)
				}
			}
		})
	}
}

// It is not parallel: what others allocate would count.
func TestValidateDoesNotUnpackABomb(t *testing.T) {
	text, c, o := entries(t)
	packed := zipped(t, text, c, o, entry{name: "bomb", data: make([]byte, 40<<20)})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	manifest.Validate(packed)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 20<<20 {
		t.Errorf("%d bytes were allocated for a package of %d", got, len(packed))
	}
}

func TestValidateBoundsTheSumOfFiles(t *testing.T) {
	t.Parallel()
	text, c, o := entries(t)
	all := []entry{text, c, o}
	for i := range 9 {
		all = append(all, entry{name: fmt.Sprint("big", i), data: make([]byte, 2<<20)})
	}
	if faults := manifest.Validate(zipped(t, all...)); !has(faults, "big8", "size") || has(faults, "big0", "size") {
		t.Errorf("faults = %v, want the later files refused", faults)
	}
}

// picture returns a PNG, with a chunk of text if comment is not empty.
