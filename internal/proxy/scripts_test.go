package proxy

import (
	"fmt"
	"strings"
	"testing"
)

func TestScriptCacheIsBounded(t *testing.T) {
	var cache scriptCache
	body := func(i int) []byte { return []byte(fmt.Sprintf("return %d --%s", i, strings.Repeat("x", 1<<20))) }
	for i := range 40 {
		cache.add(body(i))
		cache.add(body(i))
	}
	if cache.bytes > mostScriptBytes || len(cache.bodies) != len(cache.oldest) || len(cache.bodies) < 15 {
		t.Errorf("%d bytes in %d scripts, %d in order", cache.bytes, len(cache.bodies), len(cache.oldest))
	}
	if cache.find(nameOf(body(0))) != nil || cache.find(nameOf(body(39))) == nil {
		t.Error("the oldest script goes first, and the last stays")
	}
	cache.add([]byte(strings.Repeat("y", mostScriptBytes)))
	if cache.find(nameOf(body(39))) == nil {
		t.Error("a script too large to keep has driven out others")
	}
	cache.flush()
	if cache.bytes != 0 || cache.find(nameOf(body(39))) != nil {
		t.Error("something is left after a flush")
	}
}

// TestSmallScriptsAreBounded holds that what a script takes besides its text is counted.
func TestSmallScriptsAreBounded(t *testing.T) {
	var cache scriptCache
	for i := range 100_000 {
		cache.add([]byte(fmt.Sprint(i)))
	}
	if most := mostScriptBytes / scriptOverhead; len(cache.bodies) > most || len(cache.oldest) > most {
		t.Errorf("%d scripts are kept, %d in order", len(cache.bodies), len(cache.oldest))
	}
}

// TestConnectionsAreToldOnce holds what costs a look into the shared cache, and a request more.
func TestConnectionsAreToldOnce(t *testing.T) {
	var cache scriptCache
	var on scriptsOn
	script := []byte("return 1")
	name := nameOf(script)
	expect := func(what string, wantBody, wantHad bool) {
		t.Helper()
		if body, had := on.needs(&cache, name); (body != nil) != wantBody || had != wantHad {
			t.Errorf("%s: to be told %v, had %v", what, body != nil, had)
		}
	}
	expect("a script that nobody has sent", false, false)
	cache.add(script)
	expect("a script that came since", true, true)
	expect("the same again", false, true)
	cache.add([]byte("return 2"))
	expect("the same after another script", false, true)
	cache.flush()
	expect("the same after a flush", false, false)
	if n := testing.AllocsPerRun(100, func() { on.needs(&cache, name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestScriptNames(t *testing.T) {
	if got := nameOf([]byte("return 1")); string(got[:]) != "e0e1f9fabfc9d4800c877a703b823ac0578ff8db" {
		t.Errorf("got %s", got)
	}
	for text, want := range map[string]bool{
		"e0e1f9fabfc9d4800c877a703b823ac0578ff8db": true, "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB": true,
		"e0e1f9fabfc9d4800c877a703b823ac0578ff8dg": false, "e0e1": false, "": false,
	} {
		if _, ok := asScriptName([]byte(text)); ok != want {
			t.Errorf("%q: %v", text, ok)
		}
	}
}
