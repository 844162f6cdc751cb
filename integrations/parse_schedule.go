package integrations

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ledgerline/ledgerline/zones"
)

// schedule reads an integration's schedule.
func (p *parser) schedule(n *yaml.Node, at string) *Schedule {
	m := p.fields(n, at, "every", "at", "day", "cron", "period", "timeZone", "overlap", "catchUp", "warmUp", "driftThreshold")
	if m == nil {
		return nil
	}
	s := &Schedule{}
	cron, byCron := m["cron"]
	switch _, preset := m["every"]; {
	case preset && byCron:
		p.errorf(cron, at+".cron", "stands beside every; want one of the two")
	case byCron:
		p.cron(n, m, at, s)
	case preset:
		p.preset(n, m, at, s)
	default:
		p.errorf(n, at+".every", "missing; want every (daily, weekly or monthly) or cron")
	}
	s.PeriodRule = oneOf(p, n, m, at, "period", DayBefore, WeekBefore, MonthBefore)
	s.Overlap = oneOf(p, n, m, at, "overlap", BufferAll, BufferOne, Skip)
	s.TimeZone = DefaultTimeZone
	if value, node := p.text(n, m, at, "timeZone", false); node != nil {
		if _, err := zones.Load(value); err != nil {
			p.errorf(node, at+".timeZone", "%v", err)
		}
		s.TimeZone = value
	}
	s.CatchUp = p.duration(n, m, at, "catchUp", time.Minute, 365*24*time.Hour)
	s.DriftThreshold = p.duration(n, m, at, "driftThreshold", time.Second, 24*time.Hour)
	if s.WarmUp = p.duration(n, m, at, "warmUp", 0, 10*time.Minute); s.WarmUp == 0 && m["warmUp"] != nil {
		s.WarmUp = NoWarmUp
	}
	*s = s.canonical()
	return s
}

// preset reads what belongs to every.
func (p *parser) preset(n *yaml.Node, m map[string]*yaml.Node, at string, s *Schedule) {
	s.Every = oneOf(p, n, m, at, "every", Daily, Weekly, Monthly)
	if value, node := p.text(n, m, at, "at", true); node != nil {
		t, err := time.Parse("15:04", value)
		if err != nil {
			p.errorf(node, at+".at", "%q; want a time of day in quotes such as \"06:30\"", clip(value))
		}
		s.Hour, s.Minute = t.Hour(), t.Minute()
	}
	if s.Every == Weekly || s.Every == Monthly {
		s.Day = 1
	}
	value, node := p.text(n, m, at, "day", false)
	if node == nil {
		return
	}
	number, err := strconv.Atoi(value)
	switch {
	case s.Every == Weekly && slices.Contains(weekdays, strings.ToLower(value)):
		s.Day = 1 + slices.Index(weekdays, strings.ToLower(value))
	case s.Every == Monthly && err == nil && number >= 1 && number <= 28:
		s.Day = number
	case s.Every == Weekly:
		p.errorf(node, at+".day", "%q; want a day of the week such as monday", clip(value))
	case s.Every == Monthly:
		p.errorf(node, at+".day", "%q; want a day from 1 to 28, which every month has", clip(value))
	case s.Every == Daily:
		p.errorf(node, at+".day", "a daily schedule has none; delete it")
	}
}

// cron reads what stands in place of every.
func (p *parser) cron(n *yaml.Node, m map[string]*yaml.Node, at string, s *Schedule) {
	for _, name := range []string{"at", "day"} {
		if node, ok := m[name]; ok {
			p.errorf(node, at+"."+name, "belongs to every; a cron says it itself; delete it")
		}
	}
	if _, ok := m["period"]; !ok {
		p.errorf(n, at+".period", "missing; want day, week or month: which one before it a firing exports")
	}
	value, node := p.text(n, m, at, "cron", true)
	if node == nil {
		return
	}
	s.Cron = strings.Join(strings.Fields(value), " ")
	if _, err := parseCron(s.Cron); err != nil {
		p.errorf(node, at+".cron", "%q: %v", clip(value), err)
	}
}

// oneOf reads one of a few words; "" if it is not there or not one of them.
func oneOf[W ~string](p *parser, parent *yaml.Node, m map[string]*yaml.Node, at, name string, words ...W) W {
	value, node := p.text(parent, m, at, name, false)
	if node == nil {
		return ""
	}
	if slices.Contains(words, W(value)) {
		return W(value)
	}
	known := make([]string, len(words))
	for i, w := range words {
		known[i] = string(w)
	}
	p.errorf(node, join(at, name), "%q%s; want %s", clip(value), didYouMean(value, known), strings.Join(known, ", "))
	return ""
}

// duration reads a duration within bounds; 0 if it is not there.
func (p *parser) duration(parent *yaml.Node, m map[string]*yaml.Node, at, name string, least, most time.Duration) time.Duration {
	value, node := p.text(parent, m, at, name, false)
	if node == nil {
		return 0
	}
	from := Short(least)
	if least == 0 {
		from = "0s"
	}
	bounds := fmt.Sprintf("%s to %s", from, Short(most))
	d, err := time.ParseDuration(value)
	switch {
	case err != nil:
		p.errorf(node, join(at, name), "%q is not a duration; want a number with a unit, s, m or h, from %s", clip(value), bounds)
		return 0
	case d < least || d > most:
		p.errorf(node, join(at, name), "%s; want %s", clip(value), bounds)
		return 0
	}
	return d
}
