package avatar

import (
	"encoding/binary"
	"errors"
)

var errJPEG = errors.New("the JPEG's data are cut, damaged or not what its headers say")

// huffCode is what a code of a JPEG says, and how the next one is found:
// from the lowest byte on how many bits it has with those of its value, how
// many coefficients it goes on, its symbol, and how many bits it has itself. 0
// is no code.
type huffCode uint32

// endOfBlock goes on by more than twice the coefficients of a block, and what
// ends several blocks, which a baseline picture has not, just beyond its block.
const (
	endOfBlock  = 128
	endOfBlocks = 64
)

func newHuffCode(symbol byte, length int) huffCode {
	run, size := int(symbol>>4), int(symbol&0x0f)
	step := run + 1
	switch {
	case size > 0 || run == 15:
	case run == 0:
		step = endOfBlock
	default:
		step = endOfBlocks
	}
	return huffCode(length + size | step<<8 | int(symbol)<<16 | length<<24)
}

func (c huffCode) bits() int    { return int(c & 0xff) }
func (c huffCode) step() int    { return int(c >> 8 & 0xff) }
func (c huffCode) symbol() byte { return byte(c >> 16) }
func (c huffCode) size() int    { return int(c >> 16 & 0x0f) }
func (c huffCode) length() int  { return int(c >> 24) }

const (
	huffMost  = 16 // bits of a code
	huffQuick = 9  // bits of one that is looked up
)

// huffman is a table of codes (T.81, annex C).
type huffman struct {
	quick  [1 << huffQuick]huffCode
	limits [huffMost + 1]uint32 // above all codes of that length and shorter, in 16 bits
	first  [huffMost + 1]int    // what is added to a code for the place of its symbol
	values []byte
}

// newHuffman reads a table behind its selector, and gives what is left.
func newHuffman(b []byte) (*huffman, []byte, error) {
	if len(b) < huffMost {
		return nil, nil, errJPEG
	}
	t := &huffman{values: b[huffMost:]}
	code, place := 0, 0
	for i, n := range b[:huffMost] {
		length := i + 1
		if place+int(n) > len(t.values) || code+int(n) > 1<<length {
			return nil, nil, errJPEG
		}
		t.first[length] = place - code
		for range n {
			if length <= huffQuick {
				t.fill(code, length, newHuffCode(t.values[place], length))
			}
			code, place = code+1, place+1
		}
		t.limits[length] = uint32(code) << (huffMost - length)
		code <<= 1
	}
	rest := t.values[place:]
	t.values = t.values[:place]
	return t, rest, nil
}

func (t *huffman) fill(code, length int, c huffCode) {
	each := 1 << (huffQuick - length)
	for i := range each {
		t.quick[code*each+i] = c
	}
}

// find is the code at the top of buf; 0: there is none.
func (t *huffman) find(buf uint64) huffCode {
	if c := t.quick[buf>>(64-huffQuick)]; c != 0 {
		return c
	}
	return t.findLong(buf)
}

func (t *huffman) findLong(buf uint64) huffCode {
	top := uint32(buf >> (64 - huffMost))
	for length := huffQuick + 1; length <= huffMost; length++ {
		if top < t.limits[length] {
			return newHuffCode(t.values[int(top>>(huffMost-length))+t.first[length]], length)
		}
	}
	return 0
}

// entropy reads the bits of a scan, up to the next marker (T.81, F.2.2.5).
type entropy struct {
	b      []byte
	buf    uint64 // the next bits, from the top
	n      int    // how many of them are there
	padded int    // of these the last ones, where nothing was left
}

// enough bits are there after a refill for a code and its value, twice over.
const enough = 2 * huffMost

// refill leaves at least 56 bits. Behind the end there are zeros.
func (e *entropy) refill() {
	if len(e.b) >= 8 {
		const ones, tops = 0x0101010101010101, 0x8080808080808080
		v := binary.BigEndian.Uint64(e.b)
		if (^v-ones)&v&tops == 0 { // none of the bytes is 0xff
			e.buf |= v >> (e.n & 63)
			taken := (63 - e.n) >> 3
			e.b, e.n = e.b[taken:], e.n+8*taken
			return
		}
	}
	for ; e.n <= 56; e.n += 8 {
		switch {
		case len(e.b) == 0 || e.b[0] == 0xff && (len(e.b) < 2 || e.b[1] != 0):
			e.padded += 8
			continue
		case e.b[0] == 0xff:
			e.buf |= 0xff << (56 - e.n)
			e.b = e.b[2:]
		default:
			e.buf |= uint64(e.b[0]) << (56 - e.n)
			e.b = e.b[1:]
		}
	}
}

// short says whether more was read than there was.
func (e *entropy) short() bool { return e.n < e.padded }

// drop takes n bits, which have to be there.
func (e *entropy) drop(n int) {
	e.buf <<= n & 63
	e.n -= n
}

// take takes up to 16 bits.
func (e *entropy) take(n int) int {
	if e.n < enough {
		e.refill()
	}
	v := int(e.buf >> 1 >> (63 - n))
	e.drop(n)
	return v
}

// code takes a code alone, without the bits of its value.
func (e *entropy) code(t *huffman) huffCode {
	if e.n < enough {
		e.refill()
	}
	c := t.find(e.buf)
	e.drop(c.length())
	return c
}

// restart goes on behind the restart marker of that number.
func (e *entropy) restart(number int) bool {
	if e.short() || e.n-e.padded >= 8 || len(e.b) < 2 || e.b[0] != 0xff || int(e.b[1]) != mRST0+number%8 {
		return false
	}
	*e = entropy{b: e.b[2:]}
	return true
}

// signed is the value at the top of buf that has so many bits, 1 to 15 (T.81, F.1.2.1).
func signed(buf uint64, size int) int32 {
	v := int32(buf >> (64 - uint(size)&63))
	negative := int32(^buf>>63) & 1
	return v - negative*(1<<size-1)
}
