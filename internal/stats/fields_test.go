package stats

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// testdata/describe.txt is what nutcracker 0.5.0 -D prints below its version block. Each of its two parts must begin
// ours: counters of our own come behind.
func TestDescribeBeginsAsTwemproxys(t *testing.T) {
	text, err := os.ReadFile("testdata/describe.txt")
	if err != nil {
		t.Fatal(err)
	}
	want, got := strings.Split(string(text), "\n\n"), strings.Split(Describe(), "\n\n")
	if len(want) != 2 || len(got) != 2 {
		t.Fatalf("%d and %d parts, want 2", len(want), len(got))
	}
	for i := range want {
		if begin := strings.TrimRight(want[i], "\n") + "\n"; !strings.HasPrefix(got[i]+"\n", begin) {
			t.Errorf("part %d is\n%s\nand should begin with\n%s", i, got[i], begin)
		}
	}
}

// The names stand in a column of 20.
func TestNamesFitTheirColumn(t *testing.T) {
	for line := range strings.Lines(Describe()) {
		if i := strings.IndexByte(line, '"'); i >= 0 && line[i-1] != ' ' {
			t.Errorf("no blank before the text: %s", line)
		}
	}
}

func TestEveryCounterHasExactlyOneRow(t *testing.T) {
	t.Run("pool", func(t *testing.T) { checkRows(t, PoolFields()) })
	t.Run("server", func(t *testing.T) { checkRows(t, ServerFields()) })
}

// checkRows sets one int64 field of T at a time: row i must read field i, as the
// structs are declared in the order of the tables, and no other row may.
func checkRows[T any](t *testing.T, fields []Field[T]) {
	t.Helper()
	var v T
	names := map[string]bool{}
	row := 0
	for i := range reflect.TypeFor[T]().NumField() {
		f := reflect.ValueOf(&v).Elem().Field(i)
		if f.Kind() != reflect.Int64 {
			continue
		}
		if row == len(fields) {
			t.Fatalf("%s has no row in the table", reflect.TypeFor[T]().Field(i).Name)
		}
		f.SetInt(7)
		for j, field := range fields {
			if got, want := field.Get(&v), int64(7); (j == row) != (got == want) {
				t.Errorf("with only %s set, %s reads %d", reflect.TypeFor[T]().Field(i).Name, field.Name, got)
			}
		}
		f.SetInt(0)
		names[fields[row].Name] = true
		row++
	}
	if row != len(fields) || len(names) != len(fields) {
		t.Errorf("%d counters, %d rows, %d different names", row, len(fields), len(names))
	}
}

func TestKindNames(t *testing.T) {
	for kind, want := range map[Kind]string{Counter: "counter", Gauge: "gauge", Timestamp: "timestamp", 9: "unknown"} {
		if got := kind.String(); got != want {
			t.Errorf("Kind(%d) = %q, want %q", kind, got, want)
		}
	}
}

func TestKinds(t *testing.T) {
	other := map[string]Kind{
		"client_connections": Gauge, "server_connections": Gauge, "server_ejected_at": Timestamp,
		"in_queue": Gauge, "in_queue_bytes": Gauge, "dedicated": Gauge, "out_queue": Gauge, "out_queue_bytes": Gauge,
	}
	check := func(name string, got Kind) {
		if want := other[name]; got != want { // Counter where other has no entry
			t.Errorf("%s is a %v, want a %v", name, got, want)
		}
	}
	for _, f := range PoolFields() {
		check(f.Name, f.Kind)
	}
	for _, f := range ServerFields() {
		check(f.Name, f.Kind)
	}
}
