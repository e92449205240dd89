package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"sluice/cmd/sluice/internal/client"
)

// outage is what a producer or consumer does when its cluster falls silent: it says so if that
// lasts, and gives up in the end.
type outage struct {
	app    *app
	limit  time.Duration
	cancel context.CancelCauseFunc

	mu     sync.Mutex // Guards what follows.
	tell   *time.Timer
	giveUp *time.Timer
	told   bool
}

// watch returns a hook for a client, which ends the context after the limit without an answer, and
// a function that ends the watch.
func (a *app) watch(cancel context.CancelCauseFunc, limit time.Duration) (*client.Watch, func()) {
	o := &outage{app: a, limit: limit, cancel: cancel}
	return &client.Watch{Lost: o.lost, Back: o.back}, o.stop
}

func (o *outage) lost(err error) {
	cause := strings.TrimPrefix(err.Error(), "unable to dial: ")
	seconds := o.limit / time.Second
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tell = time.AfterFunc(min(progressAfter, o.limit), func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.told = true
		o.app.warnf("connection lost (%s), trying again for %d s", cause, seconds)
	})
	o.giveUp = time.AfterFunc(o.limit, func() {
		o.cancel(fmt.Errorf("no broker has answered for %d s: %s", seconds, cause))
	})
}

func (o *outage) back() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tell == nil {
		return
	}
	o.tell.Stop()
	o.giveUp.Stop()
	if o.told {
		o.app.warnf("connected again")
	}
	o.told = false
}

func (o *outage) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tell != nil {
		o.tell.Stop()
		o.giveUp.Stop()
	}
}
