package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"iter"
)

// orientation returns how a camera was held, from 1, upright, to 8, as Exif's
// tag 0x0112 has it; 1 if nothing is said.
func orientation(b []byte) int {
	var tiff []byte
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xd8")):
		tiff = exifOfJPEG(b)
	case bytes.HasPrefix(b, []byte("RIFF")) && len(b) > 12:
		tiff = exifOfWebP(b[12:])
	}
	return orientationOf(bytes.TrimPrefix(tiff, []byte("Exif\x00\x00")))
}

// segments are those of a JPEG before its pixels, each with its marker.
func segments(b []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		b := bytes.TrimPrefix(b, []byte("\xff\xd8"))
		for len(b) >= 4 && b[0] == 0xff && b[1] != 0xda {
			if b[1] == 0xff { // a fill byte
				b = b[1:]
				continue
			}
			size := int(binary.BigEndian.Uint16(b[2:]))
			if size < 2 || len(b) < 2+size || !yield(b[1], b[4:2+size]) {
				return
			}
			b = b[2+size:]
		}
	}
}

func exifOfJPEG(b []byte) []byte {
	for marker, seg := range segments(b) {
		if marker == 0xe1 && bytes.HasPrefix(seg, []byte("Exif\x00\x00")) {
			return seg
		}
	}
	return nil
}

// progressive reports whether a JPEG comes in several passes.
func progressive(b []byte) bool {
	for marker := range segments(b) {
		if marker == 0xc2 {
			return true
		}
	}
	return false
}

func exifOfWebP(b []byte) []byte {
	for len(b) >= 8 {
		size := int64(binary.LittleEndian.Uint32(b[4:]))
		if int64(len(b)) < 8+size {
			return nil
		}
		if string(b[:4]) == "EXIF" {
			return b[8 : 8+size]
		}
		b = b[min(int64(len(b)), 8+size+size&1):]
	}
	return nil
}

// orientationOf reads the first directory of a TIFF.
func orientationOf(b []byte) int {
	if len(b) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if b[0] == 'I' {
		order = binary.LittleEndian
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return 1
	}
	n := int64(order.Uint16(b[at:]))
	for i := range n {
		e := at + 2 + 12*i
		if e+12 > int64(len(b)) {
			return 1
		}
		if order.Uint16(b[e:]) == 0x0112 {
			if v := int(order.Uint16(b[e+8:])); v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
	}
	return 1
}

// upright turns and mirrors an image as its orientation asks.
func upright(m image.Image, o int) image.Image {
	if o == 1 {
		return m
	}
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	if o >= 5 {
		out = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	for y := range h {
		for x := range w {
			to := [...]image.Point{{}, {}, {w - 1 - x, y}, {w - 1 - x, h - 1 - y}, {x, h - 1 - y}, {y, x}, {h - 1 - y, x}, {h - 1 - y, w - 1 - x}, {y, w - 1 - x}}[o]
			out.Set(to.X, to.Y, m.At(b.Min.X+x, b.Min.Y+y))
		}
	}
	return out
}
