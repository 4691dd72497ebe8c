package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// fault is one thing that goes wrong, as a test asks for it. The zero value of a field is its default.
type fault struct {
	Fault       string  `json:"fault"`
	Path        string  `json:"path,omitempty"`        // regular expression; default: instantiate
	Method      string  `json:"method,omitempty"`      // default: any
	Count       int     `json:"count,omitempty"`       // how often; 0: until the faults are replaced
	Probability float64 `json:"probability,omitempty"` // default: 1
	DelayMS     int     `json:"delayMs,omitempty"`     // of slow and slow-create
	Hits        int     `json:"hits"`                  // how often it has happened

	path *regexp.Regexp
}

// What can go wrong with any request, and what only instantiate does.
var faultNames = map[string]bool{
	"slow": true, "lost-request": true, "lost-answer": true,
	"throttled": true, "unavailable": true, "internal": true, "conflict": true,

	"gap": false, "gap-cut": false, "slow-create": false, "already-exists": false, "quota": false,
	"no-service-account": false,
}

const instantiatePath = `/buildconfigs/[^/]+/instantiate$`

// faults is the list in force. It is a handler too, for tests: GET shows it, PUT replaces it.
type faults struct {
	mu   sync.Mutex
	list []*fault
}

func (f *fault) check() (err error) {
	anyRequest, known := faultNames[f.Fault]
	if !known {
		return fmt.Errorf("unknown fault %q", f.Fault)
	}
	if f.Path == "" {
		f.Path = instantiatePath
	} else if !anyRequest {
		return fmt.Errorf("%s is of instantiate only: it takes no path", f.Fault)
	}
	if f.Probability == 0 {
		f.Probability = 1
	}
	f.Hits = 0
	f.path, err = regexp.Compile(f.Path)
	return err
}

// take is the fault that the request is to suffer, counted; nil for none.
func (l *faults) take(r *http.Request) *fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.list {
		if (f.Count > 0 && f.Hits >= f.Count) || (f.Method != "" && f.Method != r.Method) || !f.path.MatchString(r.URL.Path) {
			continue
		}
		if rand.Float64() < f.Probability {
			f.Hits++
			taken := *f
			return &taken
		}
	}
	return nil
}

func (l *faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		var list []*fault
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			writeStatus(w, apierrors.NewBadRequest("expected a JSON list of faults: "+err.Error()))
			return
		}
		for _, f := range list {
			if err := f.check(); err != nil {
				writeStatus(w, apierrors.NewBadRequest(err.Error()))
				return
			}
		}
		l.mu.Lock()
		l.list = list
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	writeJSON(w, http.StatusOK, append([]*fault{}, l.list...))
}

// is also answers for requests without a fault.
func (f *fault) is(name string) bool { return f != nil && f.Fault == name }

func (f *fault) delay() { time.Sleep(time.Duration(f.DelayMS) * time.Millisecond) }

// cut ends the connection (of HTTP/2: the stream) without an answer.
func cut() { panic(http.ErrAbortHandler) }
