package callkit

import (
	"fmt"
	"io"
	"net/http"

	"github.com/voip-push/worker/internal/voip"
)

// maxRuleBytes bounds a rule that is posted.
const maxRuleBytes = 4 << 10

// control is the API by which a rehearsal makes things happen on the devices:
//
//	GET    /calls                                    the calls that are live
//	GET    /stats                                    what was counted
//	POST   /calls/{callId}/answer|hangup             ?device=…&bundle=…
//	POST   /devices/{deviceId}/dial|answer|end       a carrier call
//	POST   /service/down|up|restart                  the system's service (rule 10)
//	GET    /faults, POST /faults, DELETE /faults     rules as ParseFault reads them
func (m *Model) control(mux *http.ServeMux) {
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, m.Calls()) })
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, m.Stats()) })
	mux.HandleFunc("POST /calls/{id}/{event}", m.callEvent)
	mux.HandleFunc("POST /devices/{id}/{event}", m.deviceEvent)
	mux.HandleFunc("POST /service/{event}", m.serviceEvent)
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, m.Rules()) })
	mux.HandleFunc("POST /faults", m.addRule)
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		m.ClearFaults()
		writeJSON(w, m.Rules())
	})
}

func (m *Model) callEvent(w http.ResponseWriter, r *http.Request) {
	ref := Ref{BundleName: r.FormValue("bundle"), DeviceID: r.FormValue("device"), CallID: r.PathValue("id")}
	state, live := m.State(ref)
	if !live {
		http.Error(w, "no such call is live; see GET /calls, and name its device and bundle", http.StatusNotFound)
		return
	}
	to := voip.StateDisconnected
	switch event := r.PathValue("event"); event {
	case "hangup":
	case "answer":
		// An outgoing call is answered by the other side: it becomes active.
		if to = voip.StateActive; state == voip.StateRinging {
			to = voip.StateAnswered
		}
	default:
		unknownEvent(w, event, "answer or hangup")
		return
	}
	writeJSON(w, map[string]voip.Code{"code": m.ReportCallStateChange(ref, to)})
}

func (m *Model) deviceEvent(w http.ResponseWriter, r *http.Request) {
	ended := []Ended{}
	switch id, event := r.PathValue("id"), r.PathValue("event"); event {
	case "dial":
		ended = append(ended, m.DialCellular(id)...)
	case "answer":
		ended = append(ended, m.AnswerCellular(id)...)
	case "end":
		m.EndCellular(id)
	default:
		unknownEvent(w, event, "dial, answer or end")
		return
	}
	writeJSON(w, map[string][]Ended{"ended": ended})
}

func (m *Model) serviceEvent(w http.ResponseWriter, r *http.Request) {
	down := false
	switch event := r.PathValue("event"); event {
	case "down":
		down = true
	case "up":
	case "restart":
		m.SetDown(true)
	default:
		unknownEvent(w, event, "down, up or restart")
		return
	}
	m.SetDown(down)
	writeJSON(w, map[string]bool{"down": down})
}

func (m *Model) addRule(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRuleBytes))
	var f Fault
	if err == nil {
		f, err = ParseFault(string(text))
	}
	if err == nil {
		_, err = m.Inject(f)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, m.Rules())
}

func unknownEvent(w http.ResponseWriter, event, want string) {
	http.Error(w, fmt.Sprintf("there is no %q, want %s", event, want), http.StatusNotFound)
}
