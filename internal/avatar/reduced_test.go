package avatar

import (
	"bytes"
	"image"
	"image/jpeg"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gen2brain/jpegn"

	"github.com/voip-push/worker/internal/voip"
)

// TestReduced: at a quarter and an eighth it is what jpegn makes of a baseline
// JPEG, sample for sample. (Half the size, which jpegn has by a transform of
// its own, is held against the full one in TestQuality.)
func TestReduced(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"jpeg_base420_96.jpg", "jpeg_base420_256.jpg", "jpeg_base420_512.jpg", "jpeg_base444_512.jpg", "jpeg_gray_512.jpg", "jpeg_rst_512.jpg",
		"jpeg_base420_2048.jpg", "exif_orient_6.jpg",
	} {
		b := readFile(t, "normal/"+name)
		for _, scale := range []int{4, 8} {
			got, want := reduced(t, b, scale), quickly(t, b, scale)
			if got.Bounds() != want.Bounds() || !reflect.DeepEqual(samplesOf(got), samplesOf(want)) {
				t.Errorf("%s at 1/%d: %v differs from jpegn's %v", name, scale, got.Bounds(), want.Bounds())
			}
		}
	}
}

// TestReducedSamples: every kind of JPEG, against the standard decoder.
func TestReducedSamples(t *testing.T) {
	t.Parallel()
	for name := range manifest(t) {
		b := readFile(t, name)
		h, err := inspect(b)
		if err != nil || h.format != formatJPEG || !h.quick || h.width*h.height > 1<<18 || strings.HasPrefix(name, "hostile/") {
			continue
		}
		full, err := jpeg.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, scale := range []int{1, 2, 4, 8} {
			if scale == 1 && !h.progressive {
				continue // jpegn's
			}
			if n := isReduced(t, reduced(t, b, scale), full, scale); n < 50 {
				t.Errorf("%s at 1/%d: %d blocks were compared", name, scale, n)
			}
		}
	}
}

// TestReducedRestarts: restart markers between the blocks of a progressive
// picture, which image/jpeg and jpegn miscount.
func TestReducedRestarts(t *testing.T) {
	t.Parallel()
	b := readFile(t, "restarts/jpeg_prog_rst_96.jpg") // by jpegtran, of jpeg_base420_96.jpg
	full, err := jpeg.Decode(bytes.NewReader(readFile(t, "normal/jpeg_base420_96.jpg")))
	if err != nil {
		t.Fatal(err)
	}
	for _, scale := range []int{1, 2, 4, 8} {
		if n := isReduced(t, reduced(t, b, scale), full, scale); n < 50 {
			t.Errorf("1/%d: %d blocks were compared", scale, n)
		}
	}
	if h, err := inspect(b); err != nil || renderSafely(b, h, testSide).err != nil {
		t.Errorf("%+v, %v: it cannot be rendered", h, err)
	}
}

// TestCutWithAnEnd: what was cut is no picture, at whatever size, although an
// end was put to it.
func TestCutWithAnEnd(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"jpeg_base420_96.jpg", "jpeg_prog420_96.jpg", "jpeg_base420_512.jpg", "jpeg_prog420_512.jpg", "jpeg_rst_512.jpg"} {
		b := readFile(t, "normal/"+name)
		for tenths := 3; tenths < 10; tenths++ {
			cut := slices.Concat(b[:len(b)*tenths/10], []byte{0xff, mEOI})
			h, err := inspect(cut)
			if err == nil {
				err = renderSafely(cut, h, testSide).err
			}
			if err == nil || asFailure(err).reason != voip.AvatarNotAnImage {
				t.Errorf("%s, cut at %d/10: %v, want not_an_image", name, tenths, err)
			}
		}
	}
}

// TestReducedProgressive: the same coefficients in another order are the same
// picture, also where jpegn makes another of them.
func TestReducedProgressive(t *testing.T) {
	t.Parallel()
	for _, size := range []string{"96", "512"} {
		baseline, progressive := readFile(t, "normal/jpeg_base420_"+size+".jpg"), readFile(t, "normal/jpeg_prog420_"+size+".jpg")
		for _, scale := range []int{2, 4, 8} { // at the full size baseline is jpegn's
			if !reflect.DeepEqual(samplesOf(reduced(t, baseline, scale)), samplesOf(reduced(t, progressive, scale))) {
				t.Errorf("%s at 1/%d: they differ", size, scale)
			}
		}
	}
}

func reduced(t *testing.T, b []byte, scale int) image.Image {
	t.Helper()
	m, err := decodeReduced(b, scale)
	if err != nil {
		t.Fatalf("1/%d: %v", scale, err)
	}
	return m
}

func quickly(t *testing.T, b []byte, scale int) image.Image {
	t.Helper()
	m, err := jpegn.Decode(bytes.NewReader(b), &jpegn.Options{ScaleDenom: scale})
	if err != nil {
		t.Fatalf("1/%d: %v", scale, err)
	}
	return m
}

// samplesOf are the samples of all planes, without what fills them up.
func samplesOf(m image.Image) [][]byte {
	r := m.Bounds()
	switch m := m.(type) {
	case *image.Gray:
		return [][]byte{rows(m.Pix, m.Stride, r.Dx(), r.Dy())}
	case *image.YCbCr:
		across, down := subsampling(m.SubsampleRatio)
		w, h := (r.Dx()+across-1)/across, (r.Dy()+down-1)/down
		return [][]byte{rows(m.Y, m.YStride, r.Dx(), r.Dy()), rows(m.Cb, m.CStride, w, h), rows(m.Cr, m.CStride, w, h)}
	}
	return nil
}

func rows(pix []byte, stride, width, height int) (all []byte) {
	for y := range height {
		all = append(all, pix[y*stride:][:width]...)
	}
	return all
}

// edit gives each segment of a JPEG to change, which leaves out what it returns
// nil for. What lies between segments, the data of the scans, stays.
func edit(b []byte, change func(marker byte, content []byte) []byte) []byte {
	out := slices.Clone(b[:2])
	for i := 2; ; {
		marker, next := nextMarker(b, i)
		content, ok := segmentAt(b, next)
		if marker == mEOI || !ok {
			return append(out, b[i:]...)
		}
		out = append(out, b[i:next-2]...)
		i = next + 2 + len(content)
		if changed := change(marker, slices.Clone(content)); changed != nil {
			out = append(out, segment(marker, changed...)...)
		}
	}
}

// only changes the segments of one kind.
func only(marker byte, change func([]byte) []byte) func(byte, []byte) []byte {
	return func(m byte, content []byte) []byte {
		if m == marker {
			return change(content)
		}
		return content
	}
}

func set(i int, v byte) func([]byte) []byte {
	return func(b []byte) []byte { b[i] = v; return b }
}

func cutBy(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }

func left([]byte) []byte { return nil }

// TestReducedRefuses: what is damaged, or not what its headers say, is an error
// and nothing worse, at every scale that reads it.
func TestReducedRefuses(t *testing.T) {
	t.Parallel()
	end := []byte{0xff, mEOI}
	baseline, progressive, restarts := readFile(t, "normal/jpeg_base420_96.jpg"), readFile(t, "normal/jpeg_prog420_96.jpg"), readFile(t, "normal/jpeg_rst_512.jpg")
	if got := edit(baseline, func(_ byte, b []byte) []byte { return b }); !bytes.Equal(got, baseline) {
		t.Fatal("an edit that changes nothing does")
	}
	for name, b := range map[string][]byte{
		"cut":                            slices.Concat(baseline[:len(baseline)-200], end),
		"cut, of several scans":          slices.Concat(progressive[:len(progressive)/3], end),
		"cut between restarts":           slices.Concat(restarts[:len(restarts)/2], end),
		"a restart too few":              slices.Concat(restarts[:bytes.LastIndex(restarts, []byte{0xff, mRST0 + 1})], end),
		"a restart of another number":    bytes.Replace(restarts, []byte{0xff, mRST0 + 1}, []byte{0xff, mRST0 + 5}, 1),
		"restarts that are not there":    slices.Concat(baseline[:2], segment(mDRI, 0, 1), baseline[2:]),
		"a restart interval of one byte": edit(restarts, only(mDRI, cutBy(1))),
		"no codes":                       edit(baseline, only(mDHT, left)),
		"no codes, progressive":          edit(progressive, only(mDHT, left)),
		"codes of a third class":         edit(baseline, only(mDHT, set(0, 0x20))),
		"codes that are too many":        edit(baseline, only(mDHT, set(1, 3))),
		"codes without their symbols":    edit(baseline, only(mDHT, cutBy(1))),
		"codes cut":                      edit(baseline, only(mDHT, func(b []byte) []byte { return b[:9] })),
		"no quantization":                edit(baseline, only(mDQT, left)),
		"no quantization, progressive":   edit(progressive, only(mDQT, left)),
		"quantization of 24 bits":        edit(baseline, only(mDQT, set(0, 0x20))),
		"quantization cut":               edit(baseline, only(mDQT, cutBy(1))),
		"quantization by a fifth table":  edit(baseline, only(mSOF0, set(8, 4))),
		"a scan of no components":        edit(baseline, only(mSOS, func([]byte) []byte { return []byte{0, 0, 63, 0} })),
		"a scan of one of three":         edit(baseline, only(mSOS, func([]byte) []byte { return []byte{1, 1, 0, 0, 63, 0} })),
		"a scan of another component":    edit(baseline, only(mSOS, set(1, 9))),
		"a scan by a fifth table":        edit(baseline, only(mSOS, set(2, 0x44))),
		"a scan by a table that is not":  edit(baseline, only(mSOS, set(2, 0x33))),
		"a scan cut":                     edit(baseline, only(mSOS, cutBy(1))),
		"an empty scan":                  edit(baseline, only(mSOS, func([]byte) []byte { return []byte{} })),
		"a scan before the frame":        edit(baseline, only(mSOF0, left)),
		"DC with AC":                     edit(progressive, only(mSOS, func(b []byte) []byte { b[len(b)-3], b[len(b)-2] = 0, 5; return b })),
		"a band backwards":               edit(progressive, only(mSOS, func(b []byte) []byte { b[len(b)-3], b[len(b)-2] = 5, 4; return b })),
		"a band beyond the last":         edit(progressive, only(mSOS, func(b []byte) []byte { b[len(b)-3], b[len(b)-2] = 1, 64; return b })),
		"AC of three components":         edit(progressive, only(mSOS, func(b []byte) []byte { b[len(b)-3], b[len(b)-2] = 1, 5; return b })),
		"two bits at once":               edit(progressive, only(mSOS, func(b []byte) []byte { b[len(b)-1] = 0x31; return b })),
		"bits of no coefficient":         edit(progressive, only(mSOS, func(b []byte) []byte { b[len(b)-1] = 0x0e; return b })),
		"nothing":                        jpegOf(end),
		"a cut segment":                  jpegOf([]byte{0xff, mDQT, 0}),
	} {
		for _, scale := range []int{2, 4, 8} {
			if m, err := decodeReduced(b, scale); err == nil {
				t.Errorf("%s: 1/%d is %v", name, scale, m.Bounds())
			}
		}
	}
}

// FuzzReduced: whatever the guards let through is decoded or refused, alike at
// a half and a quarter; and what it shows of a whole picture is what the
// standard decoder has, reduced.
func FuzzReduced(f *testing.F) {
	for name := range manifest(f) {
		if b := readFile(f, name); len(b) < 16<<10 && sniff(b) == formatJPEG {
			f.Add(b)
		}
	}
	f.Add(readFile(f, "restarts/jpeg_prog_rst_96.jpg"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := inspect(b)
		if err != nil || h.format != formatJPEG || !h.quick {
			return
		}
		half, errHalf := decodeReduced(b, 2)
		quarter, errQuarter := decodeReduced(b, 4)
		eighth, errEighth := decodeReduced(b, 8)
		if (errHalf == nil) != (errQuarter == nil) || errHalf == nil && errEighth != nil {
			t.Fatalf("half: %v, quarter: %v, eighth: %v", errHalf, errQuarter, errEighth)
		}
		if errHalf != nil {
			return
		}
		sizes := map[int]image.Image{2: half, 4: quarter, 8: eighth}
		full, errFull := jpeg.Decode(bytes.NewReader(b))
		if h.progressive { // image/jpeg miscounts restarts, and goes on with a run of ended blocks in the next scan
			full, errFull = reduced(t, b, 1), nil
		}
		for scale, m := range sizes {
			if got, want := m.Bounds().Size(), image.Pt(parts(h.width, scale), parts(h.height, scale)); got != want {
				t.Errorf("1/%d is %v, want %v", scale, got, want)
			}
			if errFull == nil {
				isReduced(t, m, full, scale)
			}
		}
	})
}

// isReduced compares with what the standard decoder has: for each block that
// it has nothing cut off of, to black or white, the lowest coefficients of its
// samples make the reduced ones.
func isReduced(t *testing.T, m, full image.Image, scale int) (blocks int) {
	t.Helper()
	got, from := samplesOf(m), samplesOf(full)
	for p, plane := range planesOf(full) {
		side := 8 / scale
		stride := planesOf(m)[p].X
		for y := range plane.Y / 8 {
			for x := range plane.X / 8 {
				block, whole := blockOf(from[p][8*(y*plane.X+x):], plane.X)
				if !whole {
					continue
				}
				blocks++
				want := reference(&block, side)
				for i, v := range want {
					have := float64(got[p][(y*side+i/side)*stride+x*side+i%side])
					if math.Abs(have-min(max(v, 0), 255)) > 3 {
						t.Errorf("1/%d, plane %d, block %d,%d: sample %d is %v, want %.1f", scale, p, x, y, i, have, v)
						return blocks
					}
				}
			}
		}
	}
	return blocks
}

// planesOf are the sizes of the planes.
func planesOf(m image.Image) []image.Point {
	r := m.Bounds().Size()
	if y, ok := m.(*image.YCbCr); ok {
		across, down := subsampling(y.SubsampleRatio)
		c := image.Pt(parts(r.X, across), parts(r.Y, down))
		return []image.Point{r, c, c}
	}
	return []image.Point{r}
}

func blockOf(b []byte, stride int) (block [64]float64, whole bool) {
	for i := range block {
		v := b[i/8*stride+i%8]
		if v == 0 || v == 255 {
			return block, false
		}
		block[i] = float64(v) - 128
	}
	return block, true
}

// reference transforms a block, and makes side × side samples of its lowest
// coefficients by the transform of that size.
func reference(block *[64]float64, side int) []float64 {
	from, to := bases[8], bases[side]
	out := slices.Repeat([]float64{128}, side*side)
	for v := range side {
		for u := range side {
			var c float64
			for i, s := range block {
				c += s * from[u][i%8] * from[v][i/8]
			}
			for i := range out {
				out[i] += c * float64(side) / 8 * to[u][i%side] * to[v][i/side]
			}
		}
	}
	return out
}

// bases are the orthonormal DCTs by their size: of each coefficient by sample.
var bases = map[int][][]float64{1: basesOf(1), 2: basesOf(2), 4: basesOf(4), 8: basesOf(8)}

func basesOf(n int) (all [][]float64) {
	for k := range n {
		c := math.Sqrt(2 / float64(n))
		if k == 0 {
			c = math.Sqrt(1 / float64(n))
		}
		var row []float64
		for x := range n {
			row = append(row, c*math.Cos(math.Pi*float64(k)*(2*float64(x)+1)/(2*float64(n))))
		}
		all = append(all, row)
	}
	return all
}
