package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

// outcome is what a run of the tool gave.
type outcome struct {
	code           int
	stdout, stderr string
}

// call runs the tool inside the test, for at most a minute.
func call(t *testing.T, args ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	p := program{name: "nutmegctl", stdout: &stdout, stderr: &stderr}
	code := p.run(ctx, args)
	return outcome{code, stdout.String(), stderr.String()}
}

func TestDispatch(t *testing.T) {
	for _, test := range []struct {
		rule   string
		args   string
		code   int
		stdout string // what it begins with
		stderr string
	}{
		{"nothing to do is an error and shows the usage", "", 1, "", "Usage: nutmegctl COMMAND"},
		{"help is asked for", "help", 0, "Usage: nutmegctl COMMAND", ""},
		{"-h is help", "-h", 0, "Usage: nutmegctl COMMAND", ""},
		{"an unknown command lists the known ones", "top", 1, "", `nutmegctl: there is no command "top"; use one of demo, exec, plan, reload, status, where`},
		{"a command has its own help", "where --help", 0, "Usage: nutmegctl where -c FILE", ""},
		{"exec needs -h for the host, so its help is --help", "exec --help", 0, "Usage: nutmegctl exec", ""},
		{"an unknown option is named", "where --no", 1, "", "nutmegctl: unknown flag: --no"},
		{"reload has its own help", "reload --help", 0, "Usage: nutmegctl reload [-s HOST:PORT]", ""},
		{"reload takes no words", "reload now", 1, "", `nutmegctl: reload takes no "now"; it has only options`},
		{"status takes no words", "status now", 1, "", `nutmegctl: status takes no "now"; it has only options`},
		{"plan needs a file", "plan", 1, "", "nutmegctl: plan needs one configuration file, for example: plan nutmeg.yml"},
		{"plan takes one file", "plan a b", 1, "", "nutmegctl: plan needs one configuration file"},
		{"plan asks one or the other", "plan -c a -s 127.0.0.1:1 b", 1, "", "nutmegctl: plan compares with a file (-c) or asks nutmeg (-s)"},
		{"exec without a command says what is missing", "exec -p 1", 1, "", "nutmegctl: exec needs a command"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			got := call(t, strings.Fields(test.args)...)
			if got.code != test.code || !begins(got.stdout, test.stdout) || !begins(got.stderr, test.stderr) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// begins reports whether text starts with prefix, and is empty if prefix is.
func begins(text, prefix string) bool {
	return strings.HasPrefix(text, prefix) && (prefix != "" || text == "")
}
