package scheduler

import (
	"time"

	"github.com/stroem/stroem/core"
	"github.com/stroem/stroem/core/cron"
)

// planned is what becomes of the schedules.
type planned struct {
	entries      map[key]*entry
	save, remove []core.Schedule
	problems     []problem
}

// problem is a trigger that cannot fire, which the validation of its workspace should have refused.
type problem struct {
	key
	err error
}

// plan compares triggers, by workspace and name, with the schedules that are known. Those of a workspace whose triggers are
// nil stay as they are, and do not fire.
func plan(triggers map[string]map[string]*core.Trigger, known map[key]*entry, now time.Time) planned {
	p := planned{entries: make(map[key]*entry, len(known))}
	for workspace, of := range triggers {
		for name, t := range of {
			k := key{workspace, name}
			e := known[k]
			if e == nil || e.Cron != t.Cron || e.Timezone != t.Timezone {
				e = &entry{Schedule: core.Schedule{Workspace: workspace, Trigger: name, Cron: t.Cron, Timezone: t.Timezone}, place: absent}
			}
			if e.timetable == nil {
				var err error
				if e.timetable, err = cron.NewTimetable(t.Cron, t.Timezone); err != nil {
					p.problems = append(p.problems, problem{k, err})
					continue
				}
			}
			if known[k] != e {
				e.NextFire = e.timetable.After(now)
				p.save = append(p.save, e.Schedule)
			}
			p.entries[k] = e
		}
	}
	for k, e := range known {
		if p.entries[k] != nil {
			continue
		}
		if of, configured := triggers[k.workspace]; configured && of == nil {
			e.timetable = nil
			p.entries[k] = e
			continue
		}
		p.remove = append(p.remove, e.Schedule)
	}
	return p
}
