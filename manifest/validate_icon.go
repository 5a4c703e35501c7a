package manifest

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"path"
	"strings"
)

// checkIcons checks the icons that the manifest names.
func checkIcons(m map[string]any, files map[string][]byte, f *faults) {
	icons, _ := m["icons"].(map[string]any)
	for _, icon := range []struct {
		name    string
		size    int
		outline bool
	}{{"color", colorSize, false}, {"outline", outlineSize, true}, {"color32x32", 32, false}} {
		name, ok := icons[icon.name].(string)
		if !ok {
			continue
		}
		at := "/icons/" + icon.name
		data, there := files[name]
		switch {
		case badPath(name) != "":
			f.add(at, rulePath, "the name of a file %s", badPath(name))
			continue
		case strings.Contains(name, "/"):
			f.add(at, ruleRoot, "icons have to be at the root of the zip")
		}
		if !there {
			f.add(at, ruleMissing, "the package holds no file %s%s", quote(name), otherSpelling(name, files))
			continue
		}
		img := decodeIcon(name, data, icon.size, f)
		if img == nil {
			continue
		}
		clear, seen, coloured := pixels(img)
		switch {
		case !seen:
			f.add(fileField(name), ruleImage, "nothing is to be seen: every pixel is transparent")
		case icon.outline && coloured:
			f.add(fileField(name), ruleWhite, "the outline icon may only be white, 255 255 255, wherever it is not fully transparent")
		case icon.outline && !clear:
			f.add(fileField(name), ruleWhite, "the outline icon needs a fully transparent ground")
		}
	}
}

func otherSpelling(name string, files map[string][]byte) string {
	for have := range files {
		if strings.EqualFold(have, name) {
			return "; the one it holds is spelt " + quote(have)
		}
	}
	return ""
}

// decodeIcon returns a PNG of size × size pixels; nil, with a fault, for anything else.
func decodeIcon(name string, data []byte, size int, f *faults) image.Image {
	field := fileField(name)
	c, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		f.add(field, ruleImage, "an icon has to be a PNG file")
		return nil
	}
	// Before the pixels are unpacked, since a small file may hold very many.
	if c.Width != size || c.Height != size {
		f.add(field, ruleImage, "the icon has %d×%d pixels, and %d×%d are wanted", c.Width, c.Height, size, size)
		return nil
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		f.add(field, ruleImage, "the PNG file is damaged")
		return nil
	}
	if !strings.EqualFold(path.Ext(name), ".png") {
		f.add(field, ruleImage, "the name of an icon has to end in .png")
	}
	return img
}

// pixels says whether some are fully transparent, some can be seen, and some of those are not white.
func pixels(img image.Image) (clear, seen, coloured bool) {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c, _ := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			switch {
			case c.A == 0:
				clear = true
			case c.R != 255 || c.G != 255 || c.B != 255:
				seen, coloured = true, true
			default:
				seen = true
			}
		}
	}
	return clear, seen, coloured
}
