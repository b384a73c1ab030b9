//go:build unix

package main

import (
	"context"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/stroem/stroem/pluginapi/internal/pluginv1"
)

// endsLate keeps a stream open for a moment when the run has ended, and calls that wait for that have been answered.
func endsLate(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	err := next(srv, stream)
	<-time.After(200 * time.Millisecond)
	return err
}

// outlivesStream hides from the runner that the host has given up the stream of a run.
func outlivesStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, uncancelled{stream})
}

type uncancelled struct{ grpc.ServerStream }

func (s uncancelled) Context() context.Context {
	return context.WithoutCancel(s.ServerStream.Context())
}

var took atomic.Int32

// wearsOut refuses runs when it has taken several, as if they had been too many at the same time.
func wearsOut(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	const most = 15 // more than any case has, but for the one with many at the same time
	if took.Add(1) > most {
		return status.Error(codes.ResourceExhausted, "too many runs")
	}
	return next(srv, stream)
}

var underWay sync.Map // ids of runs

// idTwice takes a run for done whose id another one has that is under way.
func idTwice(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if path.Base(info.FullMethod) != "Run" {
		return next(srv, stream)
	}
	var req pluginv1.RunRequest
	if err := stream.RecvMsg(&req); err != nil {
		return err
	}
	if _, twice := underWay.LoadOrStore(req.GetRunId(), true); !twice {
		defer underWay.Delete(req.GetRunId())
		return next(srv, received{stream, &req})
	}
	started := &pluginv1.RunEvent{Event: &pluginv1.RunEvent_Started{Started: &pluginv1.Started{}}}
	if err := stream.SendMsg(started); err != nil {
		return err
	}
	return stream.SendMsg(&pluginv1.RunEvent{Event: &pluginv1.RunEvent_Finished{Finished: &pluginv1.Finished{}}})
}

// received is a stream of which the request was read already.
type received struct {
	grpc.ServerStream
	req *pluginv1.RunRequest
}

func (r received) RecvMsg(m any) error {
	req, ok := m.(*pluginv1.RunRequest)
	if !ok {
		return r.ServerStream.RecvMsg(m)
	}
	proto.Merge(req, r.req)
	return nil
}
