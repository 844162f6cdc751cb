package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/ledgerline/ledgerline/activities"
)

// Pollers returns the identities of those who asked Temporal for work of a task queue in
// the last five minutes. A worker that has ended since may be among them. Each partition of
// the queue knows its own; where they are not listed, only the first is asked.
func Pollers(ctx context.Context, c client.Client, namespace, taskQueue string) ([]string, error) {
	partitions := map[enums.TaskQueueType][]string{enums.TASK_QUEUE_TYPE_WORKFLOW: {taskQueue}, enums.TASK_QUEUE_TYPE_ACTIVITY: {taskQueue}}
	all, err := c.WorkflowService().ListTaskQueuePartitions(ctx, &workflowservice.ListTaskQueuePartitionsRequest{
		Namespace: namespace, TaskQueue: &taskqueue.TaskQueue{Name: taskQueue, Kind: enums.TASK_QUEUE_KIND_NORMAL},
	})
	if err == nil {
		for kind, list := range map[enums.TaskQueueType][]*taskqueue.TaskQueuePartitionMetadata{
			enums.TASK_QUEUE_TYPE_WORKFLOW: all.GetWorkflowTaskQueuePartitions(), enums.TASK_QUEUE_TYPE_ACTIVITY: all.GetActivityTaskQueuePartitions(),
		} {
			for _, p := range list {
				if !slices.Contains(partitions[kind], p.GetKey()) {
					partitions[kind] = append(partitions[kind], p.GetKey())
				}
			}
		}
	} else if !noOperator(err) {
		return nil, err
	}
	var found []string
	for kind, names := range partitions {
		for _, name := range names {
			d, err := c.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
				Namespace: namespace, TaskQueue: &taskqueue.TaskQueue{Name: name, Kind: enums.TASK_QUEUE_KIND_NORMAL}, TaskQueueType: kind,
			})
			if err != nil {
				return nil, err
			}
			for _, p := range d.GetPollers() {
				found = append(found, p.GetIdentity())
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// clockQueue is a sticky queue that nobody starts anything in: it is in one place, and
// Temporal forgets it by itself.
const clockQueue = "ledgerline-clock"

// ClockOffset returns how far Temporal's clock is ahead of this program's, and how exact
// that is. No call of Temporal's returns the time. But it notes when somebody asks a queue
// for work, so this asks a queue of its own and looks at the note. Nothing is started.
func ClockOffset(ctx context.Context, c client.Client, namespace string) (offset, within time.Duration, err error) {
	polling, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second) // the server refuses short ones
	defer cancel()
	queue := &taskqueue.TaskQueue{Name: clockQueue, Kind: enums.TASK_QUEUE_KIND_STICKY, NormalName: activities.TaskQueue}
	identity := uuid.NewString()
	began := time.Now()
	refused := make(chan error, 1)
	go func() {
		_, err := c.WorkflowService().PollWorkflowTaskQueue(polling, &workflowservice.PollWorkflowTaskQueueRequest{Namespace: namespace, TaskQueue: queue, Identity: identity})
		refused <- err
	}()
	for {
		d, err := c.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
			Namespace: namespace, TaskQueue: queue, TaskQueueType: enums.TASK_QUEUE_TYPE_WORKFLOW,
		})
		if err != nil {
			return 0, 0, err
		}
		for _, p := range d.GetPollers() {
			if p.GetIdentity() == identity { // noted between began and now
				within = time.Since(began) / 2
				return p.GetLastAccessTime().AsTime().Sub(began.Add(within)), within, nil
			}
		}
		select {
		case err := <-refused:
			return 0, 0, errors.Join(errors.New("no poll was noted"), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Namespace is what Temporal says of a namespace.
type Namespace struct {
	Retention          time.Duration
	EagerWorkflowStart bool
}

// DescribeNamespace returns a namespace. The error is a [*serviceerror.NamespaceNotFound]
// if there is none, and a [*serviceerror.PermissionDenied] also where a caller may not
// know whether there is one.
func DescribeNamespace(ctx context.Context, c client.Client, namespace string) (Namespace, error) {
	d, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil {
		return Namespace{}, err
	}
	if state := d.GetNamespaceInfo().GetState(); state != enums.NAMESPACE_STATE_REGISTERED {
		return Namespace{}, serviceerror.NewNamespaceInvalidState(namespace, state, []enums.NamespaceState{enums.NAMESPACE_STATE_REGISTERED})
	}
	return Namespace{
		Retention:          d.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration(),
		EagerWorkflowStart: d.GetNamespaceInfo().GetCapabilities().GetEagerWorkflowStart(),
	}, nil
}

// ServerVersion returns the version of Temporal's server, such as "1.32.1".
func ServerVersion(ctx context.Context, c client.Client) (string, error) {
	info, err := c.WorkflowService().GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return "", err
	}
	if info.GetServerVersion() == "" {
		return "", fmt.Errorf("the server does not say its version")
	}
	return info.GetServerVersion(), nil
}
