package httpd

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"

	"github.com/plaincover/plaincover/internal/fault"
)

// problem is an error as clients of HTTP get it (RFC 9457), with what to do about it. It
// never holds what was sent.
type problem struct {
	Type   string // a name of interfaces §5; empty: the status says it all (about:blank)
	Status int
	Detail string // what is wrong
	Fix    string // what to do
	More   map[string]any
}

// retryAfter is how many seconds somebody is asked to wait.
const retryAfter = 10

// problems is the table from faults to problems (architecture §7). The texts stand where the
// fault has none to show.
func problems() map[fault.Kind]problem {
	return map[fault.Kind]problem{
		fault.Internal:        {Status: 500, Detail: "something went wrong here", Fix: "try again later; the log of the gateway says more"},
		fault.Unavailable:     {Type: "unavailable", Status: 503, Detail: "not possible right now", Fix: "try again later"},
		fault.RateLimited:     {Type: "rate-limited", Status: 429, Detail: "too many requests", Fix: "wait as long as Retry-After says"},
		fault.Invalid:         {Type: "invalid", Status: 422, Detail: "this cannot be read", Fix: "look at it against /openapi.json"},
		fault.TooLarge:        {Type: "too-large", Status: 413, Detail: "this is too large", Fix: "send less at once"},
		fault.Unauthenticated: {Type: "unauthenticated", Status: 401, Detail: "a valid key is needed", Fix: "send Authorization: Bearer with a key from gateway apikey create"},
		fault.Forbidden:       {Type: "forbidden", Status: 403, Detail: "this key may not do that", Fix: "use a key with the right scope"},
		fault.NotFound:        {Type: "not-found", Status: 404, Detail: "there is nothing at this address", Fix: "use /livez, /readyz or /metrics"},
		fault.Conflict:        {Status: 409, Detail: "it has changed meanwhile", Fix: "read it again"},
		fault.Rejected:        {Type: "forbidden", Status: 403, Detail: "a rule of the practice refuses it", Fix: "gateway explain says which"},
	}
}

// problemOf turns any error into the problem that the visitor gets. What nobody classified
// says nothing of its cause; no error ever becomes a success.
func problemOf(err error) problem {
	kind := fault.KindOf(err)
	p, known := problems()[kind]
	if !known {
		return problems()[fault.Internal]
	}
	if e, ok := errors.AsType[*fault.Error](err); ok && kind != fault.Internal && e.Public != "" {
		p.Detail = e.Public
	}
	return p
}

// writeProblem answers with p.
func writeProblem(w http.ResponseWriter, p problem) {
	doc := map[string]any{"type": "about:blank", "title": http.StatusText(p.Status), "status": p.Status, "detail": p.Detail, "fix": p.Fix}
	if p.Type != "" {
		doc["type"] = "/problems/" + p.Type
	}
	maps.Copy(doc, p.More)
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	writeJSON(w, "application/problem+json", p.Status, doc)
}

func writeJSON(w http.ResponseWriter, media string, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // a type of ours that cannot be written: a fault of the program
		status, b = http.StatusInternalServerError, []byte(`{"type":"about:blank","title":"Internal Server Error","status":500}`)
	}
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	w.Write(append(b, '\n')) // for HEAD, net/http keeps the length and drops the text
}
