package evloop

import "net/netip"

// dialing is the state of a connection that is not there yet.
type dialing struct {
	address   Address
	options   SocketOptions
	remaining []netip.Addr // addresses of the host that have not been tried
}

// Dial begins a connection to addr. The handler's Opened or Closed tells the outcome, never before Dial returns.
// A host name's addresses are tried one after the other. Output may be appended at once; it leaves when the connection is there.
func (l *Loop) Dial(c *Conn, addr Address, opt SocketOptions, handler Handler) {
	*c = Conn{loop: l, handler: handler, flags: flagDialed | flagDialing, dialing: &dialing{address: addr, options: opt}}
	c.slot = l.register(c, nil)
	if addr.Path != "" {
		c.connect(netip.AddrPort{})
		return
	}
	if ip, err := netip.ParseAddr(addr.Host); err == nil {
		c.connect(netip.AddrPortFrom(ip, uint16(addr.Port)))
		return
	}
	d := c.dialing
	l.outside.Resolve(addr.Host, func(ips []netip.Addr, err error) {
		l.Post(func() { c.resolved(d, ips, err) })
	})
}

func (c *Conn) resolved(d *dialing, ips []netip.Addr, err error) {
	if c.dialing != d {
		return // closed while the name was looked up
	}
	if err != nil || len(ips) == 0 {
		c.fail(&ResolveError{Host: d.address.Host, Err: err})
		return
	}
	d.remaining = ips
	c.connectNext(nil)
}

// connectNext tries the next address of the host name; err is why the last one failed.
func (c *Conn) connectNext(err error) {
	d := c.dialing
	if len(d.remaining) == 0 {
		c.fail(err)
		return
	}
	ip := d.remaining[0]
	d.remaining = d.remaining[1:]
	c.connect(netip.AddrPortFrom(ip, uint16(d.address.Port)))
}

func (c *Conn) connect(to netip.AddrPort) {
	socket, connected, err := c.loop.outside.Dial(to, c.dialing.address.Path, c.dialing.options)
	if err == nil {
		c.socket, c.watched = socket, 0
		if !connected {
			err = c.watch()
		}
	}
	if err != nil || connected {
		c.connectedLater(err)
	}
}

// connectedLater reports an outcome that was known at once in the next batch: who dials must have returned by then.
func (c *Conn) connectedLater(err error) {
	d := c.dialing
	c.loop.Post(func() {
		if c.dialing == d {
			c.connected(err)
		}
	})
}

func (c *Conn) connected(err error) {
	if err != nil {
		if len(c.dialing.remaining) == 0 {
			c.fail(err)
			return
		}
		if c.socket != nil {
			c.loop.outside.Forget(c.socket)
			_ = c.socket.Close()
			c.socket = nil
		}
		c.connectNext(err)
		return
	}
	c.flags &^= flagDialing
	c.dialing = nil
	if err := c.watch(); err != nil {
		c.fail(err)
		return
	}
	c.handler.Opened()
	if !c.Closed() && c.out.Len() > 0 {
		c.markDirty()
	}
}
