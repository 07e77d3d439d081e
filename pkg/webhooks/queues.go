package webhooks

import (
	"slices"
	"time"

	"github.com/mlflow/mlflow-go/pkg/uri"
)

// delivery is an event on its way to one receiver.
type delivery struct {
	to     receiver
	event  event
	data   []byte
	letter letter // since the first attempt
	failed int    // attempts

	host  string
	timer *time.Timer // while it waits to be sent again
	due   time.Time
}

func (d *delivery) size() int64 { return int64(len(d.data)) + overhead }

// queue holds what is to be sent to one host and port.
type queue struct {
	host      string
	ready     []*delivery
	postponed map[*delivery]struct{}
	running   int
	bytes     int64 // of all of them
	// ailing is a receiver that failed or took long when it was last asked.
	ailing bool
	// queued tells that it is in queues.turns.
	queued bool
}

// last is what can be spared first; nil when all of it is being sent.
func (q *queue) last() *delivery {
	if len(q.ready) > 0 {
		return q.ready[len(q.ready)-1]
	}

	for again := range q.postponed {
		return again
	}

	return nil
}

func (q *queue) length() int { return len(q.ready) + len(q.postponed) + q.running }

// queues shares the workers out among receivers, in turns. A receiver may keep a third of them busy
// and an ailing one a single one; all ailing ones together leave half of the workers to the others.
type queues struct {
	workers int
	byHost  map[string]*queue
	turns   []*queue // those that have something ready

	count         int
	held          int64
	running       int
	runningAiling int
}

func newQueues(workers int) queues {
	return queues{workers: workers, byHost: map[string]*queue{}}
}

// add takes in a delivery, and gives back what had to make room: from the receiver for which the most
// waits, or the delivery itself.
func (qs *queues) add(added *delivery) (lost []*delivery) {
	added.host = hostOf(added.to.url)

	q := qs.byHost[added.host]
	if q == nil {
		q = &queue{host: added.host, postponed: map[*delivery]struct{}{}}
	}

	if q.length() >= maxQueuedEach {
		return []*delivery{added}
	}

	for qs.count >= maxQueued || qs.held+added.size() > maxHeld {
		victim := qs.heaviest()
		if victim == nil || victim.bytes <= q.bytes+added.size() {
			return append(lost, added)
		}

		last := victim.last()
		qs.remove(last)

		lost = append(lost, last)
	}

	qs.byHost[added.host] = q
	qs.count++
	qs.held += added.size()
	q.bytes += added.size()
	q.ready = append(q.ready, added)
	qs.offer(q)

	return lost
}

// heaviest is the queue with the most bytes of which something can be taken.
func (qs *queues) heaviest() (found *queue) {
	for _, q := range qs.byHost {
		if q.last() != nil && (found == nil || q.bytes > found.bytes) {
			found = q
		}
	}

	return found
}

// offer gives a queue its turn, if it wants one.
func (qs *queues) offer(q *queue) {
	if len(q.ready) > 0 && !q.queued {
		q.queued = true
		qs.turns = append(qs.turns, q)
	}
}

// take is the next delivery that may be sent now; nil when there is none.
func (qs *queues) take() *delivery {
	if qs.running >= qs.workers {
		return nil
	}

	turn := slices.IndexFunc(qs.turns, qs.mayRun)
	if turn < 0 {
		return nil
	}

	q := qs.turns[turn]
	qs.turns = slices.Delete(qs.turns, turn, turn+1)
	q.queued = false

	next := q.ready[0]
	q.ready[0] = nil
	q.ready = q.ready[1:]
	q.running++
	qs.running++

	if q.ailing {
		qs.runningAiling++
	}

	qs.offer(q)

	return next
}

const (
	shareOfOne    = 3 // the part of the workers that one receiver may keep busy
	shareOfAiling = 2 // the part that all ailing ones may
)

func (qs *queues) mayRun(q *queue) bool {
	if q.ailing {
		return q.running == 0 && qs.runningAiling < max(qs.workers/shareOfAiling, 1)
	}

	return q.running < max(qs.workers/shareOfOne, 1)
}

// release ends an attempt; the delivery is still counted.
func (qs *queues) release(of *delivery, ailing bool) {
	q := qs.byHost[of.host]
	if q.ailing {
		qs.runningAiling -= q.running
	}

	q.running--
	qs.running--
	q.ailing = ailing

	if q.ailing {
		qs.runningAiling += q.running
	}

	qs.offer(q)
}

// postpone keeps a delivery until its timer calls for resume.
func (qs *queues) postpone(again *delivery, due time.Time, timer *time.Timer) {
	again.due, again.timer = due, timer
	qs.byHost[again.host].postponed[again] = struct{}{}
}

// resume makes a postponed delivery ready, before those that weren't sent yet. It tells whether there
// was one.
func (qs *queues) resume(again *delivery) bool {
	q := qs.byHost[again.host]
	if q == nil {
		return false
	}

	if _, postponed := q.postponed[again]; !postponed {
		return false
	}

	delete(q.postponed, again)
	again.timer = nil
	q.ready = slices.Insert(q.ready, 0, again)
	qs.offer(q)

	return true
}

// remove forgets a delivery that isn't being sent.
func (qs *queues) remove(old *delivery) {
	q := qs.byHost[old.host]
	if old.timer != nil {
		old.timer.Stop()
		delete(q.postponed, old)
	} else if i := slices.Index(q.ready, old); i >= 0 {
		q.ready = slices.Delete(q.ready, i, i+1)
	}

	qs.count--
	qs.held -= old.size()
	q.bytes -= old.size()

	if len(q.ready) == 0 && q.queued {
		q.queued = false
		qs.turns = slices.DeleteFunc(qs.turns, func(other *queue) bool { return other == q })
	}

	if q.length() == 0 {
		delete(qs.byHost, q.host)
	}
}

// waiting lists what isn't being sent at the moment.
func (qs *queues) waiting() (list []*delivery) {
	for _, q := range qs.byHost {
		list = append(list, q.ready...)
	}

	return append(list, qs.postponedUntilAfter(time.Time{})...)
}

// postponedUntilAfter lists what is to be sent again after a time only.
func (qs *queues) postponedUntilAfter(deadline time.Time) (list []*delivery) {
	for _, q := range qs.byHost {
		for again := range q.postponed {
			if again.due.After(deadline) {
				list = append(list, again)
			}
		}
	}

	return list
}

// hostOf is the host and port of a URL, which say who a receiver is; its path is nobody's business.
func hostOf(url string) string {
	parts, err := uri.Parse(url)
	if err != nil {
		return ""
	}

	host := parts.Hostname()
	if port := parts.Port(); port != "" {
		host += ":" + port
	}

	return host
}
