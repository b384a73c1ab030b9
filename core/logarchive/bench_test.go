package logarchive_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stroem/stroem/core/joblog"
)

// BenchmarkRead reads an archived log of 128 MiB from front to back: as compilers write them, and as hard to compress as hexadecimal
// digits are.
func BenchmarkRead(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, line := range map[string]func(i int) string{
		"compiler": func(i int) string {
			return fmt.Sprintf("%d: compiling package %d of module %x with -O2", i, r.IntN(5000), r.IntN(1<<20))
		},
		"random": func(int) string {
			return fmt.Sprintf("%016x%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())
		},
	} {
		b.Run(name, func(b *testing.B) {
			a := newBundle(b)
			var batch []byte
			for i, size := 0, 0; size < 128<<20; i++ {
				batch = joblog.AppendLine(batch, "build", 1, joblog.Stdout, "2026-01-02T03:04:05.000000Z", line(i))
				if len(batch) > 1<<20 {
					require.NoError(b, a.local.Append(b.Context(), a.job, "build", 1, 0, batch))
					size += len(batch)
					batch = batch[:0]
				}
			}
			lines := a.put().Lines
			b.ResetTimer()
			for range b.N {
				v, _, err := a.another().View(b.Context(), key, lines)
				require.NoError(b, err)
				b.SetBytes(v.Index.Size)
				n, err := io.Copy(io.Discard, io.NewSectionReader(v.Bytes, 0, v.Index.Size))
				require.NoError(b, err)
				require.Equal(b, v.Index.Size, n)
				require.NoError(b, v.Close())
			}
		})
	}
}
