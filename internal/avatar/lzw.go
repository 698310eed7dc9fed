package avatar

import "errors"

var errLZW = errors.New("the GIF's compressed data are cut or damaged")

// The widths of LZW's codes in GIF (GIF89a, appendix F), in bits.
const (
	lzwLeast = 2 // of a literal
	lzwMost  = 8
	lzwWidth = 12 // of a code
)

// lzwString is where in the pixels a code's string was last to be seen.
type lzwString struct{ at, length int32 }

// unLZW fills to from the codes of a GIF whose literals have so many bits and
// are below colours. Each code but a literal stands for the string of the code
// before it was made, and the pixel after that: it is copied from there, so
// that nothing is done twice for a pixel.
func unLZW(to, codes []byte, bits, colours int) error {
	if bits < lzwLeast || bits > lzwMost {
		return errLZW
	}
	var (
		strings     [1 << lzwWidth]lzwString
		start       = 1 << bits
		end         = start + 1
		next, width = end + 1, bits + 1
		last        lzwString // none when it is empty
		buffer      uint64
		buffered    int
	)
	for n := 0; n < len(to); {
		for ; buffered < width; buffered += 8 {
			if len(codes) == 0 {
				return errLZW
			}
			buffer |= uint64(codes[0]) << buffered
			codes = codes[1:]
		}
		code := int(buffer & (1<<width - 1))
		buffer, buffered = buffer>>width, buffered-width
		if code == start {
			next, width, last = end+1, bits+1, lzwString{}
			continue
		}
		if last.length > 0 && next < len(strings) {
			strings[next] = lzwString{last.at, last.length + 1}
			if next++; next == 1<<width && width < lzwWidth {
				width++
			}
		}
		s := lzwString{int32(n), 1}
		switch {
		case code < start && code < colours:
			to[n] = byte(code)
		case code > end && code < next:
			from := strings[code]
			if s.length = from.length; n+int(s.length) > len(to) {
				return errLZW
			}
			repeat(to, int(from.at), n, int(s.length))
		default: // the end, too, is an error: there are pixels left
			return errLZW
		}
		n, last = n+int(s.length), s
	}
	return nil
}

// repeat copies a string of pixels from an earlier place. The last one may be
// the first that it writes.
func repeat(pix []byte, from, to, length int) {
	const worthACall = 16
	if length < worthACall {
		for i := range length {
			pix[to+i] = pix[from+i]
		}
		return
	}
	copy(pix[to:to+length-1], pix[from:from+length-1])
	pix[to+length-1] = pix[from+length-1]
}
