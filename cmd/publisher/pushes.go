package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// maxLine is what a line of --file may hold: more than a worker takes, so that
// a push that is too long can be tried.
const maxLine = 512 << 10

// pushes makes the messages that the flags ask for.
func (f *sendFlags) pushes(cmd *cobra.Command, fields *fieldFlags) ([]push, error) {
	header, err := f.header()
	if err != nil {
		return nil, err
	}
	var bodies [][]byte
	if f.file != "" {
		if f.callID != "" || f.data != "" || f.count != 1 || fields.any(cmd.Flags()) {
			return nil, cli.Usage(errors.New("--file sends its lines as they stand: no flag for a callId, a field or data goes with it"))
		}
		bodies, err = f.read(cli.Stdin(cmd))
	} else {
		bodies, err = f.encode(cmd, fields)
	}
	if err != nil {
		return nil, err
	}
	pushes := make([]push, len(bodies))
	for i, body := range bodies {
		pushes[i] = f.push(body, header)
	}
	return pushes, nil
}

// push puts a body into its message, with the callId that a worker will read.
func (f *sendFlags) push(body []byte, header nats.Header) push {
	p := push{callID: voip.OpenPush(body).CallID}
	p.msg = &nats.Msg{Subject: voip.SubjectPush, Data: body, Header: nats.Header{}}
	maps.Copy(p.msg.Header, header)
	if p.callID != "" && !f.noMsgID {
		p.msg.Header.Set(voip.HeaderMsgID, p.callID)
	}
	return p
}

func (f *sendFlags) header() (nats.Header, error) {
	if f.expiresAt == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339Nano, f.expiresAt)
	if err != nil {
		d, err := time.ParseDuration(f.expiresAt)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("--expires-at %q: want a time as in RFC 3339, or a duration such as 10s", f.expiresAt))
		}
		at = time.Now().Add(d)
	}
	return nats.Header{voip.HeaderExpiresAt: {at.UTC().Format(time.RFC3339Nano)}}, nil
}

// encode makes the bodies from the flags.
func (f *sendFlags) encode(cmd *cobra.Command, fields *fieldFlags) ([][]byte, error) {
	form := voip.Form(f.form)
	if !slices.Contains(voip.Forms(), form) {
		return nil, cli.Usage(fmt.Errorf("--form %q: want payload, string or object", f.form))
	}
	if f.count < 1 {
		return nil, cli.Usage(fmt.Errorf("--count %d: want 1 or more", f.count))
	}
	if f.data != "" && fields.any(cmd.Flags()) {
		return nil, cli.Usage(errors.New("--data is instead of the push's fields: use one or the other"))
	}
	values, err := fields.values(cmd.Flags())
	if err != nil {
		return nil, cli.Usage(err)
	}
	bodies := make([][]byte, 0, f.count)
	for i := range f.count {
		body, err := f.body(form, f.id(i), values)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	return bodies, nil
}

func (f *sendFlags) body(form voip.Form, id string, values *voip.PushFields) ([]byte, error) {
	if f.data == "" {
		return voip.EncodePush(form, id, values)
	}
	quoted, err := json.Marshal(f.data)
	if err != nil {
		return nil, fmt.Errorf("encode --data: %w", err)
	}
	return voip.EncodePushData(form, id, quoted)
}

func (f *sendFlags) id(i int) string {
	switch {
	case f.callID == "":
		return "call-" + strings.ToLower(rand.Text()[:12])
	case f.count == 1:
		return f.callID
	default:
		return f.callID + "-" + strconv.Itoa(i+1)
	}
}

// read takes the lines of --file, empty ones left out.
func (f *sendFlags) read(stdin io.Reader) ([][]byte, error) {
	in := stdin
	if f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return nil, fmt.Errorf("--file: %w", err)
		}
		defer file.Close() //nolint:errcheck // it was only read
		in = file
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	var bodies [][]byte
	for lines.Scan() {
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			bodies = append(bodies, bytes.Clone(line))
		}
	}
	if errors.Is(lines.Err(), cli.ErrInterrupted) {
		return nil, fmt.Errorf("%w: nothing is sent", cli.ErrInterrupted)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--file %s, line %d: %w", f.file, len(bodies)+1, err)
	}
	if len(bodies) == 0 {
		return nil, fmt.Errorf("--file %s holds no push", f.file)
	}
	return bodies, nil
}
