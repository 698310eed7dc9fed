package avatar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	_ "image/gif" // FuzzSniff asks every decoder
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// segment is a JPEG segment of that marker.
func segment(marker byte, content ...byte) []byte {
	s := []byte{0xff, marker, 0, 0}
	binary.BigEndian.PutUint16(s[2:], uint16(len(content)+2))
	return append(s, content...)
}

// frame is an SOF segment with components of those sampling factors.
func frame(marker byte, width, height uint16, factors ...byte) []byte {
	content := binary.BigEndian.AppendUint16([]byte{8}, height)
	content = binary.BigEndian.AppendUint16(content, width)
	content = append(content, byte(len(factors)))
	for i, f := range factors {
		content = append(content, byte(i+1), f, 0)
	}
	return segment(marker, content...)
}

func jpegOf(segments ...[]byte) []byte {
	return slices.Concat(append([][]byte{{0xff, 0xd8}}, segments...)...)
}

func TestJPEGMarkers(t *testing.T) {
	sof := frame(mSOF0, 64, 64, 0x11)
	scan := slices.Concat(segment(mSOS, 1, 1, 0, 0, 63, 0), []byte{1, 2, 0xff, 0, 3, 0xff, mRST0, 4, 0xff, 0xff, 0xff})
	end := []byte{0xff, mEOI}
	exif := func(orientation byte) []byte {
		return segment(mAPP1, append([]byte("Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00"), orientation, 0, 0, 0)...)
	}
	for name, test := range map[string]struct {
		b    []byte
		want voip.AvatarReason
	}{
		"one scan":                  {jpegOf(sof, scan, end), ok},
		"no end":                    {jpegOf(sof, scan), ok},
		"cut in the last marker":    {jpegOf(sof, scan, []byte{0xff}), ok},
		"trailing bytes":            {jpegOf(sof, scan, end, scan, []byte{0xff, 0x01}), ok},
		"fill bytes":                {jpegOf(sof, bytes.Repeat([]byte{0xff}, 9), scan, end), ok},
		"8-bit extended":            {jpegOf(frame(mSOF1, 64, 64, 0x11), scan, end), ok},
		"64 scans":                  {jpegOf(sof, bytes.Repeat(scan, 64), end), ok},
		"65 scans":                  {jpegOf(sof, bytes.Repeat(scan, 65), end), voip.AvatarTooManyScans},
		"65 scans, no end":          {jpegOf(sof, bytes.Repeat(scan, 65)), voip.AvatarTooManyScans},
		"all other segments":        {jpegOf(segment(mDQT), segment(mDHT), segment(mDRI, 0, 0), segment(mCOM), segment(mAPP15), sof, scan, end), ok},
		"no frame":                  {jpegOf(scan, end), voip.AvatarNotAnImage},
		"no scan":                   {jpegOf(sof, end), voip.AvatarNotAnImage},
		"two frames":                {jpegOf(sof, scan, sof, scan, end), voip.AvatarNotAnImage},
		"two frames in another way": {jpegOf(sof, scan, frame(mSOF2, 64, 64, 0x11), end), voip.AvatarNotAnImage},
		"lossless":                  {jpegOf(frame(0xc3, 64, 64, 0x11), scan, end), voip.AvatarUnsupportedType},
		"hierarchical":              {jpegOf(frame(0xc5, 64, 64, 0x11), scan, end), voip.AvatarUnsupportedType},
		"arithmetic":                {jpegOf(frame(0xc9, 64, 64, 0x11), scan, end), voip.AvatarUnsupportedType},
		"arithmetic tables":         {jpegOf(sof, segment(mDAC, 0, 0), scan, end), voip.AvatarUnsupportedType},
		"JPG":                       {jpegOf(sof, segment(mJPG), scan, end), voip.AvatarNotAnImage},
		"a second start":            {jpegOf(sof, []byte{0xff, 0xd8, 0, 2}, scan, end), voip.AvatarNotAnImage},
		"number of lines":           {jpegOf(sof, scan, segment(0xdc, 0, 64), end), voip.AvatarNotAnImage},
		"reserved marker":           {jpegOf(segment(0x02), sof, scan, end), voip.AvatarNotAnImage},
		"JPEG extension":            {jpegOf(segment(0xf7), sof, scan, end), voip.AvatarNotAnImage},
		"cut segment":               {jpegOf(sof, scan, []byte{0xff, mDQT, 0, 9, 1}), voip.AvatarNotAnImage},
		"cut length":                {jpegOf(sof, scan, []byte{0xff, mDQT, 0}), voip.AvatarNotAnImage},
		"short length":              {jpegOf(sof, scan, []byte{0xff, mDQT, 0, 1}), voip.AvatarNotAnImage},
		"12 bits":                   {jpegOf(segment(mSOF1, 12, 0, 64, 0, 64, 1, 1, 0x11, 0), scan, end), voip.AvatarUnsupportedType},
		"2 components":              {jpegOf(frame(mSOF0, 64, 64, 0x11, 0x11), scan, end), voip.AvatarUnsupportedType},
		"frame of a wrong length":   {jpegOf(segment(mSOF0, 8, 0, 64, 0, 64, 3, 1, 0x11, 0), scan, end), voip.AvatarNotAnImage},
		"frame cut short":           {jpegOf(segment(mSOF0, 8, 0, 64), scan, end), voip.AvatarNotAnImage},
		"no lines":                  {jpegOf(frame(mSOF0, 64, 0, 0x11), scan, end), voip.AvatarNotAnImage},
		"no columns":                {jpegOf(frame(mSOF0, 0, 64, 0x11), scan, end), voip.AvatarNotAnImage},
		"sampling factor 0":         {jpegOf(frame(mSOF0, 64, 64, 0x10, 0x11, 0x11), scan, end), voip.AvatarNotAnImage},
		"sampling factor 5":         {jpegOf(frame(mSOF0, 64, 64, 0x15, 0x11, 0x11), scan, end), voip.AvatarNotAnImage},
		"16.8 Mpx, 4:2:0":           {jpegOf(frame(mSOF0, 4096, 4096, 0x22, 0x11, 0x11), scan, end), ok},
		"16.8 Mpx, 4:4:4":           {jpegOf(frame(mSOF0, 4096, 4096, 0x11, 0x11, 0x11), scan, end), ok},
		"the same without an end":   {jpegOf(frame(mSOF0, 4096, 4096, 0x11, 0x11, 0x11), scan), voip.AvatarBadDimensions},
		"the same of two scans":     {jpegOf(frame(mSOF0, 4096, 4096, 0x11, 0x11, 0x11), scan, scan, end), voip.AvatarBadDimensions},
		"4.2 Mpx, progressive":      {jpegOf(frame(mSOF2, 2048, 2048, 0x22, 0x11, 0x11), scan, end), ok},
		"4.5 Mpx, progressive":      {jpegOf(frame(mSOF2, 2128, 2128, 0x22, 0x11, 0x11), scan, end), ok},
		"the same, but no end":      {jpegOf(frame(mSOF2, 2128, 2128, 0x22, 0x11, 0x11), scan), voip.AvatarBadDimensions},
		"16.8 Mpx, progressive":     {jpegOf(frame(mSOF2, 4096, 4096, 0x11, 0x11, 0x11), scan, end), ok},
		"CMYK":                      {jpegOf(frame(mSOF0, 2048, 2048, 0x11, 0x11, 0x11, 0x11), scan, end), ok},
		"CMYK of 4.3 Mpx":           {jpegOf(frame(mSOF0, 2064, 2064, 0x11, 0x11, 0x11, 0x11), scan, end), voip.AvatarBadDimensions},
		"RGB of 5 Mpx":              {jpegOf(segment(mAPP14, []byte("Adobe\x00\x64\x00\x00\x00\x00\x00")...), frame(mSOF0, 2240, 2240, 0x11, 0x11, 0x11), scan, end), voip.AvatarBadDimensions},
		"5 Mpx that are not RGB":    {jpegOf(segment(mAPP14, []byte("Adobe\x00\x64\x00\x00\x00\x00\x01")...), frame(mSOF0, 2240, 2240, 0x11, 0x11, 0x11), scan, end), ok},
		"bad size before scans":     {jpegOf(frame(mSOF2, 8, 8, 0x11), bytes.Repeat(scan, 65), end), voip.AvatarBadDimensions},
		"EXIF, EXIF again":          {jpegOf(exif(6), exif(3), sof, scan, end), ok},
	} {
		h, err := inspect(test.b)
		got := ok
		if err != nil {
			got = asFailure(err).reason
		}
		if got != test.want || h.format != formatJPEG {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if name == "EXIF, EXIF again" && h.orientation != 6 {
			t.Errorf("orientation %d, want 6, the first", h.orientation)
		}
	}
}

// TestCutJPEGs: what has lost more than its end marker is no picture, wherever it was cut.
func TestCutJPEGs(t *testing.T) {
	for _, name := range []string{"normal/jpeg_base420_96.jpg", "normal/jpeg_prog420_96.jpg", "normal/jpeg_rst_512.jpg"} {
		b := readFile(t, name)
		for _, percent := range []int{40, 60, 80, 95} {
			cut := b[:len(b)*percent/100]
			h, err := inspect(cut)
			if err == nil {
				err = renderSafely(cut, h, testSide).err
			}
			if err == nil || asFailure(err).reason != voip.AvatarNotAnImage {
				t.Errorf("%s, cut at %d %%: %v, want not_an_image", name, percent, err)
			}
		}
		h, err := inspect(b[:len(b)-2])
		if err != nil || h.quick {
			t.Errorf("%s without its end: %v, quick %t", name, err, h.quick)
		} else if r := renderSafely(b[:len(b)-2], h, testSide); r.err != nil {
			t.Errorf("%s without its end: %v", name, r.err)
		}
	}
}

// TestQuickJPEGs: the quick decoder has only what it has right.
func TestQuickJPEGs(t *testing.T) {
	for name, want := range map[string]bool{
		"normal/jpeg_base420_512.jpg": true, "normal/jpeg_base444_512.jpg": true, "normal/jpeg_gray_512.jpg": true, "normal/jpeg_rst_512.jpg": true,
		"normal/jpeg_prog420_512.jpg": true, "normal/exif_orient_6.jpg": true, "normal/jpeg_cmyk_256.jpg": false,
		"hostile/jpeg_no_eoi.jpg": false, "hostile/jpeg_trunc_half.jpg": false,
	} {
		if h, err := inspect(readFile(t, name)); err != nil || h.quick != want {
			t.Errorf("%s: quick %t (%v), want %t", name, h.quick, err, want)
		}
	}
}

// TestScanCountOfRealFiles: the walk over the markers agrees with what encoders wrote.
func TestScanCountOfRealFiles(t *testing.T) {
	for name, want := range map[string]int{
		"normal/jpeg_base420_512.jpg": 1, "normal/jpeg_rst_512.jpg": 1, "normal/jpeg_gray_512.jpg": 1, "normal/jpeg_cmyk_256.jpg": 1,
		"normal/jpeg_prog420_512.jpg": 10,
	} {
		if h, err := readJPEGHeader(readFile(t, name)); err != nil || h.scans != want {
			t.Errorf("%s: %d scans, %v, want %d", name, h.scans, err, want)
		}
	}
	if h, err := readJPEGHeader(readFile(t, "hostile/jpeg_scan_bomb_2048.jpg")); err != nil || h.scans < 5000 {
		t.Errorf("the scan bomb has %d scans, %v", h.scans, err)
	}
}

// pngHeaderOf is a PNG up to the end of its IHDR.
func pngHeaderOf(width, height uint32, depth, colour, interlace byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte("IHDR"), width)
	b = append(binary.BigEndian.AppendUint32(b, height), depth, colour, 0, 0, interlace)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), b...)
}

func TestDimensions(t *testing.T) {
	scan := segment(mSOS, 1, 1, 0, 0, 63, 0)
	for _, test := range []struct {
		width, height uint32
		png, jpeg     voip.AvatarReason
	}{
		{16, 16, ok, ok},
		{15, 16, voip.AvatarBadDimensions, voip.AvatarBadDimensions},
		{16, 15, voip.AvatarBadDimensions, voip.AvatarBadDimensions},
		{16, 128, ok, ok},
		{16, 129, voip.AvatarBadDimensions, voip.AvatarBadDimensions},
		{129, 16, voip.AvatarBadDimensions, voip.AvatarBadDimensions},
		{4096, 512, ok, ok},
		{512, 4097, voip.AvatarBadDimensions, voip.AvatarBadDimensions},
		{4097, 600, voip.AvatarBadDimensions, voip.AvatarBadDimensions},
		{2048, 2050, ok, ok},
		{2050, 2049, voip.AvatarBadDimensions, ok},
		{4096, 4096, voip.AvatarBadDimensions, ok},
		{65535, 65535, voip.AvatarBadDimensions, voip.AvatarBadDimensions},
	} {
		for want, b := range map[*voip.AvatarReason][]byte{
			&test.png:  pngHeaderOf(test.width, test.height, 8, 6, 0),
			&test.jpeg: jpegOf(frame(mSOF0, uint16(test.width), uint16(test.height), 0x22, 0x11, 0x11), scan),
		} {
			h, err := inspect(b)
			if (err == nil) != (*want == ok) || err != nil && asFailure(err).reason != *want {
				t.Errorf("%s of %d × %d: %v, want %q", h.format, test.width, test.height, err, *want)
			}
		}
	}
}

func TestMemoryEstimate(t *testing.T) {
	for _, test := range []struct {
		depth, colour, interlace byte
		want                     voip.AvatarReason
	}{
		{8, 6, 0, ok},
		{8, 6, 1, ok},
		{16, 6, 0, ok},
		{16, 6, 1, ok},
		{1, 0, 1, ok},
		{9, 0, 0, voip.AvatarNotAnImage},
	} {
		_, err := inspect(pngHeaderOf(2048, 2048, test.depth, test.colour, test.interlace))
		if (err == nil) != (test.want == ok) || err != nil && asFailure(err).reason != test.want {
			t.Errorf("%+v: %v", test, err)
		}
	}
	if _, err := inspect([]byte("GIF89a\x40\x00\x40\x00\x00\x00")); asFailure(err).reason != voip.AvatarNotAnImage {
		t.Errorf("a GIF cut in its header: %v", err)
	}
}

func TestWebPHeader(t *testing.T) {
	extended := func(flags byte, width, height int) []byte {
		b := append([]byte("RIFF\x40\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00"), flags, 0, 0, 0)
		return append(b, byte(width-1), byte((width-1)>>8), byte((width-1)>>16), byte(height-1), byte((height-1)>>8), byte((height-1)>>16))
	}
	for name, test := range map[string]struct {
		b    []byte
		want voip.AvatarReason
	}{
		"still":         {extended(0x10, 512, 512), ok},
		"animated":      {extended(0x12, 512, 512), voip.AvatarUnsupportedType},
		"small":         {extended(0, 15, 64), voip.AvatarBadDimensions},
		"large":         {extended(0, 2050, 2050), voip.AvatarBadDimensions},
		"beyond a file": {extended(0, 1<<24, 1<<24), voip.AvatarBadDimensions},
		"cut":           {extended(0, 64, 64)[:29], voip.AvatarNotAnImage},
		"no chunk":      {[]byte("RIFF\x04\x00\x00\x00WEBP"), voip.AvatarNotAnImage},
	} {
		if _, err := inspect(test.b); (err != nil) != (test.want != ok) || err != nil && asFailure(err).reason != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	// The canvas says 64 × 64, the frame inside is a bomb: the decoder refuses it.
	bomb := readFile(t, "hostile/webp_vp8l_bomb_16384.webp")
	hidden := slices.Concat(extended(0, 64, 64), bomb[12:])
	wantReason(t, newStage(t), newStage(t, strict), dataURL(hidden), voip.AvatarNotAnImage)
}

func TestExif(t *testing.T) {
	tiff := func(text string) []byte { return []byte("Exif\x00\x00" + text) }
	for name, test := range map[string]struct {
		b    []byte
		want int
	}{
		"little endian":      {tiff("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"), 6},
		"big endian":         {tiff("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x08\x00\x00"), 8},
		"second entry":       {tiff("II*\x00\x08\x00\x00\x00\x02\x00\x00\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x12\x01\x03\x00\x01\x00\x00\x00\x03\x00\x00\x00"), 3},
		"0":                  {tiff("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x00\x00\x00\x00"), 1},
		"9":                  {tiff("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x09\x00\x00\x00"), 1},
		"a long":             {tiff("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x04\x00\x01\x00\x00\x00\x06\x00\x00\x00"), 1},
		"many values":        {tiff("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\xff\xff\xff\xff\x06\x00\x00\x00"), 1},
		"fewer than it says": {tiff("II*\x00\x08\x00\x00\x00\xff\xff\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"), 6},
		"cut entry":          {tiff("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00"), 1},
		"directory outside":  {tiff("II*\x00\xff\xff\xff\xff\x01\x00"), 1},
		"no directory":       {tiff("II*\x00\x08\x00\x00\x00"), 1},
		"no byte order":      {tiff("IM*\x00\x08\x00\x00\x00\x01\x00"), 1},
		"short":              {tiff("II*"), 1},
		"XMP":                {[]byte("http://ns.adobe.com/xap/1.0/\x00"), 1},
		"nothing":            {nil, 1},
	} {
		if got := exifOrientation(test.b); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func FuzzExif(f *testing.F) {
	for _, name := range []string{"normal/exif_orient_6.jpg", "hostile/exif_count_huge.jpg", "hostile/exif_ifd_loop.jpg", "hostile/exif_offset_out.jpg"} {
		if _, b, found := bytes.Cut(readFile(f, name), []byte{0xff, mAPP1}); found {
			if s, whole := segmentAt(b, 0); whole {
				f.Add(s)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if o := exifOrientation(b); o < 1 || o > 8 {
			t.Errorf("orientation %d", o)
		}
	})
}

func FuzzSniff(f *testing.F) {
	for name := range manifest(f) {
		b := readFile(f, name)
		f.Add(b[:min(len(b), 1<<10)])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, format, err := image.DecodeConfig(bytes.NewReader(b))
		h, bad := inspect(b)
		if bad != nil {
			return // stricter than the decoder is fine
		}
		if err != nil && h.format == formatPNG {
			t.Fatalf("%s was let through, the decoder says %v", h.format, err)
		}
		if err == nil && (format != string(h.format) || c.Width != h.width || c.Height != h.height) {
			t.Errorf("%s of %d × %d, the decoder says %s of %d × %d", h.format, h.width, h.height, format, c.Width, c.Height)
		}
	})
}

// FuzzStage: guards, then decoding: whatever the bytes are, no panic, and bounded time and memory.
func FuzzStage(f *testing.F) {
	for name := range manifest(f) {
		if b := readFile(f, name); len(b) < 16<<10 {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := inspect(b)
		if err != nil {
			if asFailure(err).reason == voip.AvatarInternal {
				t.Errorf("%v, which has a reason of its own", err)
			}
			return
		}
		if h.decoded > maxDecodedBytes || h.width > maxSourceSide || h.height > maxSourceSide {
			t.Fatalf("%+v was let through", h)
		}
		begin := cpuTime(t)
		r := renderSafely(b, h, MinSide)
		if took := cpuTime(t) - begin; took > 5*time.Second {
			t.Errorf("took %v of CPU", took)
		}
		if r.err != nil {
			if asFailure(r.err).reason == voip.AvatarInternal {
				t.Errorf("%v: %v", r.err, asFailure(r.err).cause)
			}
			return
		}
		if m, _, err := image.Decode(bytes.NewReader(r.picture.Data)); err != nil || m.Bounds().Dx() != MinSide {
			t.Errorf("the picture cannot be decoded: %v", err)
		}
	})
}

// cpuTime is what this process has used: other processes on a busy machine do
// not count.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLosslessWebPIsBounded: its prefix codes may take hundreds of times their
// coded size, which no header tells.
func TestLosslessWebPIsBounded(t *testing.T) {
	lossless := readFile(t, "normal/webp_lossless_256.webp")
	lossy := readFile(t, "normal/webp_lossy_512.webp")
	for name, tt := range map[string]struct {
		picture []byte
		pad     int
		refused bool
	}{
		"lossless, small":    {picture: lossless},
		"lossless, too much": {picture: lossless, pad: maxLosslessBytes, refused: true},
		"lossy, as much":     {picture: lossy, pad: maxLosslessBytes},
		"an alpha channel": {
			picture: append(append([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00"), make([]byte, 10)...), "ALPH\x00\x00\x00\x00"...),
			pad:     maxLosslessBytes, refused: true,
		},
	} {
		padded := append(slices.Clone(tt.picture), make([]byte, tt.pad)...)
		var h header
		err := h.readWebP(padded)
		e, _ := errors.AsType[*stageError](err)
		if refused := e != nil && e.reason == voip.AvatarTooLarge; refused != tt.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}
