package evloop

// NewCoarseSystem is NewSystem on a kernel, or in a sandbox, that lacks epoll_pwait2.
func NewCoarseSystem() (Outside, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	p.(*epoll).coarse = true
	return newSystem(p)
}
