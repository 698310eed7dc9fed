package avatar

// withoutAC leaves out the scans of AC coefficients of a progressive JPEG that
// has passed inspect: an eighth of the size is made of the others alone, and
// the 64 scans that are let through would each cost a pass over the picture.
func withoutAC(b []byte) []byte {
	const markerBytes = 2
	out := make([]byte, 0, len(b))
	from, left := 0, false // what is not copied yet; whether the last scan was left out
	for i := markerBytes; ; {
		marker, next := nextMarker(b, i)
		segment, ok := segmentAt(b, next)
		if left {
			from = next - markerBytes
		}
		if marker == mEOI || !ok {
			return append(out, b[from:]...)
		}
		if left = marker == mSOS && spectralStart(segment) > 0; left {
			out = append(out, b[from:next-markerBytes]...)
		}
		i = next + markerBytes + len(segment)
	}
}

// spectralStart is the first coefficient of a scan (T.81, B.2.3); 0 is the DC.
func spectralStart(scan []byte) byte {
	if len(scan) == 0 || len(scan) < 2+2*int(scan[0]) {
		return 0
	}
	return scan[1+2*int(scan[0])]
}
