package main

import (
	"context"
	"errors"
	"time"

	"github.com/ledgerline/ledgerline/internal/devstack"
)

// The cluster's soak runs Temporal as it is run in production, a process for each of its
// services, and kills each in turn, and PostgreSQL below them, while vendors do what they
// do in any soak. One of the two workers is behind wires of its own, which cut it off from
// Temporal and PostgreSQL, and not from the vendor.

// apart is what the names of the wires of the worker begin with that is cut off.
const apart = "apart/"

// down is how long what was killed stays down.
const down = 2 * time.Second

// clusterFaults are the faults of a cluster's soak.
func clusterFaults() (list []fault) {
	for _, f := range faults {
		if f.lane == vendorLane || f.lane == peopleLane {
			list = append(list, f)
		}
	}
	for _, service := range devstack.TemporalServices {
		list = append(list, fault{name: "cluster/" + service + "-killed", lane: groundLane, act: serviceKilled(service)})
	}
	return append(list,
		fault{name: "cluster/postgres-crash", lane: groundLane, act: clusterPostgresCrash},
		fault{name: "cluster/worker-cut-off", lane: groundLane, act: workerCutOff},
		fault{name: "cluster/worker-without-postgres", lane: groundLane, act: spoiled(apart+"postgres", 5*time.Second, deaf...)},
		fault{name: "cluster/worker-without-temporal", lane: groundLane, act: spoiled(apart+"temporal", 5*time.Second, deaf...)},
	)
}

// serviceKilled kills a service of Temporal during a run and starts it again.
func serviceKilled(service string) func(context.Context, *soak, *round) (bool, error) {
	return func(ctx context.Context, s *soak, r *round) (bool, error) {
		if err := s.begin(ctx, r); err != nil {
			return false, err
		}
		pause(ctx, r.moment)
		s.stack.Temporal.KillService(service)
		pause(ctx, down)
		return true, s.revived(ctx)
	}
}

// clusterPostgresCrash stops Temporal's PostgreSQL as a power failure would and starts it
// again.
func clusterPostgresCrash(ctx context.Context, s *soak, r *round) (bool, error) {
	if err := s.begin(ctx, r); err != nil {
		return false, err
	}
	pause(ctx, r.moment)
	if err := s.stack.Temporal.Postgres().Stop(ctx, "immediate"); err != nil {
		return false, err
	}
	pause(ctx, down)
	return true, errors.Join(s.stack.Temporal.Postgres().Start(context.WithoutCancel(ctx)), s.revived(ctx))
}

// revived starts the services again that have ended, as a supervisor does.
func (s *soak) revived(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	return s.stack.Temporal.Revive(ctx)
}

// workerCutOff cuts one of the workers off, for longer than it takes to be missed. It can
// still reach the vendor with what it had begun.
func workerCutOff(ctx context.Context, s *soak, r *round) (met bool, err error) {
	var begun, inner error
	n, err := s.wires[apart+"temporal"].spoil(deaf, func(polls func() int64) {
		_, inner = s.wires[apart+"postgres"].spoil(deaf, func(func() int64) {
			if begun = s.begin(ctx, r); begun != nil {
				return
			}
			pause(ctx, 22*time.Second)
			soon, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			until(soon, 20*time.Millisecond, func() bool { return polls() > 0 })
		})
	})
	return n > 0, errors.Join(begun, inner, err)
}
