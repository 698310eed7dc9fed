package avatar

import (
	"bytes"
	"encoding/binary"
)

// The one tag that is read of EXIF (CIPA DC-008, 4.6.5: Orientation), and what
// it has to look like.
const (
	tagOrientation = 0x0112
	typeShort      = 3
	entryBytes     = 12
)

// exifOrientation reads the orientation, 1 to 8, from an APP1 segment. Of the
// file's directories only the first is read, once; whatever is missing, odd or
// out of bounds counts as 1, upright.
func exifOrientation(segment []byte) int {
	tiff, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00"))
	if !ok || len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 1
	}
	entries := tiff[at+2:]
	n := min(int(order.Uint16(tiff[at:])), len(entries)/entryBytes)
	for i := range n {
		e := entries[i*entryBytes:]
		if order.Uint16(e) != tagOrientation {
			continue
		}
		value := int(order.Uint16(e[8:]))
		if order.Uint16(e[2:]) != typeShort || order.Uint32(e[4:]) != 1 || value < 1 || value > 8 {
			return 1
		}
		return value
	}
	return 1
}
