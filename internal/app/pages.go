package app

import (
	"context"
	"strings"

	"nutmeg/internal/admin"
	"nutmeg/internal/config"
	"nutmeg/internal/systemd"
)

// reload reads the configuration file again and puts it into force. It waits for a new process that is being started.
func (d *daemonProcess) reload(why string) (report string, err error) {
	d.turn.Lock()
	defer d.turn.Unlock()
	d.tell(systemd.Reloading())
	report, err = d.reloader.reload(why)
	status := "serving, configuration reloaded"
	if err != nil {
		status = "serving, the last reload failed: " + strings.SplitN(err.Error(), "\n", 2)[0]
	}
	d.tell(systemd.Ready(status))
	return report, err
}

// apply has the proxy go over to a configuration.
func (d *daemonProcess) apply(conf *config.Config) error {
	return d.proxy.Apply(withLimits(conf, len(d.proxy.Loops()), d.log))
}

// pages is what the stats port may ask of the process. It implements admin.Control.
type pages struct{ daemon *daemonProcess }

// Reload reads the configuration file again.
func (p pages) Reload(context.Context) (report string, err error) {
	return p.daemon.reload("asked for at the stats port")
}

// Plan says what another file would change.
func (p pages) Plan(_ context.Context, name string, text []byte) (report string, err error) {
	return p.daemon.reloader.compare(name, text)
}

// Changes counts reloads and upgrades since the start.
func (p pages) Changes() admin.Changes {
	d := p.daemon
	return admin.Changes{
		Reloads: d.reloader.reloads.Load(), ReloadErrors: d.reloader.errors.Load(), UpgradeErrors: d.upgradeFailures.Load(),
	}
}

// Servers is the health of all servers.
func (p pages) Servers(ctx context.Context) ([]admin.ServerState, error) {
	list, err := p.daemon.proxy.Health(ctx)
	states := make([]admin.ServerState, len(list))
	for i, h := range list {
		states[i] = admin.ServerState{
			Pool: h.Pool, Server: h.Server, Address: h.Address, State: h.Status, Cause: h.Cause,
			Failures: int64(h.Failures), Ejections: int64(h.Ejections), Retry: h.Retry.Milliseconds(),
		}
		if !h.Since.IsZero() {
			states[i].Since = h.Since.UnixMicro()
		}
	}
	return states, err
}
