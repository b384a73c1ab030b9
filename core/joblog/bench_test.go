package joblog_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/joblog"
	"github.com/stroem/stroem/core/mask"
)

// BenchmarkMillionLines takes 1,000,000 lines of 100 bytes from a step's output to the server's file.
func BenchmarkMillionLines(b *testing.B) {
	const count = 1_000_000
	chunk := []byte(strings.Repeat(strings.Repeat("0", 99)+"\n", 640)) // 64,000 bytes, as they come from a plugin
	five := []string{"hunter2", "0123456789abcdef", "a-long-token/with+signs", "qwertz", "00001"}
	for name, secrets := range map[string][]string{"plain": nil, "five secrets": five} {
		b.Run(name, func(b *testing.B) {
			masker := mask.New(secrets) // for the worker and for the net of the server
			for b.Loop() {
				s, err := joblog.Open(b.TempDir(), func(context.Context, uuid.UUID) (*mask.Masker, error) { return masker, nil })
				require.NoError(b, err)
				job := uuid.New()
				r := joblog.NewRecorder(b.Context(), joblog.RecorderOptions{
					Step: "build", Attempt: 1, Masker: masker, MaxBytes: 1 << 30,
					Send: func(ctx context.Context, first int64, ndjson []byte) error {
						return s.Append(ctx, job, "build", 1, first, ndjson)
					},
				})
				for written := 0; written < count; written += 640 {
					_, err = r.Stdout().Write(chunk[:min(640, count-written)*100])
					require.NoError(b, err)
				}
				left := r.Close(b.Context())
				require.NoError(b, left.Err)
				require.NoError(b, s.Append(b.Context(), job, "build", 1, left.First, left.Tail))
				page, err := s.Read(b.Context(), job, joblog.Query{Tail: 1})
				require.NoError(b, err)
				require.EqualValues(b, count, page.Total)
				require.NoError(b, s.Close())
			}
			b.ReportMetric(float64(count)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
