package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"

	"nutmeg/internal/testkit"
)

// A template is the command of a proxy that this program does not know, with
// names in braces for addresses:
//
//	{listen}   {server1}   {server2}    the Redis side
//	{mclisten} {mcserver1} {mcserver2}  the memcached side
//	{spare}                             one more free address, for statistics
//	{fds}                               how many files a process may open
//	{config:FILE}                       a copy of FILE in which the names are filled in, too
//
// An address is host:port; {listen.port} is its port alone, and so on. Without
// {mclisten}, in the command or in a file, no memcached load is sent, and
// without {listen} no Redis load. The command is run by sh, must stay in the
// foreground, and be one process.

// parseTemplate splits "name=command".
func parseTemplate(text string) (name, command string, err error) {
	name, command, ok := strings.Cut(text, "=")
	switch {
	case !ok || command == "" || !regexp.MustCompile(`^[a-z0-9-]{1,10}$`).MatchString(name):
		return "", "", errors.New(`want name=command, the name of up to 10 small letters, digits and hyphens`)
	case !strings.Contains(command, "listen") && !strings.Contains(command, "{config:"):
		return "", "", errors.New("the command tells the proxy nowhere to listen; use {listen}, {mclisten} or {config:FILE}")
	}
	return name, command, nil
}

var configName = regexp.MustCompile(`\{config:([^}]+)\}`)

// filled is a template with all names filled in.
type filled struct {
	command         string
	files           map[string]string // to be put into the process's folder
	redis, memcache bool              // where it listens
}

// fillTemplate fills in names (without braces) in the command and its files.
func fillTemplate(command string, names map[string]string) (filled, error) {
	f := filled{files: map[string]string{}}
	var pairs []string
	for name, value := range names {
		pairs = append(pairs, "{"+name+"}", value)
	}
	replacer := strings.NewReplacer(pairs...)
	fill := func(text string) string {
		f.redis = f.redis || strings.Contains(text, "{listen}") || strings.Contains(text, "{listen.port}")
		f.memcache = f.memcache || strings.Contains(text, "{mclisten}") || strings.Contains(text, "{mclisten.port}")
		return replacer.Replace(text)
	}
	var failed error
	f.command = configName.ReplaceAllStringFunc(fill(command), func(match string) string {
		path := configName.FindStringSubmatch(match)[1]
		text, err := os.ReadFile(path)
		if err != nil {
			failed = fmt.Errorf("cannot read the configuration of the template: %w", err)
		}
		own := fmt.Sprintf("config%d", len(f.files))
		f.files[own] = fill(string(text))
		return own
	})
	if failed == nil && !f.redis && !f.memcache {
		failed = errors.New("neither the command nor its files use {listen} or {mclisten}")
	}
	return f, failed
}

// launchTemplate starts the proxy of a template.
func (b *bed) launchTemplate(command string) (*running, error) {
	r := &running{}
	addrs, err := r.ports(3)
	if err != nil {
		return r.started(nil, err)
	}
	names := map[string]string{"fds": fmt.Sprint(fileLimit())}
	for name, addr := range map[string]string{
		"listen": addrs[0], "server1": b.redis[0].Addr(), "server2": b.redis[1].Addr(),
		"spare": addrs[2], "mclisten": addrs[1], "mcserver1": b.memcached[0].Addr(), "mcserver2": b.memcached[1].Addr(),
	} {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return r.started(nil, err)
		}
		names[name], names[name+".port"] = addr, port
	}
	f, err := fillTemplate(command, names)
	if err != nil {
		return r.started(nil, err)
	}
	var listening []string
	if f.redis {
		r.redis = addrs[0]
		listening = append(listening, addrs[0])
	}
	if f.memcache {
		r.memcache = addrs[1]
		listening = append(listening, addrs[1])
	}
	return r.started(testkit.StartCommand("sh", []string{"-c", "exec " + f.command}, listening, f.files))
}
