// Package memcache is the memcached text protocol as bytes: incremental parsers
// for requests and responses, writers, and every error text nutmeg sends to a
// memcached client. It knows no sockets, no clocks and no servers.
//
//	client --> RequestParser  --> Request{Kind, Keys, spans}  --> server
//	client <-- AppendProblem  <-- Problem (refused here)
//	server --> ResponseParser --> Response{Kind, Values}       --> client
//	           NextValue cuts a response apart, AppendRetrieval builds a fragment
//
// Both parsers take bytes as they come, cut anywhere, and look at no byte twice:
// a cut word goes on where it stopped, values are skipped by count. Neither of them
// allocates in the steady state.
//
// # The framing promise
//
// Many clients share one server connection, so a request on which the proxy and
// the server disagree shifts every later response to the wrong client. Whatever
// RequestParser accepts (no error, no Problem) and AppendForward writes, memcached
// must see as exactly one request and answer exactly once, and must not close the
// connection for. Where memcached and the parser could differ, the parser refuses,
// and what it refuses reaches no server. Where the next request of the client begins
// is then the client's own affair, and is where memcached 1.6 looks for it:
//
//	memcached                                       the parser
//	ends a line at LF, with or without CR           does so too, and has it forwarded with CRLF (Request.BareLine):
//	                                                  others than memcached end lines at CRLF only
//	ends the words of a line at NUL                 refuses control bytes and 0x7f in every word
//	keeps tab, CR and VT inside a word, yet takes   the same; blank is the only separator
//	  them for the end of a number
//	answers a bad storage line and then runs the    checks all that memcached checks (key length, flags,
//	  value as commands (1.6.18: no swallowing)       exptime, length, cas unique), forwards nothing else;
//	                                                  where memcached finds no length or too few words the next
//	                                                  line is a request, else the value is skipped
//	refuses a value that CRLF does not follow, goes the same, with the whole value at hand before a byte of it
//	  on behind its length and two bytes              is forwarded
//	takes a sign or blanks of C for part of a       refuses it, and believes the length: the value is skipped
//	  length
//	differs by version in the range of flags and    takes what every version takes: flags uint32,
//	  exptime                                         exptime int32, length at most 1 GiB
//	takes a last word "noreply" in a number's       the words before noreply must be numbers, and noreply
//	  place for noreply and answers nothing           is stripped before forwarding (Request.NoReplySpan)
//	ignores a word after the last one it knows      refuses it
//	closes on 2049 bytes without LF, except for     takes lines of 2048 bytes, of 1 MiB for get and gets;
//	  get and gets behind at most 100 blanks          the name must start within the first 100 bytes
//	closes on a line ending in HTTP/...             never accepts such a word but as a key
//	speaks binary on a first byte 0x80              refuses it and closes
//	answers ms with a long key or more than 16      refuses both and skips the value
//	  flags and then runs the value as commands
//	may or may not answer a quiet meta command      accepts it and says so (Request.Quiet): mn goes behind it
//	takes noreply in some commands for operators    strips it where every version takes it, else refuses it
//	ends some listings otherwise than by END        refuses what asks for one: metadump, mgdump, stats sizes_enable
//	has no meta commands before 1.6, or others:     cannot know: MetaQuestion asks the server before the first one
//	  the value of ms is run as commands
//
// test/memcache_codec_test.go holds the table against a real memcached.
package memcache

// Kind is the command of a request.
type Kind uint8

// The commands. Unknown is a name that memcached does not know either,
// Unsupported one that memcached knows and nutmeg does not serve.
const (
	Unknown Kind = iota
	Get
	Gets
	Gat
	Gats
	Bget // an old name of get
	Set
	Add
	Replace
	Append
	Prepend
	Cas
	Incr
	Decr
	Touch
	Delete
	Version
	Quit
	MetaGet
	MetaSet
	MetaDelete
	MetaArithmetic
	MetaDebug
	Stats // Request.Name says which
	Admin // what only operators need; Request.Name says which
	Own   // nutmeg's own command
	Unsupported
	MetaNoop // mn; a server answers it with MN, nothing else
	Question // MetaQuestion, no request of clients
	numKinds
)

// MetaQuestion finds out whether a server speaks the meta commands that this package knows: an ms that no server may
// store, mn, and version. Who understands ms refuses it, skips the two bytes of the value and answers MN: an error, MN, the
// version. For others the value is a command of its own, or mn is not known: errors, and the version.
const MetaQuestion = "ms nutmeg 2 !\r\nxx\r\nmn\r\nversion\r\n"

// NoopRequest is what MN answers.
const NoopRequest = "mn\r\n"

// Limits of the protocol, in bytes.
const (
	MaxKey      = 250       // a key
	MaxLine     = 2048      // a command line with its CRLF, as memcached bounds it
	MaxKeysLine = 1 << 20   // a line of get or gets with its CRLF
	MaxValue    = 1 << 30   // a value without its CRLF
	maxLength   = 1<<31 - 3 // of a value, for memcached; longer ones than MaxValue are skipped
	MaxMetaSet  = 16        // flags of ms: beyond, memcached does not skip the value
	maxLead     = 100       // blanks before the name: beyond, memcached closes on a long line
	maxAdmin    = 7         // words behind a command of operators; none has as many
)

// Span is a range of bytes, offsets from the first byte of its request.
type Span struct{ Start, End uint32 }

// Len is the number of bytes of the span.
func (s Span) Len() int { return int(s.End - s.Start) }

// Of returns the bytes of the span in b, which starts where the request starts.
func (s Span) Of(b []byte) []byte { return b[s.Start:s.End] }

// A form says what may follow the name of a command: one letter a word, the last
// letter standing for all further words. The letters are the word* constants.
type form struct {
	name     string
	words    string
	required uint8 // words that must be there
	block    bool  // a value follows the line
	line     uint32
	answers  responseSet
}

// Classes of words in a form.
const (
	wordKey     = 'k'
	wordFlags   = 'f' // digits, uint32
	wordExptime = 'e' // digits with an optional '-', int32
	wordLength  = 'l' // digits, at most MaxValue
	wordUnique  = 'u' // digits, uint64
	wordDelta   = 'd' // digits with an optional '-': the server judges the range
	wordNoReply = 'N' // the word noreply
	wordZero    = '0' // the old "0" of delete, or noreply
	wordExtra   = 'x' // one word too many
	wordAny     = '*' // a word of no interest, or of a command for operators
	wordMeta    = 'm' // a flag of a meta command: a letter and what belongs to it
	wordName    = 'n' // the command itself; not in forms
)

const (
	storedAnswers = 1<<Stored | 1<<NotStored | 1<<Exists | 1<<NotFound
	deltaAnswers  = 1<<MetaDone | 1<<MetaValue | 1<<MetaNotFound | 1<<MetaNotStored | 1<<MetaExists
	statsAnswers  = 1<<Listing | 1<<Values | 1<<OK | 1<<Reset // Values: an END alone
)

var forms = [numKinds]form{
	Unknown:    {words: "*", line: MaxLine},
	Get:        {"get", "k", 1, false, MaxKeysLine, 1 << Values},
	Gets:       {"gets", "k", 1, false, MaxKeysLine, 1 << Values},
	Gat:        {"gat", "ek", 2, false, MaxLine, 1 << Values},
	Gats:       {"gats", "ek", 2, false, MaxLine, 1 << Values},
	Bget:       {"bget", "k", 1, false, MaxLine, 1 << Values},
	Set:        {"set", "kfelNx", 4, true, MaxLine, storedAnswers},
	Add:        {"add", "kfelNx", 4, true, MaxLine, storedAnswers},
	Replace:    {"replace", "kfelNx", 4, true, MaxLine, storedAnswers},
	Append:     {"append", "kfelNx", 4, true, MaxLine, storedAnswers},
	Prepend:    {"prepend", "kfelNx", 4, true, MaxLine, storedAnswers},
	Cas:        {"cas", "kfeluNx", 5, true, MaxLine, storedAnswers},
	Incr:       {"incr", "kdNx", 2, false, MaxLine, 1<<Number | 1<<NotFound},
	Decr:       {"decr", "kdNx", 2, false, MaxLine, 1<<Number | 1<<NotFound},
	Touch:      {"touch", "keNx", 2, false, MaxLine, 1<<Touched | 1<<NotFound},
	Delete:     {"delete", "k0Nx", 1, false, MaxLine, 1<<Deleted | 1<<NotFound},
	Version:    {"version", "*", 0, false, MaxLine, 1 << VersionLine},
	Quit:       {"quit", "*", 0, false, MaxLine, 0},
	MetaGet:    {"mg", "km", 1, false, MaxLine, 1<<MetaDone | 1<<MetaValue | 1<<MetaMiss},
	MetaSet:    {"ms", "klm", 2, true, MaxLine, 1<<MetaDone | 1<<MetaNotStored | 1<<MetaExists | 1<<MetaNotFound},
	MetaDelete: {"md", "km", 1, false, MaxLine, 1<<MetaDone | 1<<MetaExists | 1<<MetaNotFound},

	MetaArithmetic: {"ma", "km", 1, false, MaxLine, deltaAnswers},
	MetaDebug:      {"me", "km", 1, false, MaxLine, 1<<MetaItem | 1<<MetaMiss},

	Stats:       {words: "*", line: MaxLine, answers: statsAnswers},
	Admin:       {words: "*", line: MaxLine, answers: 1<<OK | 1<<Refused},
	Own:         {"nutmeg", "*", 0, false, MaxLine, 0},
	Unsupported: {words: "*", line: MaxLine},
	MetaNoop:    {"mn", "*", 0, false, MaxLine, 1 << MetaEnd},
}

// String is the command's name on the wire; empty where that is not one name.
func (k Kind) String() string { return forms[k].name }

// Answers tells whether r may be the response to a request of kind k. Error
// responses answer everything but mn. A response that does not answer its request
// means that the server connection has lost step: close it.
func (k Kind) Answers(r ResponseKind) bool {
	return forms[k].answers&(1<<r) != 0 || r == Error && k != MetaNoop
}

// Retrieval tells whether k reads values: get, gets, gat, gats, bget.
func (k Kind) Retrieval() bool { return k >= Get && k <= Bget }

// Storage tells whether a value follows the command line of k.
func (k Kind) Storage() bool { return k >= Set && k <= Cas || k == MetaSet }

// Meta tells whether k is a meta command that has a key.
func (k Kind) Meta() bool { return k >= MetaGet && k <= MetaDebug }
