package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

const (
	maxPathBytes = 107 // of sockaddr_un: 108 with the final NUL
	maxHostBytes = 253 // of a DNS name as text
	maxPort      = 65535
	maxMode      = 0o777
)

func (r *reader) listen(path string, n *yaml.Node, p *Pool) {
	if isEmpty(n) {
		r.fault(n, path, "the address is empty; write for example 127.0.0.1:22121")
		return
	}
	text, ok := r.scalar(path, n)
	if !ok {
		return
	}
	address, mode, err := parseListen(text)
	if err != nil {
		r.fault(n, path, err.Error())
		return
	}
	p.Listen.Text, p.Listen.Address, p.Listen.Mode = text, address, mode
}

// parseListen reads "host:port", "*:port", or "/path" with an octal mode after
// a space. The host ends at the last colon, so ::1:22121 is ::1, port 22121.
func parseListen(text string) (Address, os.FileMode, error) {
	if strings.HasPrefix(text, "/") {
		return parseListenPath(text)
	}
	host, port, found := cutLast(text, ":")
	switch {
	case !found:
		return Address{}, 0, fmt.Errorf("%s has no port; write host:port, *:port for all interfaces, or /path of a unix socket", quote(text))
	case host == "":
		return Address{}, 0, fmt.Errorf("%s has no host; write %s for all interfaces", quote(text), quote("*"+text))
	case host == "*":
		number, err := parsePort(port)
		return Address{Network: "tcp", Port: number}, 0, err
	}
	address, err := parseTCP(host, port)
	return address, 0, err
}

func parseListenPath(text string) (Address, os.FileMode, error) {
	path, modeText, found := cutLast(text, " ")
	if !found {
		path, modeText = text, "0"
	}
	mode, err := strconv.ParseUint(modeText, 8, 32)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && mode > maxMode:
		return Address{}, 0, fmt.Errorf("mode %s is above 0777; write an octal mode such as 0660", quote(modeText))
	case err != nil:
		return Address{}, 0, fmt.Errorf("mode %s is not an octal number; write for example 0660 after the path, or nothing", quote(modeText))
	}
	address, err := unixAddress(strings.TrimRight(path, " "))
	return address, os.FileMode(mode), err
}

func (r *reader) servers(path string, n *yaml.Node, p *Pool) {
	switch {
	case n.Kind != yaml.SequenceNode && !isEmpty(n):
		r.fault(n, path, fmt.Sprintf(`the servers are %s; write a list, each line like "- 127.0.0.1:6379:1"`, kindName(n)))
		return
	case len(n.Content) == 0:
		r.fault(n, path, `the list is empty; write at least one server like "- 127.0.0.1:6379:1"`)
		return
	}
	p.Servers = slices.Grow(p.Servers, min(len(n.Content), maxEntries))
	if r.serverLines == nil {
		r.serverLines = make(map[string]int, len(n.Content))
	}
	clear(r.serverLines)
	for i, entry := range n.Content {
		if !r.spend(entry) {
			return
		}
		entry = resolve(entry)
		if fault := r.server(entry, p); fault != "" {
			r.fault(entry, fmt.Sprintf("%s[%d]", path, i), fault)
		}
	}
	sortByName(p.Servers, func(s Server) string { return s.Name })
}

// server reads one entry, or says what is wrong with it.
func (r *reader) server(n *yaml.Node, p *Pool) (fault string) {
	switch {
	case isEmpty(n):
		return "the entry is empty; write host:port:weight, or remove it"
	case n.Kind != yaml.ScalarNode:
		return fmt.Sprintf("the entry is %s; write host:port:weight [name]", kindName(n))
	}
	server, err := parseServer(n.Value)
	if err != nil {
		return err.Error()
	}
	if line, used := r.serverLines[server.Name]; used {
		return fmt.Sprintf("name %s is also used on line %d; give each server its own name", quote(server.Name), line)
	}
	r.serverLines[server.Name] = n.Line
	p.Servers = append(p.Servers, server)
	return ""
}

// parseServer reads "host:port:weight [name]" or "/path:weight [name]" from
// the right, as twemproxy does, so that an IPv6 address needs no brackets.
func parseServer(text string) (Server, error) {
	entry, name, _ := cutLast(strings.TrimRight(text, " "), " ")
	entry = strings.TrimRight(entry, " ")
	isPath := strings.HasPrefix(entry, "/")
	if !isPath && strings.Contains(entry, " ") {
		return Server{}, fmt.Errorf("%s holds several spaces; write host:port:weight and at most one word as name", quote(text))
	}
	endpoint, weightText, hasWeight := cutLast(entry, ":")
	switch {
	case isPath && !hasWeight, !isPath && hasPort(entry) && !hasPort(endpoint):
		return Server{}, fmt.Errorf("%s has no weight; write %s", quote(entry), quote(entry+":1"))
	case !isPath && !hasPort(entry):
		return Server{}, fmt.Errorf("%s has no port and no weight; write host:port:weight [name] or /path:weight [name]", quote(entry))
	}
	weight, err := parseWeight(weightText)
	if err != nil {
		return Server{}, err
	}
	var address Address
	if isPath {
		address, err = serverPath(endpoint)
	} else {
		host, port, _ := cutLast(endpoint, ":")
		address, err = parseTCP(host, port)
	}
	if err != nil {
		return Server{}, err
	}
	if name == "" {
		name = defaultName(address, endpoint)
	}
	return Server{Name: name, Address: address, Weight: weight, Text: text}, nil
}

// hasPort tells whether something follows the host, which may be in brackets.
func hasPort(entry string) bool {
	return strings.Contains(entry, ":") && !strings.HasSuffix(entry, "]")
}

// defaultName is the name of a server that was given none. The distribution
// hashes it, so every byte of these rules decides where keys live: the entry up
// to the weight; without the port if that is memcached's, as libmemcached has
// it; a path with the colon that twemproxy leaves on it.
func defaultName(address Address, endpoint string) string {
	switch {
	case address.Network == "unix":
		return endpoint + ":"
	case address.Port == 11211:
		host, _, _ := cutLast(endpoint, ":")
		return host
	}
	return endpoint
}

func parseWeight(text string) (int, error) {
	weight, err := parseInt(text, atLeast(1), "")
	if err != nil {
		return 0, fmt.Errorf("weight %w", err)
	}
	return weight, nil
}

func parsePort(text string) (int, error) {
	port, err := parseInt(text, bounds{low: 1, high: maxPort}, "")
	if err != nil {
		return 0, fmt.Errorf("port %w", err)
	}
	return port, nil
}

// parseTCP checks a host, with or without brackets, and a port.
func parseTCP(host, portText string) (Address, error) {
	port, err := parsePort(portText)
	if err != nil {
		return Address{}, err
	}
	literal := host
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		literal = host[1 : len(host)-1]
	}
	switch {
	case strings.ContainsAny(host, "[]:"):
		ip, err := netip.ParseAddr(literal)
		if err != nil || !ip.Is6() {
			return Address{}, fmt.Errorf("%s is not an IPv6 address; a host with colons or brackets must be one", quote(host))
		}
		host = ip.String()
	case host == "" || host == "*":
		return Address{}, fmt.Errorf("host %s is not a server; write its name or address", quote(host))
	case strings.ContainsFunc(host, isNotHost):
		return Address{}, fmt.Errorf("host %s holds a character that no host has; write a name or an address", quote(host))
	case len(host) > maxHostBytes:
		return Address{}, fmt.Errorf("host %s has %d bytes; a host has at most %d", quote(host), len(host), maxHostBytes)
	}
	return Address{Network: "tcp", Host: host, Port: port}, nil
}

func isNotHost(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-':
		return false // nearly all, and there may be many thousand hosts
	}
	return unicode.IsSpace(c) || unicode.IsControl(c) || strings.ContainsRune(`/*"`, c)
}

func serverPath(path string) (Address, error) {
	if strings.Contains(path, ":") {
		return Address{}, fmt.Errorf("path %s holds a colon; write /path:weight [name] with a path that has none", quote(path))
	}
	return unixAddress(path)
}

func unixAddress(path string) (Address, error) {
	switch {
	case len(path) > maxPathBytes:
		return Address{}, fmt.Errorf("path %s has %d bytes; a unix socket's path has at most %d", quote(path), len(path), maxPathBytes)
	case strings.ContainsFunc(path, unicode.IsControl):
		return Address{}, fmt.Errorf("path %s holds a control character; use a plain path", quote(path))
	}
	return Address{Network: "unix", Path: path}, nil
}

// cutLast slices s around the last sep, which is a single byte.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
