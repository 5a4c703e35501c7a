package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// benchReplicas are the flags of bench --replicas.
type benchReplicas struct {
	Replicas int `placeholder:"N" help:"Measure 1, 2, … N replicas on one PostgreSQL database instead, behind a load balancer. Without --postgres a private server is started for it, if PostgreSQL is installed."`
}

// fleets are the setups of bench --replicas.
func (c *benchReplicas) fleets(database string) (setups []benchSetup) {
	for n := range c.Replicas {
		setups = append(setups, benchSetup{database: database, replicas: n + 1})
	}
	return setups
}

// fleetPhase is the measurement of so many replicas.
func fleetPhase(n int) benchPhase {
	p := benchPhase{name: fmt.Sprintf("%s, %d replicas", bothWays, n), employees: true, agents: true}
	if n == 1 {
		p.name = bothWays + ", 1 replica"
	}
	return p
}

// A balancer hands each connection to the next service, as a load balancer of the transport layer does. It looks into
// none of them, so that it costs next to nothing beside what is measured.
type balancer struct {
	listener net.Listener
	services []*benchService
	wg       sync.WaitGroup
}

func newBalancer(ctx context.Context, services []*benchService) (*balancer, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &balancer{listener: l, services: services}
	b.wg.Go(b.serve)
	return b, nil
}

func (b *balancer) at() listenLine { return listenLine{Addr: b.listener.Addr().String()} }

func (b *balancer) serve() {
	for n := 0; ; n++ {
		client, err := b.listener.Accept()
		if err != nil {
			return
		}
		service, err := (&net.Dialer{}).Dial("tcp", b.services[n%len(b.services)].at.Addr)
		if err != nil {
			client.Close()
			continue
		}
		b.wg.Go(func() { carry(service, client) })
		b.wg.Go(func() { carry(client, service) })
	}
}

// carry carries what one side says to the other, until either hangs up.
func carry(to, from net.Conn) {
	_, _ = io.Copy(to, from) // how it ended is for those two to say
	to.Close()
	from.Close()
}

// close ends it, once the services have ended and with them every connection.
func (b *balancer) close() {
	b.listener.Close()
	b.wg.Wait()
}
