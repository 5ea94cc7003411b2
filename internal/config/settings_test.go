package config

import (
	"reflect"
	"slices"
	"testing"
)

// Whatever is not in Settings can change without anybody being told.
func TestEveryFieldIsASetting(t *testing.T) {
	t.Run("Global", func(t *testing.T) {
		base := Global{}
		eachField(t, reflect.ValueOf(&base).Elem(), "", nil, func(field string) {
			if zero := (Global{}); slices.Equal(base.Settings(), zero.Settings()) {
				t.Errorf("%s is in no setting", field)
			}
		})
	})
	t.Run("Pool", func(t *testing.T) {
		base := Pool{}
		// A name is identity, a text is what was written; servers are compared one by one.
		// The path counts for unix sockets only; the test below has one.
		skip := []string{".Name", ".Listen.Text", ".Listen.Address.Path", ".Servers"}
		eachField(t, reflect.ValueOf(&base).Elem(), "", skip, func(field string) {
			if zero := (Pool{}); slices.Equal(base.Settings(), zero.Settings()) {
				t.Errorf("%s is in no setting", field)
			}
		})
	})
}

// eachField sets one field after the other and calls visit while it is set.
func eachField(t *testing.T, v reflect.Value, path string, skip []string, visit func(string)) {
	t.Helper()
	for i := range v.NumField() {
		field, name := v.Field(i), path+"."+v.Type().Field(i).Name
		if slices.Contains(skip, name) {
			continue
		}
		switch {
		case field.Kind() == reflect.Struct:
			eachField(t, field, name, skip, visit)
			continue
		case field.Kind() == reflect.String:
			field.SetString("unix")
		case field.Kind() == reflect.Bool:
			field.SetBool(true)
		case field.CanInt():
			field.SetInt(1e6) // a millisecond, for times
		case field.CanUint():
			field.SetUint(1)
		case name == ".Commands":
			field.Set(reflect.ValueOf(&Commands{Deny: []string{"get"}}))
		default:
			t.Fatalf("%s is a %s, which this test cannot set", name, field.Kind())
		}
		visit(name)
		field.SetZero()
	}
}

func TestSettingsAreWrittenAsAFileHoldsThem(t *testing.T) {
	cfg, err := Parse("f", []byte(`
nutmeg: {max_memory: 2048mb, drain_timeout: 1500, watch: true}
alpha:
  listen: "[0::1]:22121"
  redis: true
  redis_auth: secret
  client_buffer: 1024KB
  request_size: 100000
  server_return: trial
  servers: ["a:1:1"]
beta: {listen: "*:1", servers: ["a:1:1"]}
gamma: {listen: "/tmp/s 60", servers: ["a:1:1"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	process := cfg.Global.Settings()
	for _, want := range []Setting{{Key: "workers"}, {Key: "max_memory", Value: "2gb"}, {Key: "drain_timeout", Value: "1500"}, {Key: "watch", Value: "true"}} {
		if !slices.Contains(process, want) {
			t.Errorf("no %+v in %+v", want, process)
		}
	}
	for i, wants := range [][]Setting{
		{{Key: "listen", Value: "*:1"}, {Key: "redis_auth", Secret: true}, {Key: "client_buffer", Value: "1mb"}},
		{
			{Key: "listen", Value: "[::1]:22121"},
			{Key: "redis_auth", Value: "secret", Secret: true},
			{Key: "client_buffer", Value: "1mb"},
			{Key: "request_size", Value: "100000"},
			{Key: "server_return", Value: "trial"},
		},
		{{Key: "listen", Value: "/tmp/s 060"}},
	} {
		pool := cfg.Pools[i].Settings()
		for _, want := range wants {
			if !slices.Contains(pool, want) {
				t.Errorf("pool %s: no %+v in %+v", cfg.Pools[i].Name, want, pool)
			}
		}
	}
}
