// Package picture is how an image that anybody sent becomes one that a model
// is shown: decoded within bounds, upright, not larger than models look at, and
// encoded anew, so that nothing of the original file but its pixels remains:
// no place where it was taken, no camera, no comment.
//
// What is decoded is decided by the bytes and not by what they are said to be.
package picture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
)

// Options are the bounds of a [Shop]. Zero values are the defaults.
type Options struct {
	Side   int   // longest side of what comes out, in pixels: 1,568
	Memory int64 // bytes that a decoded image may take: 200 MiB, which is 50 megapixels, or 13 of a progressive JPEG
	AtOnce int   // images being decoded: 1
}

// A Shop prepares images. All methods may be called concurrently; those who
// come while it is busy wait.
type Shop struct {
	side   int
	memory int64
	slots  chan struct{}
}

// New returns a Shop.
func New(o Options) *Shop {
	s := &Shop{side: o.Side, memory: o.Memory}
	if s.side <= 0 {
		s.side = 1568
	}
	if s.memory <= 0 {
		s.memory = 200 << 20
	}
	s.slots = make(chan struct{}, max(o.AtOnce, 1))
	return s
}

// A Picture is an image as a model is shown it.
type Picture struct {
	Media         string // image/jpeg or image/png
	Data          []byte
	Width, Height int
}

// Errors that callers tell apart.
var (
	ErrNoImage  = errors.New("picture: this is no PNG, JPEG, GIF or WebP image")
	ErrTooLarge = errors.New("picture: the image has too many pixels")
	ErrBroken   = errors.New("picture: the image is damaged")
)

// Prepare makes a picture of an image, which read returns once there is time
// for it. The same image always becomes the same bytes. Of an animation it is
// the first frame.
func (s *Shop) Prepare(ctx context.Context, read func() ([]byte, error)) (Picture, error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return Picture{}, ctx.Err()
	}
	b, err := read()
	if err != nil {
		return Picture{}, fmt.Errorf("picture: %w", err)
	}
	return s.prepare(b)
}

func (s *Shop) prepare(b []byte) (p Picture, err error) {
	defer func() {
		if r := recover(); r != nil { // a decoder's bug is the image's fault
			p, err = Picture{}, ErrBroken
		}
	}()
	f := formatOf(b)
	if f == nil {
		return Picture{}, ErrNoImage
	}
	cfg, err := f.config(bytes.NewReader(b))
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if cfg.Width <= 0 || cfg.Height <= 0 || int64(cfg.Width)*int64(cfg.Height) > s.memory/bytesPerPixel(cfg.ColorModel, b) {
		return Picture{}, ErrTooLarge
	}
	m, err := f.decode(bytes.NewReader(b))
	if err != nil {
		return Picture{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return encode(upright(shrunk(m, s.side), orientation(b)), f.lossy)
}

// A format is a kind of image that is decoded.
type format struct {
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	lossy  bool
}

// formatOf returns nil for what is none.
func formatOf(b []byte) *format {
	begins := func(s string) bool { return bytes.HasPrefix(b, []byte(s)) }
	switch {
	case begins("\xff\xd8\xff"):
		return &format{config: jpeg.DecodeConfig, decode: jpeg.Decode, lossy: true}
	case begins("\x89PNG\r\n\x1a\n"):
		return &format{config: png.DecodeConfig, decode: png.Decode}
	case begins("GIF87a"), begins("GIF89a"):
		return &format{config: gif.DecodeConfig, decode: gif.Decode} // which stops behind the first frame
	case begins("RIFF") && len(b) > 12 && string(b[8:12]) == "WEBP":
		return &format{config: webp.DecodeConfig, decode: webp.Decode, lossy: true}
	}
	return nil
}

// bytesPerPixel is what decoding takes, at most. A progressive JPEG keeps its
// coefficients beside its pixels.
func bytesPerPixel(m color.Model, b []byte) int64 {
	if progressive(b) {
		return 16
	}
	switch m {
	case color.NRGBA64Model, color.RGBA64Model:
		return 8
	case color.GrayModel:
		return 2
	}
	if _, ok := m.(color.Palette); ok {
		return 1
	}
	return 4
}

// shrunk returns an image whose sides are at most side long. Halving first
// makes each pixel the mean of four, so that nothing is skipped.
func shrunk(m image.Image, side int) image.Image {
	for longest(m) >= 2*side {
		m = scaled(m, (m.Bounds().Dx()+1)/2, (m.Bounds().Dy()+1)/2)
	}
	b, l := m.Bounds(), longest(m)
	if l <= side {
		return m
	}
	return scaled(m, max(1, b.Dx()*side/l), max(1, b.Dy()*side/l))
}

func longest(m image.Image) int { return max(m.Bounds().Dx(), m.Bounds().Dy()) }

func scaled(m image.Image, w, h int) image.Image {
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.ApproxBiLinear.Scale(out, out.Bounds(), m, m.Bounds(), draw.Src, nil)
	return out
}

// mostPNG is how large a PNG may be before a JPEG takes its place: a
// screenshot is small, a photograph is not.
const mostPNG = 1 << 20

func encode(m image.Image, lossy bool) (Picture, error) {
	p := Picture{Media: "image/png", Width: m.Bounds().Dx(), Height: m.Bounds().Dy()}
	var out bytes.Buffer
	if !lossy || !opaque(m) {
		if err := png.Encode(&out, m); err != nil {
			return Picture{}, fmt.Errorf("%w: %w", ErrBroken, err)
		}
		if p.Data = out.Bytes(); len(p.Data) <= mostPNG {
			return p, nil
		}
		out = bytes.Buffer{}
	}
	p.Media = "image/jpeg"
	if err := jpeg.Encode(&out, onWhite(m), &jpeg.Options{Quality: 88}); err != nil {
		return Picture{}, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	p.Data = out.Bytes()
	return p, nil
}

func opaque(m image.Image) bool {
	o, ok := m.(interface{ Opaque() bool })
	return ok && o.Opaque()
}

// onWhite returns the image without transparency.
func onWhite(m image.Image) image.Image {
	if opaque(m) {
		return m
	}
	out := image.NewRGBA(image.Rect(0, 0, m.Bounds().Dx(), m.Bounds().Dy()))
	draw.Draw(out, out.Bounds(), image.White, image.Point{}, draw.Src)
	draw.Draw(out, out.Bounds(), m, m.Bounds().Min, draw.Over)
	return out
}
