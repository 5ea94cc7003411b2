package proxy

import (
	"strings"
	"testing"
)

func TestStatisticsOfSeveralServersAreMerged(t *testing.T) {
	tests := []struct {
		rule     string
		listings []string // lines behind STAT, parted by commas
		sameOnly bool
		want     string
	}{
		{"counters are added", []string{"cmd_get 5,cmd_set 1", "cmd_get 7,cmd_set 0"}, false, "cmd_get 12,cmd_set 1"},
		{"seconds are added", []string{"rusage_user 0.250000", "rusage_user 1.500000"}, false, "rusage_user 1.750000"},
		{"sums stay in their range", []string{"limit_maxbytes 18446744073709551615", "limit_maxbytes 1"}, false, "limit_maxbytes 18446744073709551615"},
		{"the shortest uptime", []string{"uptime 500", "uptime 20"}, false, "uptime 20"},
		{"the latest time", []string{"time 500", "time 501"}, false, "time 501"},
		{"what servers disagree on is left out", []string{"pid 1,cmd_get 1,version 1.6.18", "pid 2,cmd_get 1,version 1.6.20"}, false, "cmd_get 2"},
		{"what they agree on stays", []string{"version 1.6.18,pointer_size 64", "version 1.6.18,pointer_size 64"}, false, "version 1.6.18,pointer_size 64"},
		{"a version of two numbers is no sum", []string{"version 1.6", "version 1.6"}, false, "version 1.6"},
		{"words", []string{"sizes_status disabled", "sizes_status disabled"}, false, "sizes_status disabled"},
		{"words and numbers", []string{"x disabled", "x 5"}, false, ""},
		{"what one server has", []string{"a 1", "a 1,b 2"}, false, "a 2,b 2"},
		{"classes of items", []string{"items:1:number 4,items:1:age 30", "items:1:number 5,items:1:age 9,items:12:age 7"}, false, "items:1:number 9,items:1:age 30,items:12:age 7"},
		{"classes of slabs", []string{"1:chunk_size 96,1:total_pages 1,active_slabs 1", "1:chunk_size 96,1:total_pages 2,active_slabs 3"}, false, "1:chunk_size 96,1:total_pages 3,active_slabs 3"},
		{"classes of other sizes", []string{"1:chunk_size 96,1:used_chunks 1", "1:chunk_size 80,1:used_chunks 1"}, false, "1:used_chunks 2"},
		{"settings", []string{"maxbytes 64,tcpport 1,evictions on", "maxbytes 64,tcpport 2,evictions on"}, true, "maxbytes 64,evictions on"},
		{"a value of several words", []string{"a b c", "a b c"}, false, "a b c"},
		{"an empty listing", []string{"", "a 1"}, false, "a 1"},
		{"none at all", []string{"", ""}, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			var merged statListing
			for _, lines := range tt.listings {
				merged.add([]byte(listing(lines)))
			}
			if got := string(merged.appendTo(nil, tt.sameOnly)); got != listing(tt.want) {
				t.Errorf("got %q, want %q", got, listing(tt.want))
			}
		})
	}
}

func listing(lines string) string {
	text := ""
	for line := range strings.SplitSeq(lines, ",") {
		if line != "" {
			text += "STAT " + line + "\r\n"
		}
	}
	return text + "END\r\n"
}
