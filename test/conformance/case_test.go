package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// A testCase is a short conversation of one or more clients with Redis. Files of testdata/redis hold them, one line a step
// and an empty line behind each case:
//
//	# a comment
//	%resp3                       the first connection says HELLO 3 before it starts
//	SET k "a\r\nb\x00"           a command of connection c1; its reply is read
//	c2: GET k                    of another connection: c1 to c9
//	c2& BLPOP l 0                sent, and not read yet
//	blocked 1                    waits until the servers have that many blocked clients
//	c2: close                    the client leaves; the next line of c2 is one of a new connection
//	settled                      waits until the servers have no blocked client and no subscription any more
//	c2< 2                        reads two replies or messages (without a number: one)
//	c1| GET a                    sent together with the next command of the connection that is no |
//	raw 2 "PING\r\nPING\r\n"     bytes as they are, and the number of replies
//	scan SSCAN k 0 COUNT 2       follows the cursor to its end; all elements, sorted, are the reply
//	~unordered c1< 3             messages of which nobody knows the order
//	~unordered SORT s BY nosort  a rule for this reply (see rule); else the one of commandRules holds
//	~= TTL k                     no rule
//	~n=0 CLIENT REPLY OFF        the number of replies, where it is not one
//	~save=id CLIENT ID           keeps the reply's text: later "$(id)" in a word is replaced by it
//
// At the end each connection says PING, so that a reply too many, or a closed connection, shows. %quiet leaves that out.
// %password runs the case on servers with a password, which the pool knows.
type testCase struct {
	name  string // "group/first line; second line; ...", for -only and for the lists of exceptions
	group string
	where string // file and line, "generated" for others
	steps []step

	resp3    bool
	quiet    bool
	password bool
	linger   bool // leaves something behind at the servers for a moment: a blocked client, a subscription
}

// exactly is the rule that there is none: "~= TTL k".
const exactly rule = "="

// operation is what a step does.
type operation uint8

const (
	opCall    operation = iota // send, then read
	opSend                     // send
	opQueue                    // send later, read later
	opRead                     // read
	opBlocked                  // wait for blocked clients
	opScan                     // follow a cursor
	opClose                    // the client leaves
	opSettled                  // wait until those who left have left nothing
)

type step struct {
	line  string
	conn  int // from 0
	op    operation
	words [][]byte
	raw   []byte // instead of words
	n     int    // replies; for opBlocked the number of clients
	rule  rule
	save  string
}

var (
	connPrefix = regexp.MustCompile(`^c([1-9])([:&|<])\s*(.*)$`)
	variable   = regexp.MustCompile(`\$\(\w+\)`)
)

// parseStep reads one line of a case.
func parseStep(line string) (s step, err error) {
	s = step{line: line, n: -1}
	rest, err := s.modifiers(line)
	if err != nil {
		return s, err
	}
	if m := connPrefix.FindStringSubmatch(rest); m != nil {
		s.conn = int(m[1][0] - '1')
		s.op = map[string]operation{":": opCall, "&": opSend, "|": opQueue, "<": opRead}[m[2]]
		rest, err = s.modifiers(m[3])
	}
	if err != nil {
		return s, err
	}
	if err := s.parseWords(rest); err != nil {
		return s, err
	}
	switch {
	case s.rule == exactly:
		s.rule = ""
	case s.rule == "" && len(s.words) > 0:
		s.rule = ruleOf(s.words)
	}
	return s, s.rule.check()
}

// modifiers takes the words with ~ off the front of a line.
func (s *step) modifiers(line string) (rest string, err error) {
	for strings.HasPrefix(line, "~") {
		word, behind, _ := strings.Cut(line, " ")
		if err := s.modify(word[1:]); err != nil {
			return "", err
		}
		line = strings.TrimLeft(behind, " ")
	}
	return line, nil
}

func (s *step) modify(word string) (err error) {
	name, text, _ := strings.Cut(word, "=")
	switch name {
	case "n":
		s.n, err = strconv.Atoi(text)
	case "save":
		s.save = text
	default:
		s.rule = rule(word)
		if word == "" {
			s.rule = exactly
		}
	}
	return err
}

func (s *step) parseWords(rest string) (err error) {
	keyword, behind, _ := strings.Cut(rest, " ")
	switch {
	case s.op == opRead:
		s.n = 1
		if rest != "" {
			s.n, err = strconv.Atoi(rest)
		}
		return err
	case keyword == "blocked":
		s.op = opBlocked
		s.n, err = strconv.Atoi(behind)
		return err
	case rest == "close":
		s.op = opClose
		return nil
	case rest == "settled":
		s.op = opSettled
		return nil
	case keyword == "raw":
		count, text, _ := strings.Cut(behind, " ")
		words, wordsErr := splitWords(text)
		if wordsErr != nil || len(words) != 1 {
			return fmt.Errorf("raw wants a number of replies and one quoted text: %s", rest)
		}
		s.raw = words[0]
		s.n, err = strconv.Atoi(count)
		return err
	case keyword == "scan":
		s.op, rest = opScan, behind
	}
	s.words, err = splitWords(rest)
	if err == nil && len(s.words) == 0 {
		err = fmt.Errorf("no command")
	}
	if s.n < 0 {
		s.n = repliesOf(s.words)
	}
	return err
}

// repliesOf is how many replies a command has: one for each channel, with subscriptions.
func repliesOf(words [][]byte) int {
	if len(words) == 0 {
		return 0
	}
	switch strings.ToLower(string(words[0])) {
	case "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe":
		return max(1, len(words)-1)
	}
	return 1
}

// ruleOf finds the rule of a command, or of its subcommand.
func ruleOf(words [][]byte) rule {
	name := strings.ToLower(string(words[0]))
	if len(words) > 1 {
		if r, ok := commandRules[name+"|"+strings.ToLower(string(words[1]))]; ok {
			return r
		}
		if strings.EqualFold(string(words[1]), "help") {
			return ""
		}
	}
	return commandRules[name]
}

// readCases reads the files of a folder; the name of a file is the group of its cases.
func readCases[T any](dir string, parse func(group, where string, lines []string) (T, error)) (all []T, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		group := strings.TrimSuffix(filepath.Base(file), ".txt")
		for _, p := range paragraphs(string(text)) {
			where := fmt.Sprintf("%s:%d", file, p.line)
			c, err := parse(group, where, p.lines)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", where, err)
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// paragraph is a run of lines that are neither empty nor comments.
type paragraph struct {
	line  int // number of the first one
	lines []string
}

func paragraphs(text string) (all []paragraph) {
	open := false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			open = false
		case open:
			last := &all[len(all)-1]
			last.lines = append(last.lines, line)
		default:
			all = append(all, paragraph{i + 1, []string{line}})
			open = true
		}
	}
	return all
}

// parseRedisCase makes a case of its lines.
func parseRedisCase(group, where string, lines []string) (*testCase, error) {
	c := &testCase{group: group, where: where, name: group + "/" + strings.Join(lines, "; ")}
	for _, line := range lines {
		switch line {
		case "%resp3":
			c.resp3 = true
			continue
		case "%quiet":
			c.quiet = true
			continue
		case "%password":
			c.password = true
			continue
		}
		if strings.HasPrefix(line, "%") {
			return nil, fmt.Errorf("%s is not an option", line)
		}
		s, err := parseStep(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		c.linger = c.linger || s.op == opSend || lingering.MatchString(line)
		c.steps = append(c.steps, s)
	}
	if len(c.steps) == 0 {
		return nil, fmt.Errorf("a case without a command")
	}
	return c, nil
}

var lingering = regexp.MustCompile(`(?i)subscribe|monitor|tracking|\bblock\b|\bbl?[lrz]m?pop|blmove|brpoplpush|wait`)
