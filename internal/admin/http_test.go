package admin

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestPages(t *testing.T) {
	const plain, stats = "text/plain; charset=utf-8", "application/json"
	p := serve(t, nil, ready, patient())
	for _, c := range []struct {
		method, path string
		status       int
		kind, allow  string
		body         string
	}{
		{"GET", "/", 200, stats, "", wantJSON()},
		{"GET", "/stats", 200, stats, "", wantJSON()},
		{"GET", "/stats?pretty=1", 200, stats, "", wantJSON()},
		{"HEAD", "/", 200, stats, "", ""},
		{"HEAD", "/stats", 200, stats, "", ""},
		{"POST", "/stats", 405, plain, "GET, HEAD", "/stats does not take POST; use GET, HEAD\n"},
		{"DELETE", "/", 405, plain, "GET, HEAD", "/ does not take DELETE; use GET, HEAD\n"},
		{"BREW", "/", 405, plain, "GET, HEAD", "/ does not take BREW; use GET, HEAD\n"},
		{"GET", "/stat", 404, plain, "", "there is no page \"/stat\" here; there are: /, /stats, /servers, /plan, /reload\n"},
		{"GET", "/stats/", 404, plain, "", "there is no page \"/stats/\" here; there are: /, /stats, /servers, /plan, /reload\n"},
		{"POST", "/%0Ax", 404, plain, "", "there is no page \"/\\nx\" here; there are: /, /stats, /servers, /plan, /reload\n"},
		{"OPTIONS", "*", 404, plain, "", "there is no page \"*\" here; there are: /, /stats, /servers, /plan, /reload\n"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			client := p.dial(t)
			fmt.Fprintf(client, "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", c.method, c.path)
			r, err := http.ReadResponse(bufio.NewReader(client), &http.Request{Method: c.method})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) != c.body {
				t.Errorf("body %q, %v, want %q", body, err, c.body)
			}
			if r.StatusCode != c.status || r.Header.Get("Content-Type") != c.kind || r.Header.Get("Allow") != c.allow {
				t.Errorf("status %d, %v, want %d, %q, Allow %q", r.StatusCode, r.Header, c.status, c.kind, c.allow)
			}
			if c.status == 200 && r.ContentLength != int64(len(wantJSON())) {
				t.Errorf("length %d, want %d", r.ContentLength, len(wantJSON()))
			}
		})
	}
}

func TestRequestCutAnywhereIsHTTP(t *testing.T) {
	p := serve(t, nil, ready, patient())
	const request = "GET /stats HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
	for cut := 1; cut < 8; cut++ {
		c := p.dial(t)
		for _, piece := range []string{request[:cut], request[cut:]} {
			if _, err := io.WriteString(c, piece); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(got), wantJSON()) {
			t.Errorf("cut after %d bytes: got %q, %v", cut, got, err)
		}
	}
}

func TestHTTPConnectionIsKeptForMoreRequests(t *testing.T) {
	c := serve(t, nil, ready, patient()).dial(t)
	in := bufio.NewReader(c)
	for _, method := range []string{"GET", "HEAD", "POST", "GET"} {
		fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", method)
		r, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Fatal(err)
		}
		if r.Close {
			t.Errorf("closed after %s", method)
		}
	}
}

func TestLargeHeadIsRefused(t *testing.T) {
	p := serve(t, nil, ready, patient())
	c := p.dial(t)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: h\r\nX: %s\r\n\r\n", strings.Repeat("x", 16<<10))
	if r, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %+v, %v", r, err)
	}
}

// A usual client library works as well.
func TestGoHTTPClient(t *testing.T) {
	p := serve(t, nil, ready, patient())
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for range 3 {
		r, err := client.Get("http://" + p.ln.Addr().String() + "/stats")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || string(body) != wantJSON() {
			t.Errorf("got %q, %v", body, err)
		}
	}
}
