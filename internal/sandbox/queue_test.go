package sandbox_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ledgerline/ledgerline/internal/sandbox"
)

func line(key string) string { return `{"externalDocumentNumber":"` + key + `"}` }

// Five at a time; the others wait, and are carried out although their clients
// have gone.
func TestQueue(t *testing.T) {
	s, c, began := ticking(t, sandbox.Options{QueueLength: 7})
	token := s.token()
	s.Script(sandbox.Rule{DelayMS: 3 * 60 * 1000})
	send := func(key string) (int, string) {
		return s.impatient(20*time.Millisecond, "POST", bcRoot+bcLines, token, line(key))
	}
	for i := range 12 {
		status, _ := send(fmt.Sprint("q", i))
		require.Zero(t, status)
	}
	status, body := send("q12")
	require.Equal(t, 429, status)
	require.Contains(t, body, "Application_TooManyRequests")
	status, _ = s.impatient(20*time.Millisecond, "POST", bcRoot+bcLines, "Bearer x", line("q13"))
	require.Zero(t, status, "who is not known waits for nobody, but for the vendor's time")
	require.False(t, s.Log()[14].Started.IsZero())
	require.Empty(t, s.Effects())

	c.move(7 * time.Minute)
	var at []time.Duration
	for i, e := range s.Effects() {
		require.Equal(t, fmt.Sprint("q", i), e.Key, "in the order in which they came")
		at = append(at, e.At.Sub(began))
	}
	three := 3 * time.Minute
	require.Equal(t, []time.Duration{three, three, three, three, three, 2 * three, 2 * three, 2 * three, 2 * three, 2 * three}, at)
	require.Equal(t, began.Add(6*time.Minute), s.Log()[11].Started)
	c.move(2 * time.Minute)
	require.Len(t, s.Effects(), 12)
	require.Zero(t, s.NextDue())
}

// Who has waited for eight minutes is refused, and nothing of it is done.
func TestQueueExpires(t *testing.T) {
	s, c, _ := ticking(t, sandbox.Options{Concurrent: 1})
	token := s.token()
	s.Script(sandbox.Rule{Times: 1, DelayMS: 9 * 60 * 1000})
	s.impatient(20*time.Millisecond, "POST", bcRoot+bcLines, token, line("long"))
	answers := make(chan string)
	go func() {
		status, body, h := s.do("POST", bcRoot+bcLines, token, line("waits"))
		answers <- fmt.Sprint(status, h.Get("Retry-After"), body)
	}()
	require.Eventually(t, func() bool { return len(s.Log()) == 3 }, time.Second, time.Millisecond)
	c.move(8 * time.Minute)
	require.Contains(t, <-answers, `50330{"error":{"code":"Internal_TenantUnavailable"`)
	require.Zero(t, s.Log()[2].Started)
	c.move(time.Minute)
	require.Equal(t, []string{"journal_line"}, s.kinds("long"))
	require.Empty(t, s.Records("waits"))

	// A place is held until the work is over, not only until the answer.
	s.Script(sandbox.Rule{Times: 1, EffectDelayMS: 60 * 1000})
	status, _, _ := s.do("POST", bcRoot+bcLines, token, line("late"))
	require.Equal(t, 201, status)
	status, _ = s.impatient(20*time.Millisecond, "POST", bcRoot+bcLines, token, line("next"))
	require.Zero(t, status)
	c.move(time.Minute)
	require.Len(t, s.Records("late"), 1)
	require.Len(t, s.Records("next"), 1)
}

// By the machine's own clock, too, they really wait.
func TestQueueInTime(t *testing.T) {
	s := startWith(t, sandbox.Options{QueueWait: 700 * time.Millisecond})
	token := s.token()
	s.Script(sandbox.Rule{DelayMS: 300})
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for i := range 20 {
		wg.Go(func() {
			status, _, _ := s.do("POST", bcRoot+bcLines, token, line(fmt.Sprint(i)))
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	wg.Wait()
	require.Equal(t, map[int]int{201: 15, 503: 5}, statuses)
	for _, e := range s.Log()[1:] {
		now := 0
		for _, other := range s.Log()[1:] {
			if !other.Started.IsZero() && !other.Started.After(e.Started) && other.Ended.After(e.Started) {
				now++
			}
		}
		require.LessOrEqual(t, now, 5)
	}
}
