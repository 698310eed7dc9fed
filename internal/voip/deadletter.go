package voip

import "time"

// Stage is where a dead call ended, as Voip-Stage names it.
type Stage string

// The stages.
const (
	StageDeliver Stage = "deliver"
	StageDecode  Stage = "decode"
	StageAvatar  Stage = "avatar"
	StageConnect Stage = "connect"
	StageReport  Stage = "report"
)

// DeadLetter is a push that failed, as it is kept on voip.dlq.>: the original
// body byte for byte, the original headers, and why.
type DeadLetter struct {
	Body   []byte
	Header map[string][]string // the push's own
	Reason Reason
	Error  string // for people; never holds userName or an avatar URL
	Stage  Stage
	CallID string // empty: the push had none

	Attempts  int
	FirstSeen time.Time // the broker's timestamp of the push
	FailedAt  time.Time
	ExpiresAt *time.Time // nil: not known
	Worker    string

	OriginSubject  string
	OriginSequence uint64
	Redrives       int
}
