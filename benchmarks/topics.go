package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/benchmarks/workload"
)

// topicBatch is how many topics one request creates or deletes.
const topicBatch = 500

// leadersTimeout bounds the wait until every new partition has a leader.
const leadersTimeout = 60 * time.Second

// topics makes the topics of a run and takes them away again.
type topics struct {
	adm     *kadm.Client
	names   []string
	created []string
}

// make creates the topics of the spec, or finds them if they may exist, and waits until each of
// their partitions has a leader.
func (t *topics) make(ctx context.Context, s workload.Spec, useExisting bool) error {
	t.names = s.TopicNames()
	there, err := t.existing(ctx)
	if err != nil {
		return err
	}
	var missing []string
	for _, name := range t.names {
		d, ok := there[name]
		switch {
		case !ok:
			missing = append(missing, name)
		case !useExisting:
			return fmt.Errorf("topic %s exists; --use-existing measures on it as it is, --topic names "+
				"another", name)
		case len(d.Partitions) != s.Partitions:
			return fmt.Errorf("topic %s has %d partitions, not %d", name, len(d.Partitions), s.Partitions)
		}
	}
	if err := t.create(ctx, s, missing); err != nil {
		return err
	}
	return t.awaitLeaders(ctx, s.Partitions)
}

// existing gives those of the topics that there are.
func (t *topics) existing(ctx context.Context) (kadm.TopicDetails, error) {
	there, err := t.adm.ListTopics(ctx, t.names...)
	if err != nil {
		return nil, fmt.Errorf("asking for the topics: %s", reason(err))
	}
	for name, d := range there {
		if errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			delete(there, name)
		} else if d.Err != nil {
			return nil, fmt.Errorf("topic %s: %s", name, reason(d.Err))
		}
	}
	return there, nil
}

func (t *topics) create(ctx context.Context, s workload.Spec, names []string) error {
	configs := map[string]*string{}
	for k, v := range s.TopicConfig {
		configs[k] = &v
	}
	replicas := int16(-1)
	if s.Replication > 0 {
		replicas = int16(s.Replication)
	}
	for len(names) > 0 {
		n := min(len(names), topicBatch)
		made, err := t.adm.CreateTopics(ctx, int32(s.Partitions), replicas, configs, names[:n]...)
		if err != nil {
			return fmt.Errorf("creating topics: %s", reason(err))
		}
		for _, name := range names[:n] {
			r, ok := made[name]
			if !ok {
				return fmt.Errorf("creating topic %s: the broker's answer does not mention it", name)
			}
			if r.Err != nil {
				text := reason(r.Err)
				if r.ErrMessage != "" {
					text = r.ErrMessage
				}
				return fmt.Errorf("creating topic %s: %s", name, text)
			}
			t.created = append(t.created, name)
		}
		names = names[n:]
	}
	return nil
}

// awaitLeaders waits until all partitions are led. A broker may be named as leader before it has
// taken up its office, so each leader is also asked for an offset.
func (t *topics) awaitLeaders(ctx context.Context, partitions int) error {
	return t.await(ctx, func(ctx context.Context, there kadm.TopicDetails) string {
		if missing := leaderless(t.names, there, partitions); missing != "" {
			return missing
		}
		return t.unserved(ctx)
	})
}

// awaitGone waits until none of the topics is there: deletion need not be over when it is answered,
// and the client remembers metadata for a moment.
func (t *topics) awaitGone(ctx context.Context) error {
	return t.await(ctx, func(_ context.Context, there kadm.TopicDetails) string {
		if len(there) == 0 {
			return ""
		}
		return fmt.Sprintf("%d of them are still being deleted", len(there))
	})
}

// await asks about the topics again and again, with growing pauses, until nothing is lacking.
func (t *topics) await(ctx context.Context, lacks func(context.Context, kadm.TopicDetails) string) error {
	ctx, cancel := context.WithTimeout(ctx, leadersTimeout)
	defer cancel()
	missing := "nothing was answered"
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		there, err := t.existing(ctx)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil {
			if missing = lacks(ctx, there); missing == "" {
				return nil
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("after %s the topics are not ready: %s", leadersTimeout, missing)
		}
	}
}

// unserved describes a partition whose leader does not serve it yet; "" if there is none.
func (t *topics) unserved(ctx context.Context) string {
	offsets, err := t.adm.ListStartOffsets(ctx, t.names...)
	if err != nil {
		return reason(err)
	}
	missing := ""
	offsets.Each(func(o kadm.ListedOffset) {
		if o.Err != nil && missing == "" {
			missing = fmt.Sprintf("partition %d of topic %s: %s", o.Partition, o.Topic, reason(o.Err))
		}
	})
	return missing
}

// leaderless describes the first partition without a leader; "" if there is none.
func leaderless(names []string, there kadm.TopicDetails, partitions int) string {
	for _, name := range names {
		d, ok := there[name]
		if !ok || len(d.Partitions) < partitions {
			return fmt.Sprintf("topic %s has %d of %d partitions", name, len(d.Partitions), partitions)
		}
		for _, p := range d.Partitions.Sorted() {
			if p.Err != nil || p.Leader < 0 {
				return fmt.Sprintf("%s-%d has no leader", name, p.Partition)
			}
		}
	}
	return ""
}

// remove deletes what make created. A topic that somebody else deleted meanwhile is no error.
func (t *topics) remove(ctx context.Context) error {
	var failed []string
	for names := t.created; len(names) > 0; {
		n := min(len(names), topicBatch)
		done, err := t.adm.DeleteTopics(ctx, names[:n]...)
		if err != nil {
			return fmt.Errorf("topics were left behind: %s", reason(err))
		}
		for _, r := range done.Sorted() {
			if r.Err != nil && !errors.Is(r.Err, kerr.UnknownTopicOrPartition) {
				failed = append(failed, r.Topic+": "+reason(r.Err))
			}
		}
		names = names[n:]
	}
	t.created = nil
	if failed != nil {
		return fmt.Errorf("topics were left behind: %s", strings.Join(failed, "; "))
	}
	return nil
}
