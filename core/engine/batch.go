package engine

import "context"

// batchLimit bounds how much one transaction takes on.
const batchLimit = 256

// batcher writes what arrives while one batch is being written as the next batch. It never waits for more: alone, a
// request is written at once; under load, many share a commit.
type batcher[T any] struct {
	queue   chan T
	stopped chan struct{}
	write   func(context.Context, []T)
}

func newBatcher[T any](write func(context.Context, []T)) *batcher[T] {
	return &batcher[T]{queue: make(chan T, batchLimit), stopped: make(chan struct{}), write: write}
}

// submit hands a request to the loop; whoever submits waits for the answer on the request itself, or for stopped.
func (b *batcher[T]) submit(ctx context.Context, item T) error {
	select {
	case b.queue <- item:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-b.stopped:
		return errStopping
	}
}

// loop writes batches until ctx ends. A batch under way is finished.
func (b *batcher[T]) loop(ctx context.Context) {
	defer close(b.stopped)
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-b.queue:
			b.write(context.WithoutCancel(ctx), b.gather(first))
		}
	}
}

func (b *batcher[T]) gather(first T) []T {
	batch := []T{first}
	for len(batch) < batchLimit {
		select {
		case item := <-b.queue:
			batch = append(batch, item)
		default:
			return batch
		}
	}
	return batch
}

// await waits for a request's answer.
func await(ctx context.Context, done <-chan error, stopped <-chan struct{}) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-stopped:
		select { // it may have been written in the last batch
		case err := <-done:
			return err
		default:
			return errStopping
		}
	}
}
