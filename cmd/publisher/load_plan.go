package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/voip"
)

// maxPicture leaves room for the rest of a push: base64 makes four bytes of three.
const maxPicture = 112 << 10

// plan draws the pushes of a run.
type plan struct {
	prefix            string // of the run's callIds
	random            *mathrand.Rand
	pictures          []string // as data: URLs
	video, duplicates float64  // shares of 1
}

func newPlan(f *loadFlags) (*plan, error) {
	p := &plan{
		prefix: "load-" + strings.ToLower(rand.Text()[:8]) + "-",
		random: mathrand.New(mathrand.NewPCG(f.seed, 0)), //nolint:gosec // what is drawn is to be drawn again
		video:  f.video / (f.voice + f.video), duplicates: f.duplicates,
	}
	if f.avatars == "" {
		return p, nil
	}
	entries, err := os.ReadDir(f.avatars)
	if err != nil {
		return nil, fmt.Errorf("--avatars: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if err := p.picture(filepath.Join(f.avatars, e.Name())); err != nil {
			return nil, fmt.Errorf("--avatars: %w", err)
		}
	}
	if len(p.pictures) == 0 {
		return nil, errors.New("--avatars: " + f.avatars + " holds no picture of at most 112 KiB")
	}
	return p, nil
}

// picture takes a file in; what is no picture, or too large for a push, is left out.
func (p *plan) picture(path string) error {
	body, err := os.ReadFile(path) //nolint:gosec // the folder is the caller's own
	if err != nil {
		return err
	}
	if kind := http.DetectContentType(body); strings.HasPrefix(kind, "image/") && len(body) <= maxPicture {
		p.pictures = append(p.pictures, "data:"+kind+";base64,"+base64.StdEncoding.EncodeToString(body))
	}
	return nil
}

// next draws the push of the i-th call, and whether it is sent twice.
func (p *plan) next(i int) (msg *nats.Msg, twice bool, err error) {
	id, user, scene := p.prefix+strconv.Itoa(i), "Caller "+strconv.Itoa(i), "voice"
	if p.random.Float64() < p.video {
		scene = "video"
	}
	twice = p.random.Float64() < p.duplicates
	fields := &voip.PushFields{UserName: &user, Scene: &scene}
	if len(p.pictures) > 0 {
		fields.Avatar = &p.pictures[p.random.IntN(len(p.pictures))]
	}
	body, err := voip.EncodePush(voip.FormObject, id, fields)
	if err != nil {
		return nil, false, err
	}
	return &nats.Msg{Subject: voip.SubjectPush, Data: body, Header: nats.Header{voip.HeaderMsgID: {id}}}, twice, nil
}

// index says which call of this run a callId is.
func (p *plan) index(callID string) (int, bool) {
	n, found := strings.CutPrefix(callID, p.prefix)
	i, err := strconv.Atoi(n)
	return i, found && err == nil && i >= 0
}
