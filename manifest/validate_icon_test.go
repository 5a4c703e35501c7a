package manifest_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"

	"snowbot/manifest"
)

func picture(t testing.TB, size int, paint func(x, y int) color.Color) []byte {
	t.Helper()
	img := image.NewNRGBA64(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			img.Set(x, y, paint(x, y))
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestValidateIcons(t *testing.T) {
	t.Parallel()
	text, c, o := entries(t)
	ring := func(in color.Color) func(x, y int) color.Color {
		return func(x, y int) color.Color {
			if x > 4 && y > 4 {
				return in
			}
			return color.NRGBA{}
		}
	}
	white := color.NRGBA{255, 255, 255, 255}
	for _, tt := range []struct {
		name             string
		colored, outline []byte
		want             string
	}{
		{"as drawn", c.data, o.data, ""},
		{"white with soft edges", c.data, picture(t, 32, ring(color.NRGBA{255, 255, 255, 90})), ""},
		{"16 bits a channel", c.data, picture(t, 32, ring(color.NRGBA64{65535, 65535, 65535, 40000})), ""},
		{"transparent ground", picture(t, 192, ring(color.NRGBA{10, 20, 30, 255})), o.data, ""},
		{"nearly white", c.data, picture(t, 32, ring(color.NRGBA{255, 255, 254, 255})), "outline.png white"},
		{"grey, nearly transparent", c.data, picture(t, 32, ring(color.NRGBA{128, 128, 128, 1})), "outline.png white"},
		{"white square", c.data, picture(t, 32, func(_, _ int) color.Color { return white }), "outline.png white"},
		{"nothing to be seen", c.data, picture(t, 32, func(_, _ int) color.Color { return color.Transparent }), "outline.png image"},
		{"too large", picture(t, 193, ring(white)), o.data, "color.png image"},
		{"too small", c.data, picture(t, 31, ring(white)), "outline.png image"},
		{"no PNG", []byte("\xFF\xD8\xFF\xE0 JFIF"), o.data, "color.png image"},
		{"empty", []byte{}, o.data, "color.png image"},
		{"cut off", c.data[:len(c.data)/2], o.data, "color.png image"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			faults := manifest.Validate(zipped(t, text, entry{name: "color.png", data: tt.colored}, entry{name: "outline.png", data: tt.outline}))
			field, rule, _ := strings.Cut(tt.want, " ")
			switch {
			case tt.want == "" && len(faults) > 0:
				t.Errorf("faults = %v, want none", faults)
			case tt.want != "" && !has(faults, field, rule):
				t.Errorf("faults = %v, want %s", faults, tt.want)
			}
		})
	}
	t.Run("another kind of name", func(t *testing.T) {
		t.Parallel()
		m := bytes.Replace(text.data, []byte(`"color.png"`), []byte(`"color.jpg"`), 1)
		faults := manifest.Validate(zipped(t, entry{name: "manifest.json", data: m}, entry{name: "color.jpg", data: c.data}, o))
		if !has(faults, "color.jpg", "image") {
			t.Errorf("faults = %v, want color.jpg: image", faults)
		}
	})
}
