package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// Avatars is the avatar stage.
type Avatars interface {
	// Picture returns the picture to send, and what the result says of it. Its
	// error, an *voip.AvatarError, fails the call.
	Picture(ctx context.Context, a voip.Avatar, side int) (voip.UserProfile, voip.AvatarResult, error)
}

// Reporter is the report stage.
type Reporter interface {
	// Report makes the attempts of one call until it is known or too late.
	Report(ctx context.Context, req voip.Request, past voip.Progress, turn voip.Turn) (voip.Progress, error)
}

// StageRecorder is told what the stages took and made.
type StageRecorder interface {
	Stage(name string, took time.Duration)
	Avatar(status, reason string)
}

// Names of the stages in voip_stage_duration_seconds.
const (
	stageQueue   = "queue" // from being stored to its first worker
	stageClaim   = "claim"
	stageDecode  = "decode"
	stageAvatar  = "avatar"
	stageConnect = "connect"
	stageReport  = "report"
	stageSettle  = "settle"
)

// Stages are the values of the stage label, in a push's order.
func Stages() []string {
	return []string{stageQueue, stageClaim, stageDecode, stageAvatar, stageConnect, stageReport, stageSettle}
}

// Handler is the pipeline that a claimed push runs through: decode, avatar and
// connection step, report. It holds no state of a call and speaks to no broker.
type Handler struct {
	Defaults  voip.Defaults
	Avatars   Avatars
	Connector Connector // nil: there is no connection step
	Reporter  Reporter
	Recorder  StageRecorder
	Log       *slog.Logger
}

// Input is a claimed push.
type Input struct {
	Envelope voip.Envelope
	Header   voip.Header
	Stored   time.Time     // the broker's timestamp of the push
	Ahead    time.Duration // what the broker's clock is ahead of ours
	Redrive  voip.Redrive
	Past     voip.Progress // attempts of earlier deliveries
}

// Verdict is how a run ended: Err nil is success, voip.ErrStopping and
// voip.ErrLeaseLost are no end at all, and anything else is for
// voip.Result.Decide.
type Verdict struct {
	Stage        voip.Stage
	Err          error
	Progress     voip.Progress
	Avatar       *voip.AvatarResult
	Direction    *voip.Direction
	VoipCallType *voip.VoipCallType
	ExpiresAt    *time.Time
}

// Handle runs a push through the stages. ctx is cancelled with the cause
// voip.ErrCancelled, voip.ErrStopping or voip.ErrLeaseLost; the deadline is
// Handle's own. A panic is the push's own failure.
func (h *Handler) Handle(ctx context.Context, in *Input, turn voip.Turn) (v Verdict) {
	v = Verdict{Stage: voip.StageDecode, Progress: in.Past}
	defer func() {
		if p := recover(); p != nil {
			h.panicked(ctx, v.Stage, p)
			v.Err = errPanic
		}
	}()
	began := time.Now()
	push, err := in.Envelope.Decode(h.Defaults)
	h.know(ctx, &v, in, push, err)
	h.Recorder.Stage(stageDecode, time.Since(began))
	if err != nil {
		v.Err = err
		return v
	}
	ctx, cancel := voip.WithDeadline(ctx, v.ExpiresAt.Add(-in.Ahead), voip.ErrExpired)
	defer cancel()
	v.Err = h.run(ctx, &v, in, push, turn)
	return v
}

var errPanic = errors.New("a defect of the worker: handling the push panicked")

// run is what follows the decoding: the picture and the connection side by
// side, then the attempts.
func (h *Handler) run(ctx context.Context, v *Verdict, in *Input, push *voip.Push, turn voip.Turn) error {
	v.Stage = voip.StageReport
	if err := ended(ctx, &in.Past); err != nil {
		return err
	}
	connection := h.connect(ctx, in, push, *v.ExpiresAt)
	picture, avatarErr := h.picture(ctx, v, push)
	connectErr := connection.end(&in.Past)
	v.Progress.Connection = in.Past.Connection
	// What ended the call meanwhile comes before what the stages say of it; but
	// a call whose connection was tried fails as that did.
	if err := ended(ctx, &in.Past); err != nil {
		if failed, ok := errors.AsType[*voip.ReportError](connectErr); ok && errors.Is(err, voip.ErrExpired) {
			v.Stage = voip.StageConnect
			return failed
		}
		return err
	}
	if avatarErr != nil {
		v.Stage = voip.StageAvatar
		return avatarErr
	}
	if connectErr != nil {
		v.Stage = voip.StageConnect
		return connectErr
	}
	began := time.Now()
	var err error
	v.Progress, err = h.Reporter.Report(ctx, request(in, push, picture, *v.ExpiresAt), in.Past, turn)
	h.Recorder.Stage(stageReport, time.Since(began))
	return err
}

// panicked logs what a panic said, which may be private, and where it was.
func (h *Handler) panicked(ctx context.Context, stage voip.Stage, p any) {
	h.Log.ErrorContext(ctx, "a push made its handler panic", "stage", stage, "panic", voip.Private(fmt.Sprint(p)), "stack", string(debug.Stack()))
}

// picture recovers for itself: the connection step beside it is waited for.
func (h *Handler) picture(ctx context.Context, v *Verdict, push *voip.Push) (picture voip.UserProfile, err error) {
	defer func() {
		if p := recover(); p != nil {
			h.panicked(ctx, voip.StageAvatar, p)
			err = errPanic
		}
	}()
	began := time.Now()
	within := ctx
	if push.Avatar.Given {
		var cancel context.CancelFunc
		within, cancel = half(ctx, began)
		defer cancel()
	}
	picture, result, err := h.Avatars.Picture(within, push.Avatar, voip.AvatarSide(push.Density))
	h.Recorder.Stage(stageAvatar, time.Since(began))
	push.Avatar.Source = "" // it may be the picture itself, and the call may wait for long
	if err == nil && result.Status == voip.AvatarFallback && ctx.Err() != nil {
		return picture, nil // cut off with the call: it says nothing of the avatar
	}
	h.Recorder.Avatar(string(result.Status), string(result.Reason))
	v.Avatar = &result
	return picture, err
}

// half leaves half of what a call has left to what comes after: the picture of a
// call that is almost over must not cost its ring.
func half(ctx context.Context, now time.Time) (context.Context, context.CancelFunc) {
	deadline, _ := ctx.Deadline() // Handle has set it
	return voip.WithDeadline(ctx, now.Add(deadline.Sub(now)/2), context.DeadlineExceeded)
}

// ended is why the call must not go on; nil while it may. A call that was
// tried before its deadline fails with the reason of its last attempt.
func ended(ctx context.Context, past *voip.Progress) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, voip.ErrExpired) {
		return past.Overdue()
	}
	return cause
}

func request(in *Input, push *voip.Push, picture voip.UserProfile, expires time.Time) voip.Request {
	return voip.Request{
		Schema: voip.RequestSchema, Method: push.Direction.Method(), Attribute: push.Attribute(picture),
		DeviceID: push.DeviceID, BundleName: push.BundleName, Data: push.Data,
		Redrives: in.Redrive.Count, ExpiresAt: expires,
	}
}

// know fills in what is known of the call once it is decoded, be it in part.
func (h *Handler) know(ctx context.Context, v *Verdict, in *Input, push *voip.Push, err error) {
	if _, malformed := errors.AsType[*voip.MalformedPushError](err); malformed {
		return
	}
	bad, _ := errors.AsType[*voip.InvalidAttributeError](err)
	known := func(fields ...string) bool {
		return bad == nil || !slices.ContainsFunc(bad.Fields, func(f voip.FieldError) bool { return slices.Contains(fields, f.Field) })
	}
	if known("direction") {
		v.Direction = &push.Direction
	}
	if known("voipCallType") {
		v.VoipCallType = &push.VoipCallType
	}
	if known("direction", "ttlSeconds") {
		expires := h.deadline(ctx, in, push)
		v.ExpiresAt = &expires
	}
}

func (h *Handler) deadline(ctx context.Context, in *Input, push *voip.Push) time.Time {
	header, err := voip.ExpiresAtOf(in.Header)
	if err != nil {
		h.Log.WarnContext(ctx, "a header of the push is ignored", "error", err)
	}
	return push.Deadline(in.Stored, header, in.Redrive.Count > 0).UTC()
}
