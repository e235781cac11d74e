package picture_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"testing"

	"parley/llm/picture"
)

func prepare(t testing.TB, b []byte) (picture.Picture, error) {
	t.Helper()
	return picture.New(picture.Options{}).Prepare(t.Context(), func() ([]byte, error) { return b, nil })
}

func must(t testing.TB, b []byte) (picture.Picture, image.Image) {
	t.Helper()
	p, err := prepare(t, b)
	if err != nil {
		t.Fatal(err)
	}
	m, kind, err := image.Decode(bytes.NewReader(p.Data))
	if err != nil || "image/"+kind != p.Media || m.Bounds().Dx() != p.Width || m.Bounds().Dy() != p.Height {
		t.Fatalf("%s of %dx%d is %s of %v: %v", p.Media, p.Width, p.Height, kind, m.Bounds(), err)
	}
	return p, m
}

// halves is red on the left and blue on the right.
func halves(w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{R: 255, A: 255}
			if x >= w/2 {
				c = color.RGBA{B: 255, A: 255}
			}
			m.Set(x, y, c)
		}
	}
	return m
}

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// withExif puts an Exif segment with an orientation and a place into a JPEG.
func withExif(b []byte, orientation uint16) []byte {
	tiff := []byte("MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	tiff = binary.BigEndian.AppendUint16(tiff, orientation)
	tiff = append(tiff, "\x00\x00\x00\x00\x00\x00GPS 46.94 N 7.44 E"...)
	seg := append([]byte("Exif\x00\x00"), tiff...)
	out := append([]byte{0xff, 0xd8, 0xff, 0xe1}, binary.BigEndian.AppendUint16(nil, uint16(len(seg)+2))...)
	return append(append(out, seg...), b[2:]...)
}

func TestEachFormatKeepsItsPixels(t *testing.T) {
	var g bytes.Buffer
	m := halves(40, 20)
	if err := gif.Encode(&g, m, nil); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data  []byte
		media string
	}{"png": {pngOf(t, m), "image/png"}, "jpeg": {jpegOf(t, m), "image/jpeg"}, "gif": {g.Bytes(), "image/png"}} {
		t.Run(name, func(t *testing.T) {
			p, got := must(t, c.data)
			if p.Media != c.media || p.Width != 40 || p.Height != 20 || !red(got.At(4, 10)) || !blue(got.At(36, 10)) {
				t.Errorf("%s %dx%d, %v and %v", p.Media, p.Width, p.Height, got.At(4, 10), got.At(36, 10))
			}
			again, _ := must(t, c.data)
			if !bytes.Equal(again.Data, p.Data) {
				t.Error("the same image becomes other bytes")
			}
		})
	}
}

func red(c color.Color) bool  { r, _, b, _ := c.RGBA(); return r > 0xd000 && b < 0x3000 }
func blue(c color.Color) bool { r, _, b, _ := c.RGBA(); return b > 0xd000 && r < 0x3000 }

// A one pixel WebP (lossless) from Google's list of the smallest files.
const webp1 = "RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f\x00\x00\x00\x10\x07\x10\x11\x11\x88\x88\xfe\x07\x00"

func TestWebP(t *testing.T) {
	if p, _ := must(t, []byte(webp1)); p.Width != 1 || p.Height != 1 {
		t.Errorf("%+v", p)
	}
}

func TestOrientationIsAppliedAndThePlaceRemoved(t *testing.T) {
	// where the left, red half comes to lie
	for o, c := range map[uint16]struct{ w, h, redX, redY, blueX, blueY int }{
		1: {40, 20, 4, 10, 36, 10}, 2: {40, 20, 36, 10, 4, 10}, 3: {40, 20, 36, 10, 4, 10}, 4: {40, 20, 4, 10, 36, 10},
		5: {20, 40, 10, 4, 10, 36}, 6: {20, 40, 10, 4, 10, 36}, 7: {20, 40, 10, 36, 10, 4}, 8: {20, 40, 10, 36, 10, 4},
		9: {40, 20, 4, 10, 36, 10}, // not known
	} {
		b := withExif(jpegOf(t, halves(40, 20)), o)
		p, m := must(t, b)
		if p.Width != c.w || p.Height != c.h || !red(m.At(c.redX, c.redY)) || !blue(m.At(c.blueX, c.blueY)) {
			t.Errorf("orientation %d: %dx%d, %v, %v", o, p.Width, p.Height, m.At(c.redX, c.redY), m.At(c.blueX, c.blueY))
		}
		if bytes.Contains(p.Data, []byte("GPS")) || bytes.Contains(p.Data, []byte("Exif")) {
			t.Error("what the camera wrote is still there")
		}
	}
}

func TestLargeImagesAreMadeSmaller(t *testing.T) {
	for _, c := range []struct{ w, h, wantW, wantH int }{
		{3136, 100, 1568, 50}, {2000, 1000, 1568, 784}, {100, 5000, 31, 1568}, {1568, 1568, 1568, 1568}, {6000, 1, 1568, 1},
	} {
		p, m := must(t, pngOf(t, halves(c.w, c.h)))
		if p.Height != c.wantH || p.Width < c.wantW-1 || p.Width > c.wantW+1 {
			t.Errorf("%dx%d became %dx%d, want %dx%d", c.w, c.h, p.Width, p.Height, c.wantW, c.wantH)
		}
		if !red(m.At(p.Width/8, p.Height/2)) || !blue(m.At(p.Width*7/8, p.Height/2)) {
			t.Errorf("%dx%d lost its colours", c.w, c.h)
		}
	}
}

func TestPhotographsInPNGBecomeJPEG(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 900, 900))
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range m.Pix {
		m.Pix[i] = byte(noise.Uint32()) // also in alpha
	}
	if p, _ := must(t, pngOf(t, m)); p.Media != "image/jpeg" {
		t.Errorf("%s of %d bytes", p.Media, len(p.Data))
	}
}

// pngHeader is a PNG that says how large it is, and nothing more.
func pngHeader(w, h uint32) []byte {
	ihdr := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)...)
	ihdr = append(ihdr, 8, 6, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), ihdr...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(ihdr))
}

func gifHeader(w, h uint16) []byte {
	out := binary.LittleEndian.AppendUint16([]byte("GIF89a"), w)
	return append(binary.LittleEndian.AppendUint16(out, h), 0, 0, 0)
}

// vp8x says that it is small and holds an image that is not.
func vp8x() []byte {
	body := []byte("WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x09\x00\x00\x09\x00\x00VP8L\x0d\x00\x00\x00\x2f\xff\xff\xff\x1f\x07\x10\x11\x11\x88\x88\xfe\x07\x00")
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

func TestHostileImages(t *testing.T) {
	whole := pngOf(t, halves(300, 300))
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"a PNG that says 50,000 by 50,000":    {pngHeader(50_000, 50_000), picture.ErrTooLarge},
		"a PNG of no width":                   {pngHeader(0, 10), picture.ErrBroken},
		"a GIF that says 65,535 by 65,535":    {gifHeader(65_535, 65_535), picture.ErrTooLarge},
		"a WebP larger inside than outside":   {vp8x(), picture.ErrBroken},
		"a PNG that is cut off":               {whole[:len(whole)/2], picture.ErrBroken},
		"a JPEG that is cut off":              {jpegOf(t, halves(300, 300))[:700], picture.ErrBroken},
		"nothing but a beginning":             {[]byte("\xff\xd8\xff"), picture.ErrBroken},
		"nothing":                             {nil, picture.ErrNoImage},
		"SVG":                                 {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>`), picture.ErrNoImage},
		"HTML":                                {[]byte("<html><img src=x>"), picture.ErrNoImage},
		"a PDF":                               {[]byte("%PDF-1.7"), picture.ErrNoImage},
		"TIFF, which the libraries also know": {[]byte("II\x2a\x00\x08\x00\x00\x00"), picture.ErrNoImage},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := prepare(t, c.data); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// Of an animation only the first frame is read: what is behind it costs
// nothing, and may be broken.
func TestAnimationsAreTheirFirstFrame(t *testing.T) {
	var b bytes.Buffer
	g := &gif.GIF{}
	for i := range 3 {
		f := image.NewPaletted(image.Rect(0, 0, 8, 8), palette.Plan9)
		for p := range f.Pix {
			f.Pix[p] = uint8(f.Palette.Index([]color.Color{color.RGBA{R: 255, A: 255}, color.White, color.Black}[i]))
		}
		g.Image, g.Delay = append(g.Image, f), append(g.Delay, 1)
	}
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	long := bytes.TrimSuffix(b.Bytes(), []byte{0x3b})
	frame := []byte{0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 1, 0xff}
	long = append(long, bytes.Repeat(frame, 1_000_000)...)
	if p, m := must(t, long); p.Width != 8 || !red(m.At(4, 4)) {
		t.Errorf("%+v: %v", p, m.At(4, 4))
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	s := picture.New(picture.Options{})
	inside, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_, _ = s.Prepare(context.Background(), func() ([]byte, error) { inside <- struct{}{}; <-inside; return nil, nil })
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Prepare(ctx, func() ([]byte, error) { t.Error("read"); return nil, nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	inside <- struct{}{}
	<-done
}

// Whatever is sent, it is refused or becomes an image that is not too large.
func FuzzPrepare(f *testing.F) {
	for _, b := range [][]byte{
		pngOf(f, halves(9, 5)), jpegOf(f, halves(9, 5)), withExif(jpegOf(f, halves(9, 5)), 6), []byte(webp1), vp8x(),
		pngHeader(50_000, 50_000), gifHeader(9, 9), []byte("GIF89a"),
	} {
		f.Add(b)
	}
	shop := picture.New(picture.Options{Side: 64, Memory: 1 << 20})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := shop.Prepare(t.Context(), func() ([]byte, error) { return b, nil })
		if err != nil {
			return
		}
		m, _, err := image.Decode(bytes.NewReader(p.Data))
		if err != nil || max(m.Bounds().Dx(), m.Bounds().Dy()) > 64 {
			t.Errorf("%v %v", err, p.Media)
		}
	})
}

func BenchmarkTwelveMegapixels(b *testing.B) {
	photo := jpegOf(b, halves(4000, 3000))
	for b.Loop() {
		if _, err := prepare(b, photo); err != nil {
			b.Fatal(err)
		}
	}
}
