package proxy

// errand is what happens when a request is answered that decides how its client goes on. It gets the response, and the cause
// if that is a failure that stands in for a server's. It returns what the client gets instead, nil for the response itself; or
// again, if it has sent the request anew.
type errand func(response []byte, cause *failure) (instead []byte, again bool)

// runErrand ends a request that has an errand, with its complete response.
func (w *worker) runErrand(r *request, flat []byte) {
	if flat == nil {
		n := r.response.Len()
		w.errandText = append(w.errandText[:0], r.response.View(0, n, w.shortScratch(n))...)
	} else {
		w.errandText = append(w.errandText[:0], flat...)
	}
	do := r.errand
	r.errand = nil
	w.dropResponse(r)
	instead, again := do(w.errandText, r.cause)
	switch {
	case again:
		r.errand, r.failed, r.cause = do, false, nil
	case instead != nil:
		w.answer(r, instead)
	default:
		w.answer(r, w.errandText)
	}
}
