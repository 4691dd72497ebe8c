package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// front is a reverse proxy before the API server, under the address that DIR/kubeconfig names. It makes requests
// fail on purpose and, with an openshift, serves what OpenShift adds. Callers stay who they are: a token is passed
// on, and the name in a client certificate goes into the headers that the API server takes from its proxies.
type front struct {
	upstream  *url.URL
	asCaller  http.RoundTripper // no certificate of ours
	asFront   http.RoundTripper // our certificate: X-Remote-* headers count
	proxy     *httputil.ReverseProxy
	faults    *faults
	openshift *openshift // nil for the faults alone
}

const maxBody = 4 << 20

// RoundTrip tells the two kinds of callers apart by what identify has done.
func (f *front) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("X-Remote-User") != "" {
		return f.asFront.RoundTrip(r)
	}
	return f.asCaller.RoundTrip(r)
}

func identify(r *http.Request) {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Remote-") {
			r.Header.Del(name)
		}
	}
	// kube-apiserver, too, looks at the certificate before the token.
	if certificates := r.TLS.PeerCertificates; len(certificates) > 0 {
		r.Header.Del("Authorization")
		r.Header.Set("X-Remote-User", certificates[0].Subject.CommonName)
		for _, group := range certificates[0].Subject.Organization {
			r.Header.Add("X-Remote-Group", group)
		}
	}
}

func newFront(pki, upstream string) (*front, error) {
	target, err := url.Parse(upstream)
	if err != nil {
		return nil, err
	}
	config, err := clientTLS(pki, "front")
	if err != nil {
		return nil, err
	}
	plain := config.Clone()
	plain.Certificates = nil
	f := &front{
		upstream: target,
		asFront:  &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 100},
		asCaller: &http.Transport{TLSClientConfig: plain, MaxIdleConnsPerHost: 100},
		faults:   &faults{},
	}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = target.Host
		},
		Transport:     f,
		FlushInterval: -1, // watches
		// The API server is away: so is this, as far as a client can tell.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { cut() },
	}
	return f, nil
}

func writeStatus(w http.ResponseWriter, err error) {
	status, ok := err.(apierrors.APIStatus)
	if !ok {
		cut() // nobody to ask: the API server is away
	}
	s := status.Status()
	s.Kind, s.APIVersion = "Status", "v1"
	if s.Details != nil && s.Details.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(s.Details.RetryAfterSeconds))
	}
	writeJSON(w, int(s.Code), s)
}

func writeJSON(w http.ResponseWriter, code int, object any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object)
}

// fail is for the faults of any request; false where the request goes on.
func (f *front) fail(w http.ResponseWriter, r *http.Request, fault *fault) bool {
	switch {
	case fault.is("lost-request"):
		cut()
	case fault.is("slow"):
		fault.delay()
		return false
	case fault.is("throttled"):
		writeStatus(w, apierrors.NewTooManyRequests("too many requests, please try again later", 1))
	case fault.is("unavailable"):
		writeStatus(w, apierrors.NewServiceUnavailable("the server is currently unable to handle the request"))
	case fault.is("internal"):
		writeStatus(w, apierrors.NewInternalError(fmt.Errorf("etcdserver: leader changed")))
	case fault.is("conflict"):
		writeStatus(w, conflict(filepath.Base(strings.TrimSuffix(r.URL.Path, "/instantiate"))))
	default:
		return false
	}
	return true
}

// lost takes an answer and throws it away.
type lost struct{ header http.Header }

func (l lost) Header() http.Header         { return l.header }
func (l lost) Write(b []byte) (int, error) { return len(b), nil }
func (l lost) WriteHeader(int)             {}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/devcluster/faults" {
		f.faults.ServeHTTP(w, r)
		return
	}
	identify(r)
	fault := f.faults.take(r)
	if f.fail(w, r, fault) {
		return
	}
	if fault.is("lost-answer") {
		defer cut()
		w = lost{http.Header{}}
		r = r.WithContext(context.WithoutCancel(r.Context()))
	}
	if f.openshift == nil || !f.openshift.serve(w, r, fault) {
		f.proxy.ServeHTTP(w, r)
	}
}

// ask sends a request of our own as the caller of r.
func (f *front) ask(r *http.Request, method, path string, query url.Values, contentType string, body []byte) (int, []byte, error) {
	target := *f.upstream
	target.Path, target.RawQuery = path, query.Encode()
	request, err := http.NewRequestWithContext(r.Context(), method, target.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header = r.Header.Clone()
	request.Header.Set("Accept", "application/json")
	request.Header.Del("Accept-Encoding")
	request.Header.Set("Content-Type", contentType)
	answer, err := f.RoundTrip(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// serve is the last step of a start; it leaves a goroutine behind.
func (f *front) serve(listener net.Listener) error {
	ca, err := os.ReadFile("pki/ca.crt")
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	server := &http.Server{
		Handler:   f,
		TLSConfig: &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: clients},
	}
	go func() {
		fmt.Println("front:", server.ServeTLS(listener, "pki/server.crt", "pki/server.key"))
	}()
	return nil
}
