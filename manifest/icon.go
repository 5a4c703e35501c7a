package manifest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strconv"
	"strings"
)

// The icons Teams asks for: a coloured one whose symbol stays within the middle half, and an outline that
// reaches the edges.
const (
	colorSize   = 192
	colorSymbol = 96
	outlineSize = 32
)

// drawColor returns the coloured icon as PNG: the symbol on a square of the accent colour, #rrggbb. An
// accent that is no colour gives the default one; [Validate] names it.
func drawColor(accent string) ([]byte, error) {
	ground, ok := parseColor(accent)
	if !ok {
		ground, _ = parseColor(defaultAccent)
	}
	ink := color.NRGBA{255, 255, 255, 255}
	if luminance(ground) > 140 {
		ink = color.NRGBA{16, 32, 48, 255}
	}
	img := image.NewNRGBA(image.Rect(0, 0, colorSize, colorSize))
	draw.Draw(img, img.Rect, image.NewUniform(ground), image.Point{}, draw.Src)
	const margin = (colorSize - colorSymbol) / 2
	mask := render(colorSymbol, bubbleWithFlakeCutOut())
	at := image.Rect(margin, margin, margin+colorSymbol, margin+colorSymbol)
	draw.DrawMask(img, at, image.NewUniform(ink), image.Point{}, mask, image.Point{}, draw.Over)
	return encodePNG(img)
}

// drawOutline returns the outline icon as PNG: white everywhere, and only the opacity differs.
func drawOutline() ([]byte, error) {
	mask := render(outlineSize, bubbleAroundFlake())
	img := image.NewNRGBA(mask.Rect)
	for y := range outlineSize {
		for x := range outlineSize {
			if a := mask.AlphaAt(x, y).A; a > 0 {
				img.SetNRGBA(x, y, color.NRGBA{255, 255, 255, a})
			}
		}
	}
	return encodePNG(img)
}

func encodePNG(img image.Image) ([]byte, error) {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("encode icon: %w", err)
	}
	return b.Bytes(), nil
}

func parseColor(s string) (color.NRGBA, bool) {
	hex, ok := strings.CutPrefix(s, "#")
	v, err := strconv.ParseUint(hex, 16, 32)
	if !ok || err != nil || len(hex) != 6 {
		return color.NRGBA{}, false
	}
	return color.NRGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 255}, true // cut off on purpose
}

// luminance is how bright c looks, from 0 to 255.
func luminance(c color.NRGBA) int {
	return (299*int(c.R) + 587*int(c.G) + 114*int(c.B)) / 1000
}

// Shapes are defined on a square of 960 × 960, in steps of 1/16 so that samples of every icon are in whole
// steps. All of their geometry is in whole numbers: an icon is the same on every processor.
const (
	step = 16
	unit = 960 * step
)

// A point of the square; x goes right and y goes down.
type point struct{ x, y int64 }

func pt(x, y int64) point { return point{x * step, y * step} }

func (p point) minus(q point) point { return point{p.x - q.x, p.y - q.y} }
func (p point) dot(q point) int64   { return p.x*q.x + p.y*q.y }
func (p point) cross(q point) int64 { return p.x*q.y - p.y*q.x }

// A shape tells which points it covers.
type shape func(point) bool

// render draws s at size × size pixels. What covers a pixel partly is as opaque as the part, by 8 × 8 samples.
func render(size int, s shape) *image.Alpha {
	const samples = 8
	img := image.NewAlpha(image.Rect(0, 0, size, size))
	for y := range size {
		for x := range size {
			n := 0
			for sy := range samples {
				for sx := range samples {
					// The middle of the sample.
					at := func(pixel, sample int) int64 {
						return int64((2*(pixel*samples+sample) + 1) * unit / (2 * size * samples))
					}
					if s(point{at(x, sx), at(y, sy)}) {
						n++
					}
				}
			}
			img.SetAlpha(x, y, color.Alpha{uint8(n * 255 / (samples * samples))}) // at most 255
		}
	}
	return img
}

// The speech bubble: a rounded box, and a tail below its left.
var (
	bubbleBox  = [2]point{pt(0, 0), pt(960, 780)}
	bubbleTail = [3]point{pt(180, 720), pt(180, 960), pt(450, 750)}
)

const bubbleRound = 200 * step

// bubble covers the speech bubble, made smaller all around by inset.
func bubble(p point, inset int64) bool {
	lo, hi := bubbleBox[0], bubbleBox[1]
	r := bubbleRound - inset
	// The nearest point of the box in which the centres of the round corners are.
	core := point{clamp(p.x, lo.x+bubbleRound, hi.x-bubbleRound), clamp(p.y, lo.y+bubbleRound, hi.y-bubbleRound)}
	d := p.minus(core)
	return d.dot(d) <= r*r
}

// tail covers the bubble's tail.
func tail(p point) bool {
	for i, a := range bubbleTail {
		b := bubbleTail[(i+1)%len(bubbleTail)]
		if b.minus(a).cross(p.minus(a)) > 0 {
			return false
		}
	}
	return true
}

// A line is a straight one with round ends.
type line struct {
	from, to point
	half     int64 // half its width
}

// covers reports whether p is at most half the width away from the line.
func (l line) covers(p point) bool {
	along, to := l.to.minus(l.from), p.minus(l.from)
	switch t, length := along.dot(to), along.dot(along); {
	case t <= 0:
		return to.dot(to) <= l.half*l.half
	case t >= length:
		d := p.minus(l.to)
		return d.dot(d) <= l.half*l.half
	default:
		c := along.cross(to)
		return c*c <= l.half*l.half*length
	}
}

// A flake is a snow flake of six arms, each with a pair of twigs.
type flake struct {
	arm            int64 // how far an arm reaches
	twigAt         int64 // where on the arm its twigs start
	twig           int64 // how long a twig is
	half, halfTwig int64 // half the widths of the lines
}

// sixty are the directions of the arms, 60° apart, in 1/1024; the first points up.
var sixty = [6]point{{0, -1024}, {887, -512}, {887, 512}, {0, 1024}, {-887, 512}, {-887, -512}}

// at returns the flake around centre as a shape.
func (f flake) at(centre point) shape {
	walk := func(from, dir point, length int64) point {
		return point{from.x + dir.x*length/1024, from.y + dir.y*length/1024}
	}
	var lines []line
	for i, dir := range sixty {
		lines = append(lines, line{centre, walk(centre, dir, f.arm), f.half})
		twigs := walk(centre, dir, f.twigAt)
		for _, turn := range []int{1, 5} {
			lines = append(lines, line{twigs, walk(twigs, sixty[(i+turn)%6], f.twig), f.halfTwig})
		}
	}
	reach := max(f.arm, f.twigAt+f.twig) + max(f.half, f.halfTwig)
	return func(p point) bool {
		if d := p.minus(centre); d.dot(d) > reach*reach {
			return false
		}
		for _, l := range lines {
			if l.covers(p) {
				return true
			}
		}
		return false
	}
}

func clamp(v, lo, hi int64) int64 { return max(lo, min(v, hi)) }

// bubbleWithFlakeCutOut is the symbol where there is room for it.
func bubbleWithFlakeCutOut() shape {
	f := flake{arm: 290 * step, twigAt: 175 * step, twig: 95 * step, half: 26 * step, halfTwig: 23 * step}.at(pt(480, 390))
	return func(p point) bool { return (bubble(p, 0) || tail(p)) && !f(p) }
}

// bubbleAroundFlake is the symbol in strokes, for 32 pixels.
func bubbleAroundFlake() shape {
	const width = 60 * step // two pixels
	f := flake{arm: 250 * step, twigAt: 170 * step, twig: 85 * step, half: 28 * step, halfTwig: 22 * step}.at(pt(480, 390))
	return func(p point) bool {
		return bubble(p, 0) && !bubble(p, width) || tail(p) && !bubble(p, 0) || f(p)
	}
}
