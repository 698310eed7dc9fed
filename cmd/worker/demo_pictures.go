//go:build !production

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// pictureServer serves the demo's avatars on loopback.
type pictureServer struct {
	URL    string
	server *http.Server
}

func servePictures() (*pictureServer, error) {
	files := map[string][]byte{"/bomb.png": bomb()}
	for path, side := range map[string]int{"/face.jpg": 256, "/large.jpg": 640} {
		b, err := photo(side)
		if err != nil {
			return nil, fmt.Errorf("make a picture for the demo: %w", err)
		}
		files[path] = b
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // bound at once
	if err != nil {
		return nil, fmt.Errorf("serve the demo's pictures: %w", err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(b) // the worker may have gone
	})}
	go s.Serve(l) //nolint:errcheck // it ends with Close
	return &pictureServer{URL: "http://" + l.Addr().String(), server: s}, nil
}

// Close ends the server.
func (p *pictureServer) Close() { _ = p.server.Close() }

// photo is a JPEG with enough noise to have a photograph's size.
func photo(side int) ([]byte, error) {
	img := image.NewRGBA(image.Rect(0, 0, side, side))
	noise := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same picture each time
	for y := range side {
		for x := range side {
			n := uint8(noise.IntN(64))
			img.Set(x, y, color.RGBA{uint8(x*191/side) + n, uint8(y*191/side) + n, 96 + n, 255})
		}
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 90})
	return b.Bytes(), err
}

// bomb is a PNG whose header promises 30,000 by 30,000 pixels.
func bomb() []byte {
	header := append([]byte("IHDR"), 0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30, 8, 6, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	b = append(b, header...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(header))
}
