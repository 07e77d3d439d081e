package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/mlflow/mlflow-go/pkg/contract"
)

const (
	// maxQueued, maxQueuedEach and maxHeld bound what waits: deliveries in all, deliveries to one
	// receiver, and the bytes of their payloads. What doesn't fit is dropped and counted in the log.
	maxQueued     = 10_000
	maxQueuedEach = 1_000
	maxHeld       = 64 << 20
	// overhead is what a delivery takes besides its payload, in bytes, roughly.
	overhead = 1 << 10
	// maxUnmatched and maxUnmatchedHeld bound the events that wait to learn who is to be told: those of
	// one kind, and the bytes of all.
	maxUnmatched     = 1_000
	maxUnmatchedHeld = 16 << 20
	// findTimeout is how long the database may take to say who is to be told.
	findTimeout = 30 * time.Second
)

// Deliverer tells webhooks what happens (mlflow.webhooks.delivery). It is contract.Events.
//
// Deliveries wait in a queue for each receiver, a host and port, so that one which is slow or dead
// holds up nobody else. A delivery that waits to be sent again holds nothing but its place.
type Deliverer struct {
	find    func(ctx context.Context, event event) (found []receiver, unreadable, err error)
	sender  *sender
	ttl     time.Duration
	workers int
	reports *reports

	// life ends what is under way.
	life context.Context //nolint:containedctx // of the deliverer, not of a call
	end  context.CancelFunc
	// goroutines are those that find receivers and send to them.
	goroutines sync.WaitGroup

	mu       sync.Mutex // guards all below
	subjects map[subject]*audience
	// changes counts the times that webhooks were changed.
	changes int
	queues  queues
	// finding counts the goroutines that find receivers, unmatched the bytes of events that wait for it.
	finding   int
	unmatched int64
	// closing is set once nothing new is taken; settled is closed when nothing is left then.
	closing  bool
	settled  chan struct{}
	deadline time.Time
}

// subject is what an audience is found for.
type subject struct {
	workspace string
	event     event
}

// audience are the receivers of a subject, as they were found last.
type audience struct {
	receivers []receiver
	expires   time.Time
	finding   bool
	// unmatched are the payloads of events that wait for the receivers to be found.
	unmatched [][]byte
}

func newDeliverer(
	find func(ctx context.Context, event event) ([]receiver, error, error), sender *sender, options Options,
) *Deliverer {
	d := &Deliverer{
		find: find, sender: sender, ttl: options.CacheTTL, workers: options.MaxWorkers,
		reports:  newReports(options.Logger),
		subjects: map[subject]*audience{},
		queues:   newQueues(options.MaxWorkers),
		settled:  make(chan struct{}),
	}
	d.life, d.end = context.WithCancel(context.Background())

	return d
}

// Notify queues an event for the webhooks that are registered for it. It never waits: neither for
// the database nor for a receiver.
func (d *Deliverer) Notify(ctx context.Context, announced contract.Event) {
	about := subject{contract.CallerFrom(ctx).ActiveWorkspace(), eventOf(announced.Entity, announced.Action)}
	if d.isForNobody(about) {
		return
	}

	data, err := encodeData(announced.Payload)
	if err != nil {
		d.reports.add(report{what: "an event can't be delivered", event: about.event, reason: err})

		return
	}

	d.mu.Lock()
	defer d.mu.Unlock()

	if d.closing {
		d.reports.add(dropped("", about.event, errClosing))

		return
	}

	known := d.subjects[about]
	if known == nil {
		known = &audience{}
		d.subjects[about] = known
	}

	if !known.finding && time.Now().Before(known.expires) {
		d.queue(known.receivers, about.event, data)

		return
	}

	if len(known.unmatched) >= maxUnmatched || d.unmatched+int64(len(data)) > maxUnmatchedHeld {
		d.reports.add(dropped("", about.event, errFull))

		return
	}

	known.unmatched = append(known.unmatched, data)
	d.unmatched += int64(len(data))

	if !known.finding {
		known.finding = true
		d.finding++

		d.goroutines.Go(func() { d.match(about, known) }) //nolint:contextcheck // it outlives the caller
	}
}

// Shutdown takes no more events and delivers those it has until the context ends, when the rest is
// dropped, with a line in the log. What can't be sent again before the context's deadline isn't waited
// for.
func (d *Deliverer) Shutdown(ctx context.Context) {
	d.mu.Lock()
	d.closing = true

	if deadline, limited := ctx.Deadline(); limited {
		d.deadline = deadline
		d.drop(d.queues.postponedUntilAfter(deadline))
	}

	d.settle()
	d.mu.Unlock()

	select {
	case <-d.settled:
	case <-ctx.Done():
	}

	d.end()
	d.mu.Lock()
	d.drop(d.queues.waiting())
	d.mu.Unlock()
	d.goroutines.Wait()
	d.sender.close()
	d.reports.flush()
}

var (
	errFull    = errors.New("too many deliveries are waiting")
	errClosing = errors.New("the server is shutting down")
)

func dropped(receiver string, event event, reason error) report {
	return report{what: "webhook deliveries dropped", receiver: receiver, event: event, reason: reason}
}

// isForNobody tells whether it is known that no webhook wants an event, as is usual.
func (d *Deliverer) isForNobody(about subject) bool {
	d.mu.Lock()
	defer d.mu.Unlock()

	known := d.subjects[about]

	return known != nil && !known.finding && len(known.receivers) == 0 && time.Now().Before(known.expires)
}

// forget has receivers be found anew: the webhooks were changed.
func (d *Deliverer) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.changes++

	for _, known := range d.subjects {
		known.expires = time.Time{}
	}
}

// match finds the receivers of a subject until no event waits for them.
func (d *Deliverer) match(about subject, known *audience) {
	d.mu.Lock()
	defer d.mu.Unlock()

	for {
		batch, changes, asked := known.unmatched, d.changes, time.Now()
		known.unmatched = nil

		d.mu.Unlock()
		found, err := d.findSafely(about)
		d.mu.Lock()

		if err == nil {
			known.receivers = found
			if changes == d.changes {
				known.expires = asked.Add(d.ttl)
			}
		}

		for _, data := range batch {
			d.unmatched -= int64(len(data))

			if err != nil {
				d.reports.add(dropped("", about.event, err))
			} else {
				d.queue(found, about.event, data)
			}
		}

		if len(known.unmatched) == 0 {
			known.finding = false
			d.finding--
			d.settle()

			return
		}
	}
}

func (d *Deliverer) findSafely(about subject) (found []receiver, err error) {
	defer contract.Recover(&err)

	ctx, cancel := context.WithTimeout(d.life, findTimeout)
	defer cancel()

	found, unreadable, err := d.find(contract.WithCaller(ctx, contract.Caller{Workspace: about.workspace}), about.event)
	if unreadable != nil {
		d.reports.add(report{what: "webhooks left out", event: about.event, reason: unreadable})
	}

	return found, err
}

// queue adds a delivery for each receiver.
func (d *Deliverer) queue(to []receiver, event event, data []byte) {
	for _, receiver := range to {
		for _, lost := range d.queues.add(&delivery{to: receiver, event: event, data: data}) {
			d.reports.add(dropped(lost.host, lost.event, errFull))
		}
	}

	d.startMore()
}

// startMore sends as much as may be under way.
func (d *Deliverer) startMore() {
	for d.life.Err() == nil {
		next := d.queues.take()
		if next == nil {
			return
		}

		d.goroutines.Go(func() { d.deliver(next) })
	}
}

// slow is how long a receiver may take that counts as well.
const slow = 5 * time.Second

// deliver makes one attempt.
func (d *Deliverer) deliver(next *delivery) {
	begun := time.Now()
	result := d.attemptSafely(next)
	next.failed++
	delay, again := d.sender.next(next.failed, result)

	d.mu.Lock()
	defer d.mu.Unlock()
	defer d.settle()
	defer d.startMore()

	failed := result.err != nil || result.status >= http.StatusBadRequest
	ailing := result.err != nil || again || time.Since(begun) > slow

	d.queues.release(next, ailing)

	switch {
	case failed && (d.life.Err() != nil || again && d.isTooLate(delay)):
		d.queues.remove(next)
		d.reports.add(dropped(next.host, next.event, errClosing))
	case again:
		d.queues.postpone(next, time.Now().Add(delay), time.AfterFunc(delay, func() { d.resume(next) }))
	default:
		d.queues.remove(next)

		if failed {
			d.reports.add(failure(next, result))
		}
	}
}

func failure(of *delivery, result answer) report {
	reason := result.err
	if reason == nil {
		reason = fmt.Errorf("%w %d", errStatus, result.status)
	}

	return report{
		what: "webhook deliveries failed", receiver: of.host, event: of.event, webhook: of.to.id, attempts: of.failed,
		reason: reason,
	}
}

var errStatus = errors.New("the receiver answered")

func (d *Deliverer) attemptSafely(next *delivery) (result answer) {
	defer contract.Recover(&result.err)

	if next.failed == 0 {
		next.letter = write(next.to, next.event, next.data, time.Now())
	}

	return d.sender.attempt(d.life, next.letter, 0)
}

// resume puts a delivery back into its queue, to be sent again.
func (d *Deliverer) resume(next *delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()

	if d.queues.resume(next) {
		d.startMore()
	}
}

// isTooLate tells whether the deliverer is to be shut down sooner than that.
func (d *Deliverer) isTooLate(delay time.Duration) bool {
	return !d.deadline.IsZero() && time.Now().Add(delay).After(d.deadline)
}

// settle notices, while closing, that nothing is left.
func (d *Deliverer) settle() {
	if !d.closing || d.finding > 0 || d.queues.count > 0 {
		return
	}

	select {
	case <-d.settled:
	default:
		close(d.settled)
	}
}

func (d *Deliverer) drop(list []*delivery) {
	for _, lost := range list {
		d.queues.remove(lost)
		d.reports.add(dropped(lost.host, lost.event, errClosing))
	}
}

// report is something that went wrong.
type report struct {
	what, receiver string
	event          event
	webhook        string
	attempts       int
	reason         error
}

// reports logs what goes wrong: the first of its kind at once, then in a while how many more there
// were, since a receiver that is gone would fill the log.
type reports struct {
	logger *slog.Logger
	mu     sync.Mutex
	kinds  map[kind]*tally
}

// kind are the reports that are counted together.
type kind struct{ what, receiver string }

type tally struct {
	count int
	last  report
	timer *time.Timer
}

const reportInterval = 10 * time.Second

func newReports(logger *slog.Logger) *reports {
	return &reports{logger: logger, kinds: map[kind]*tally{}}
}

func (r *reports) add(latest report) {
	r.mu.Lock()
	defer r.mu.Unlock()

	of := kind{latest.what, latest.receiver}

	known, again := r.kinds[of]
	if again {
		known.count++
		known.last = latest

		return
	}

	r.log(latest, 1)
	r.kinds[of] = &tally{timer: time.AfterFunc(reportInterval, func() { r.repeat(of) })}
}

// repeat logs how often something happened again, until it doesn't any more.
func (r *reports) repeat(of kind) {
	r.mu.Lock()
	defer r.mu.Unlock()

	known := r.kinds[of]

	switch {
	case known == nil: // flushed
	case known.count == 0:
		delete(r.kinds, of)
	default:
		r.log(known.last, known.count)
		known.count = 0
		known.timer.Reset(reportInterval)
	}
}

// flush logs what was counted and not logged.
func (r *reports) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()

	for of, known := range r.kinds {
		known.timer.Stop()

		if known.count > 0 {
			r.log(known.last, known.count)
		}

		delete(r.kinds, of)
	}
}

func (r *reports) log(latest report, count int) {
	attributes := []any{"count", count, "event", latest.event.String(), "reason", latest.reason}
	if latest.receiver != "" {
		attributes = append(attributes, "receiver", latest.receiver)
	}

	if latest.webhook != "" {
		attributes = append(attributes, "webhook", latest.webhook, "attempts", latest.attempts)
	}

	r.logger.Error(latest.what, attributes...)
}
